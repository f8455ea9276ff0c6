"""The interface of every wire format: pure functions, requests and answers as data, and the closed set of verdicts.

A format knows its vendor's field names and the meaning of its vendor's answers. It opens no socket, and reads no clock,
file or environment; the same event and destination always give the same request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Optional, Protocol, Union

from lastword.dsn import Destination
from lastword.event import Event
from lastword.foreign_text import one_line


@dataclass(frozen=True)
class HttpRequest:
    """A complete POST: ``headers`` are only those that the wire format adds to the ones that HTTP itself needs."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class HttpReply:
    """An answer: ``headers`` have lower-case names; ``body`` is cut at 64 KiB. ``secrets`` are those that the request
    was sent with; a quotation of the answer must not repeat them.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class History:
    """The history of an attempt. ``ambiguous``: this event was sent before, and no answer was seen."""

    ambiguous: bool = False


@dataclass(frozen=True)
class Delivered:
    """The tracker has the event; ``uncertain``: this is inferred, because the tracker did not say so itself."""

    uncertain: bool = False


class Blame(Enum):
    """The possible cause if an event was not delivered."""

    EVENT = "the event"  # its content is wrong, or the tracker fails on it
    ADDRESS = "the address or the key"
    TRACKER = "the tracker"  # it is overloaded, or in trouble
    NETWORK = "the network"  # the tracker was not reached and knows nothing of the attempt


@dataclass(frozen=True)
class _NotDelivered:
    """``reason`` is one line for people: it may quote the tracker, or say what is wrong with an event."""

    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", one_line(self.reason))


@dataclass(frozen=True)
class Retry(_NotDelivered):
    """Not now: keep the event and try again, after ``after`` seconds if the tracker named a time.

    If ``blame`` is the address, the tracker gives this answer for a wrong address as well; the address counts as wrong
    if it has never taken an event. If ``blame`` is the event, only that event waits once other events pass.
    """

    after: Optional[float] = None
    blame: Blame = Blame.TRACKER


@dataclass(frozen=True)
class Refused(_NotDelivered):
    """Not this event, ever: set it aside and go on with the next.

    If ``blame`` is the address, the tracker gives this answer for a wrong address or key as well; it counts as wrong
    after three different events in a row. ``too_large``: a smaller body is worth one more try.
    """

    blame: Blame = Blame.EVENT
    too_large: bool = False


@dataclass(frozen=True)
class Misconfigured(_NotDelivered):
    """Nothing will pass with this address or key: keep everything and report it."""


Verdict = Union[Delivered, Retry, Refused, Misconfigured]


class WireFormat(Protocol):
    """The interface of a wire module: ``wire.backtrace`` and ``wire.booboo`` are themselves of this type."""

    def request(self, event: Event, destination: Destination, limit: Optional[int] = None) -> HttpRequest:
        """Return the request that delivers ``event``, trimmed to the format's limit and to ``limit`` bytes of body."""

    def rendered(
        self, body: bytes, content_type: str, destination: Destination, limit: Optional[int] = None
    ) -> HttpRequest:
        """Return the request that delivers ``body``, which is of this format already: unchanged if it is within the
        format's limit and ``limit``, else trimmed as far as that is possible without the event.
        """

    def judge(self, reply: HttpReply, history: History) -> Verdict:
        """Return the verdict on the tracker's answer."""
