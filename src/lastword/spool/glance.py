"""Seeing at a glance that nothing has changed: what a flusher does four times a second for each writer that is idle.

Two stats instead of reading: names come and go in the directory, and records only at the end of the open segment.
Whether the process lives costs more to ask, so of a writer that has been idle for a while it is asked less often.
"""

from __future__ import annotations

import os
from typing import Optional

#: Seconds without a change after which a writer is idle, and how often it is looked at in full then.
IDLE_AFTER = 5.0
IDLE_LOOK = 2.0

#: A directory changed this recently (seconds) has to be listed even if its mtime stands still: mtimes are coarse.
MTIME_GRAIN = 1.0


class Glance:
    """What was there at the last full look, in which everything was read."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._segment: Optional[str] = None
        self._mtime = self._size = -1
        self._looked_at = self._changed_at = 0.0

    def remember(self, segment: Optional[str], now: float) -> None:
        """A full look comes now, at which ``segment`` was the open one."""
        before = self._segment, self._mtime, self._size
        self._segment, self._looked_at = segment, now
        self._mtime, self._size = self._stats()
        if before != (segment, self._mtime, self._size):
            self._changed_at = now

    def shows_no_change(self, now: float) -> bool:
        """Whether a full look can be left out: nothing has changed since the last one, nor for a while before."""
        if now - self._changed_at < IDLE_AFTER or not 0 <= now - self._looked_at < IDLE_LOOK:
            return False
        if self._mtime < 0 or now - self._mtime / 1e9 < MTIME_GRAIN:
            return False
        return self._stats() == (self._mtime, self._size)

    def _stats(self) -> tuple[int, int]:
        try:
            mtime = os.stat(self._directory).st_mtime_ns
            return mtime, -1 if self._segment is None else os.stat(self._segment).st_size
        except OSError:
            return -1, -1
