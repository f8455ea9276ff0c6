"""One line of a segment that is not settled yet."""

from __future__ import annotations

import time
from enum import Enum
from typing import Optional

from lastword.spool.reader import Line
from lastword.spool.record import Damage


class State(Enum):
    """Where a line is on its way (see ``lastword.spool``)."""

    HELD = "held"
    IN_FLIGHT = "in flight"  # handed to the sender: nobody else may settle it until its verdict is there
    SETTLED = "settled"
    LOST = "lost"  # settled, since it was a record when it was first seen, and is none any more


class Waiting:
    """A line that is not settled yet: where it is, and where it goes. Its content stays on disk.

    ``number`` is None in an x- segment. ``damage`` is set for a line that is no record; it has no ``to`` and no ``id``.
    """

    def __init__(self, segment: str, number: Optional[int], line: Line) -> None:
        record = None if isinstance(line.found, Damage) else line.found
        self.segment = segment
        self.number = number
        self.start = line.start
        self.end = line.end
        self.seq = record.seq if record else None
        self.to = record.to if record else None
        self.event_id = record.id if record else ""
        self.captured_at = record.captured_at if record else 0.0  # by the event's own clock; 0 where it does not say
        self.damage = line.found if isinstance(line.found, Damage) else None
        self.state = State.HELD
        self._not_before = 0.0  # to be left alone until then, by the monotonic clock
        self.ambiguous = False  # it was sent, and no answer was seen
        self.failed_at = 0.0  # when it last failed, by the monotonic clock; 0 for never
        self.suspicions = 0  # how often it failed again after others had passed meanwhile

    def copied_to(self, segment: str, end: int) -> Waiting:
        """The same, now the one line of a segment beside the numbered ones."""
        copy = Waiting.__new__(Waiting)
        vars(copy).update(vars(self), segment=segment, number=None, start=0, end=end)
        return copy

    def leave_alone(self, seconds: float) -> None:
        """Let nobody touch it for so long."""
        self._not_before = time.monotonic() + seconds

    @property
    def is_left_alone(self) -> bool:
        return time.monotonic() < self._not_before

    @property
    def is_settled(self) -> bool:
        return self.state in (State.SETTLED, State.LOST)

    @property
    def can_be_handled(self) -> bool:
        """False for a record without a destination, which waits for a human."""
        return self.damage is not None or self.to is not None
