"""Reasons to try a destination in trouble at once: the trouble may be over by now.

They are: a new process, which may have been started because something was repaired; an event after a quiet time; a
flusher that has just become leader; and a caller that waits in ``flush`` or ``lastword flush``, which touches
``flusher.lock``.
"""

from __future__ import annotations

import random
import time
from collections.abc import Collection

from lastword.flusher import schedule
from lastword.flusher.watch import WatchedWriter
from lastword.interruption import failures
from lastword.spool import inside
from lastword.spool.layout import Layout
from lastword.spool.ledger import Ledger


class Haste:
    """Shortens the pauses of destinations with ``schedule.hurry``."""

    def __init__(self, layout: Layout, ledger: Ledger) -> None:
        self._layout = layout
        self._ledger = ledger
        self._known: set[str] = set()  # writers
        self._heard_at: dict[str, float] = {}  # by destination, by the monotonic clock
        self._touched_at = self._time_of_touch()

    def look(self, changed: Collection[WatchedWriter]) -> None:
        """Check the new records of these writers, and whether a process waits in ``flush``."""
        ticks = time.monotonic()
        due = set()
        for writer in changed:
            for to in filter(None, writer.news):
                was_quiet = ticks - self._heard_at.get(to, 0.0) >= schedule.QUIET_FOR_TRYING
                if was_quiet or writer.id not in self._known:
                    due.add(to)
                self._heard_at[to] = ticks
                self._known.add(writer.id)
            writer.news.clear()
        touched_at = self._time_of_touch()
        if touched_at != self._touched_at:
            self._touched_at = touched_at
            due.update(self._ledger.destinations)
        for to in due & set(self._ledger.destinations):
            schedule.hurry(self._ledger.health(to), self._ledger.now(), random.random())

    def _time_of_touch(self) -> int:
        try:
            return inside.lstat(self._layout.flusher_lock).st_mtime_ns
        except failures(OSError):
            return -1
