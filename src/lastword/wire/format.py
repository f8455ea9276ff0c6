"""What every wire format is: two pure functions, and the closed set of verdicts.

A format knows its vendor's field names and what its vendor's answers mean. It opens no socket, reads no clock, no
file and no environment; the same event and destination always give the same request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Protocol, Union

from lastword.dsn import Destination
from lastword.event import Event
from lastword.foreign_text import one_line
from lastword.wire.http_message import HttpReply, HttpRequest


@dataclass(frozen=True)
class History:
    """What came before an attempt. ``ambiguous``: this event was sent before, and no answer was seen."""

    ambiguous: bool = False


@dataclass(frozen=True)
class Delivered:
    """The tracker has the event; ``uncertain``: by all that is known, for it did not say so itself."""

    uncertain: bool = False


@dataclass(frozen=True)
class _NotDelivered:
    """``reason`` is for people, in one line: it may quote the tracker, or what is wrong with an event."""

    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", one_line(self.reason))


@dataclass(frozen=True)
class Retry(_NotDelivered):
    """Not now: keep the event and try again, after ``after`` seconds where the tracker named a time.

    ``may_be_address``: this is also how the tracker answers to a wrong address; it counts as one where it has never
    taken an event. ``may_be_event``: it may be this event that the tracker cannot bear; it waits alone where others
    pass. ``unreachable``: the network gave no way to the tracker, which so knows nothing of the attempt.
    """

    after: Optional[float] = None
    may_be_address: bool = False
    may_be_event: bool = False
    unreachable: bool = False


@dataclass(frozen=True)
class Refused(_NotDelivered):
    """Not this event, ever: set it aside and go on with the next.

    ``may_be_address``: this is also how the tracker answers to a wrong address or key; three different events in a row
    are taken for one. ``too_large``: a smaller body is worth one more try.
    """

    may_be_address: bool = False
    too_large: bool = False


@dataclass(frozen=True)
class Misconfigured(_NotDelivered):
    """Nothing will pass with this address or key: keep everything and say so."""


Verdict = Union[Delivered, Retry, Refused, Misconfigured]


class WireFormat(Protocol):
    """The shape of a wire module: ``wire.backtrace`` and ``wire.booboo`` are themselves of this type."""

    def request(self, event: Event, destination: Destination, limit: Optional[int] = None) -> HttpRequest:
        """The request that delivers ``event``, trimmed to what the format takes, and to ``limit`` bytes of body."""

    def rendered(
        self, body: bytes, content_type: str, destination: Destination, limit: Optional[int] = None
    ) -> HttpRequest:
        """The request that delivers ``body``, which is of this format already: as it stands, as long as it is no larger
        than what the format takes, and ``limit``. Else trimmed as far as that is possible without the event.
        """

    def judge(self, reply: HttpReply, history: History) -> Verdict:
        """What the tracker's answer means for the event."""
