"""One line of a segment that is not settled yet."""

from __future__ import annotations

import time
from enum import Enum
from typing import Optional

from lastword.spool.reader import Line
from lastword.spool.record import Damage


class State(Enum):
    """The state of a line (see ``lastword.spool``)."""

    HELD = "held"
    IN_FLIGHT = "in flight"  # handed to the sender: nothing may settle it until its verdict is there
    SETTLED = "settled"
    LOST = "lost"  # settled: it was a record when first seen, and no longer is


class Waiting:
    """A line that is not settled yet: its place and its destination. Its content stays on disk.

    ``number`` is None in an x- segment. ``damage`` is set for a line that is not a record; it has no ``to`` and no id.
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
        self.captured_at = record.captured_at if record else 0.0  # by the event's own clock; 0 if unknown
        self.damage = line.found if isinstance(line.found, Damage) else None
        self.state = State.HELD
        self._not_before = 0.0  # to be left alone until then, by the monotonic clock
        self.ambiguous = False  # it was sent, and no answer was seen
        self.failed_at = 0.0  # when it last failed, by the monotonic clock; 0 for never
        self.suspicions = 0  # how often it failed again after other events had passed meanwhile

    def copied_to(self, segment: str, end: int) -> Waiting:
        """Return a copy that is the only line of ``segment``, which is not a numbered one."""
        copy = Waiting.__new__(Waiting)
        vars(copy).update(vars(self), segment=segment, number=None, start=0, end=end)
        return copy

    def leave_alone(self, seconds: float) -> None:
        """Do not send or settle the line for ``seconds``."""
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
