"""Whether a writer may go on, and how full the spool is: it looks before its first record, and again once it has filled
a segment.

Whoever is about to write looks, outside the writer's lock: at all writers. Until the answer is there, other threads and
signal handlers go by the one before. Who has to know how full it is, because of a flood, looks more often.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

#: Seconds after which it is asked again where there was no room: about how often a flusher looks. Where answers take
#: long, they take a twentieth of the time, but no pause is longer than ``_MAX_PAUSE``.
_MIN_PAUSE, _MAX_PAUSE = 0.25, 2.0
_FACTOR = 20

#: Seconds for which `Room.fill` goes by what was seen, where it shall be fresh.
_FRESH = 2.0

SMALLEST_SHARE = 64 << 10


class Sight(NamedTuple):
    """What there is to see.

    Attributes:
        room: whether anything may be written.
        fill: how much of the spool's limit is used by what waits: 0.0 to 1.0, or more.
        share: bytes that this writer may write before it has to look again to know the fill.
    """

    room: bool = True
    fill: float = 0.0
    share: int = SMALLEST_SHARE


class Room:
    """What one writer knows of it: ``look`` takes a look, ``written`` says how many bytes this writer has written."""

    def __init__(self, look: Callable[[], Sight], written: Callable[[], int]) -> None:
        self._look, self._written = look, written
        self._asked_for = 0  # the number of a segment
        self._full_until = 0.0  # by the monotonic clock; 0 where there was room
        self._seen, self._seen_at = Sight(), 0  # and what was written by then
        self._fresh_until = 0.0

    def for_segment(self, number: int) -> bool:
        """Whether anything may be written while the open segment is that of ``number``; the first is 1."""
        now = time.monotonic()
        if now < self._full_until:
            return False
        if not self._full_until and number == self._asked_for:
            return True
        self._asked_for = number
        if self._full_until:
            self._full_until = now + _MAX_PAUSE
        self._look_around(now)
        answered = time.monotonic()
        pause = min(max(_FACTOR * (answered - now), _MIN_PAUSE), _MAX_PAUSE)
        self._full_until = 0.0 if self._seen.room else answered + pause
        return self._seen.room

    def fill(self, fresh: bool) -> float:
        """How full the spool was at the last look. That is wrong by what others have written since, and by what this
        writer has, up to its share; where it shall be ``fresh``, it is no more than seconds old.
        """
        now = time.monotonic()
        if self._written() - self._seen_at > self._seen.share or (fresh and now >= self._fresh_until):
            self._look_around(now)
        return self._seen.fill

    def _look_around(self, now: float) -> None:
        self._seen_at, self._fresh_until = self._written(), now + _FRESH  # first, so that other threads do not look too
        self._seen = self._look()
        self._fresh_until = max(now + _FRESH, now + _FACTOR * (time.monotonic() - now))
