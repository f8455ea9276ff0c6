"""Check cheaply that a writer has recorded nothing: a flusher does this several times a second for each idle writer.

Records are only appended to the open segment, so its size shows them; ``fstat`` of a descriptor that is kept open costs
half of a ``stat``. A writer that begins a segment touches the directory ``writers`` (``writer``). An idle writer's own
directory, and whether its process is alive, are checked only every ``IDLE_LOOK`` seconds.
"""

from __future__ import annotations

import os
from typing import Optional

from lastword.descriptors import KeptDescriptor
from lastword.interruption import failures
from lastword.spool import inside
from lastword.spool.layout import ALIVE_LOCK, may_have_changed, open_private
from lastword.spool.lock import holder
from lastword.spool.reader import size_of

#: Seconds without a change after which a writer is idle, and seconds between two checks of its directory and lock then.
IDLE_AFTER = 5.0
IDLE_LOOK = 10.0


class Glance:
    """The state of a writer at the last full scan, in which everything was read."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._segment: Optional[str] = None
        self._open: Optional[KeptDescriptor] = None  # of the segment, while the writer is idle
        self._mtime = self._size = -1
        self._looked_at = self._changed_at = 0.0

    def remember(self, segment: Optional[str], now: float) -> bool:
        """Store the state before a full scan with ``segment`` as the open one. Return whether anything has changed."""
        self.close()
        before = self._segment, self._mtime, self._size
        self._segment, self._looked_at = segment, now
        self._mtime, self._size = self._mtime_of_directory(), -1 if segment is None else size_of(segment) or 0
        changed = before != (segment, self._mtime, self._size)
        if changed:
            self._changed_at = now
        return changed

    def shows_no_change(self, now: float) -> bool:
        """Return whether a full scan can be skipped: the writer is idle, and nothing changed since the last scan."""
        self._changed_at = min(self._changed_at, now)  # if the clock was set back, it would never be idle
        if now - self._changed_at < IDLE_AFTER or now < self._looked_at or self._segment is None:
            return False
        if now - self._looked_at >= IDLE_LOOK and not self._lives_unchanged(now):
            return False
        return self._size == self._size_by_descriptor()

    @property
    def open_segment(self) -> Optional[tuple[KeptDescriptor, int]]:
        """(descriptor, size) of an idle writer's open segment: while the size is the same, nothing was recorded."""
        return None if self._open is None else (self._open, self._size)

    def close(self) -> None:
        """Close the descriptor; the next glance opens it again."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _lives_unchanged(self, now: float) -> bool:
        self._looked_at = now
        try:
            alive = holder(os.path.join(self._directory, ALIVE_LOCK)) is not None
        except failures(OSError):
            return False
        return alive and self._mtime >= 0 and not may_have_changed(self._mtime_of_directory(), self._mtime, now)

    def _mtime_of_directory(self) -> int:
        try:
            return inside.lstat(self._directory).st_mtime_ns
        except failures(OSError):
            return -1

    def _size_by_descriptor(self) -> Optional[int]:
        try:
            if self._open is None and self._segment is not None:
                self._open = KeptDescriptor(open_private(self._segment, os.O_RDONLY))
        except failures(OSError):
            return None
        return None if self._open is None else self._open.size()
