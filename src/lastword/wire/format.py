"""What every wire format is: two pure functions, and the closed set of verdicts.

A format knows its vendor's field names and what its vendor's answers mean. It opens no socket, reads no clock, no
file and no environment; the same event and destination always give the same request.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
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


class Blame(Enum):
    """What may be at fault where an event was not delivered."""

    EVENT = "the event"  # for what it is, or because the tracker breaks down at it
    ADDRESS = "the address or the key"
    TRACKER = "the tracker"  # which has too much to do, or is in trouble
    NETWORK = "the network"  # no way to the tracker, which knows nothing of the attempt


@dataclass(frozen=True)
class _NotDelivered:
    """``reason`` is for people, in one line: it may quote the tracker, or what is wrong with an event."""

    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", one_line(self.reason))


@dataclass(frozen=True)
class Retry(_NotDelivered):
    """Not now: keep the event and try again, after ``after`` seconds where the tracker named a time.

    Where ``blame`` is the address, the tracker answers in this way to a wrong one as well; it counts as one if it has
    never taken an event. Where it is the event, that waits alone once others pass.
    """

    after: Optional[float] = None
    blame: Blame = Blame.TRACKER


@dataclass(frozen=True)
class Refused(_NotDelivered):
    """Not this event, ever: set it aside and go on with the next.

    Where ``blame`` is the address, the tracker answers in this way to a wrong address or key as well; three different
    events in a row are taken for one. ``too_large``: a smaller body is worth one more try.
    """

    blame: Blame = Blame.EVENT
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
