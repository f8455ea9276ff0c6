"""What every wire format is: two pure functions and a statement of needs, and the closed set of verdicts.

A format knows its vendor's field names and what its vendor's answers mean. It opens no socket, reads no clock, no
file and no environment; the same event and destination always give the same request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Protocol, Union

from lastword.config import Destination
from lastword.event import Event, Needs
from lastword.http_message import HttpReply, HttpRequest


@dataclass(frozen=True)
class Delivered:
    """The tracker says it has the event."""


@dataclass(frozen=True)
class Retry:
    """Not now: keep the event and try again, after ``after`` seconds where the tracker named a time."""

    reason: str
    after: Optional[float] = None


@dataclass(frozen=True)
class Refused:
    """Not this event, ever: set it aside and go on with the next."""

    reason: str


@dataclass(frozen=True)
class Misconfigured:
    """Nothing will pass with this address or key: keep everything and say so."""

    reason: str


Verdict = Union[Delivered, Retry, Refused, Misconfigured]


class WireFormat(Protocol):
    """The shape of a wire module: ``wire.backtrace`` and ``wire.booboo`` are themselves of this type."""

    NEEDS: Needs

    def request(self, event: Event, destination: Destination) -> HttpRequest:
        """The request that delivers ``event``."""

    def judge(self, reply: HttpReply) -> Verdict:
        """What the tracker's answer means for the event."""
