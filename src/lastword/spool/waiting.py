"""One line of a segment that is not settled yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from lastword.spool.reader import Line
from lastword.spool.record import Damage


@dataclass
class Waiting:
    """A line that is not settled yet: where it is, and where it goes. Its content stays on disk.

    ``number`` is None in an x- segment. ``damage`` is set for a line that is no record; it has no ``to`` and no ``id``.
    """

    segment: str
    number: Optional[int]
    start: int
    end: int
    seq: Optional[int] = None
    to: Optional[str] = None
    event_id: str = ""
    damage: Optional[Damage] = None
    captured_at: float = 0.0  # by the event's own clock; 0 where it does not say
    settled: bool = False
    not_before: float = 0.0  # to be left alone until then (Unix seconds)
    in_flight: bool = False  # handed to the sender: nobody else may settle it until its verdict is there
    ambiguous: bool = False  # it was sent, and no answer was seen
    failed_at: float = 0.0  # when it last failed, by the monotonic clock; 0 for never
    suspicions: int = 0  # how often it failed again after others had passed meanwhile

    @classmethod
    def at(cls, segment: str, number: Optional[int], line: Line) -> Waiting:
        waiting = cls(segment, number, line.start, line.end)
        if isinstance(line.found, Damage):
            waiting.damage = line.found
        else:
            waiting.seq, waiting.to, waiting.event_id = line.found.seq, line.found.to, line.found.id
            waiting.captured_at = line.found.captured_at
        return waiting

    @property
    def can_be_handled(self) -> bool:
        """False for a record without a destination, which waits for a human."""
        return self.damage is not None or self.to is not None
