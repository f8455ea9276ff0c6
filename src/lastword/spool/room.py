"""Whether a writer may go on: it asks before its first record, and again once it has filled a segment.

Whoever is about to write asks, outside the writer's lock: the answer takes a look at all writers. Until it is there,
other threads and signal handlers go by the answer before.
"""

from __future__ import annotations

import time
from typing import Callable

#: Seconds after which it is asked again where there was no room: about how often a flusher looks. Where answers take
#: long, they take a twentieth of the time, but no pause is longer than ``_MAX_PAUSE``.
_MIN_PAUSE, _MAX_PAUSE = 0.25, 2.0
_FACTOR = 20


class Room:
    """What one writer knows of it. ``ask`` says whether there is any."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        self._ask = ask
        self._asked_for = 0  # the number of a segment
        self._full_until = 0.0  # by the monotonic clock; 0 where there was room

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
        has_room = self._ask()
        answered = time.monotonic()
        pause = min(max(_FACTOR * (answered - now), _MIN_PAUSE), _MAX_PAUSE)
        self._full_until = 0.0 if has_room else answered + pause
        return has_room
