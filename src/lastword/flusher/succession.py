"""Handing over at a deploy: a newer version takes the lead from an older one, never the other way round.

The first process of the newer version that captures finds an older version leading, and starts its own flusher anyway.
That flusher takes ``successor.lock`` and waits. Every leader, also one in a thread or in the foreground, checks this
lock once a second: if it is held, the leader finishes, checkpoints and leaves, and does not come back while the lock is
held. A flusher process that a program started also leaves when its own installation is removed, because it would miss
modules not yet imported, and the file with the certificate authorities. Other flushers stay then: nothing would start
a replacement.
"""

from __future__ import annotations

import os
import time
from typing import Optional

from lastword.spool import start
from lastword.spool.layout import Layout
from lastword.spool.leader import is_outdated
from lastword.spool.lock import LifetimeLock, holder

#: Seconds that a newer flusher waits for an older one to leave, which may be in the middle of a slow request.
PATIENCE = 20.0

_LOOK_INTERVAL = 1.0


def is_taken(layout: Layout) -> bool:
    """Return whether a flusher leads, or another process waits to take the lead; raises OSError."""
    return holder(layout.flusher_lock) is not None or holder(layout.successor_lock) not in (None, os.getpid())


class Succession:
    """One flusher's part in the succession, from before its election to its end.

    ``coming`` is a descriptor that holds ``helper.lock``, which shows other processes that this flusher, run by
    ``interpreter``, is about to lead (``spool.start``).
    """

    def __init__(
        self,
        layout: Layout,
        coming: Optional[int] = None,
        interpreter: str = "",
        *,
        survives_removal: bool = False,
    ) -> None:
        self.has_led = False
        self._coming = coming
        self._interpreter = interpreter
        self._layout = layout
        self._place: Optional[LifetimeLock] = None
        self._waits_until = 0.0
        self._looked_at = time.monotonic()
        self._leaves = False
        self._was_installed = not survives_removal and os.path.exists(__file__)  # not so in a zip archive

    def may_try(self) -> bool:
        """Return whether to try to lead: nothing leads, or an older version does, for which this flusher can wait."""
        if holder(self._layout.flusher_lock) is None:
            return True
        if self._place is None and is_outdated(self._layout):
            self._place = LifetimeLock.acquire(self._layout.successor_lock)
            self._layout.wake_flusher()
            self._waits_until = time.monotonic() + PATIENCE
        return self._place is not None

    def wait(self) -> bool:
        """Wait for the leader to leave; false if it did not, or if there was no older version to wait for."""
        while self._place is not None and not self.has_led and time.monotonic() < self._waits_until:
            if holder(self._layout.flusher_lock) is None:
                return True
            time.sleep(0.01)
        return False

    def must_leave(self) -> bool:
        """Return whether to leave, for a newer version or because the installation is gone. The leader calls this
        again and again; once true, it stays true.
        """
        self.has_led = True
        if self._coming is not None:  # before leaving: a process that finds neither lock held starts the next flusher
            start.remember_leading(self._coming, self._interpreter)
            os.close(self._coming)
            self._coming = None
        self.give_up()
        now = time.monotonic()
        if not self._leaves and now - self._looked_at >= _LOOK_INTERVAL:
            self._looked_at = now
            was_removed = self._was_installed and not os.path.exists(__file__)
            self._leaves = was_removed or holder(self._layout.successor_lock) is not None
        return self._leaves

    def give_up(self) -> None:
        """Stop waiting: release ``successor.lock``."""
        if self._place is not None:
            self._place.release()
            self._place = None
