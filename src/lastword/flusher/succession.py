"""Handing over at a deploy: a newer version takes the lead from an older one, never the other way round.

The first process of the newer version that captures finds an older one leading, and starts its own flusher all the
same. That one takes ``successor.lock`` and waits. Whoever leads, in a thread or in the foreground too, looks at it once
a second: somebody waits, so it finishes, checkpoints and leaves, and does not come back while that lock is held. A
process that was started by a program also leaves when its own installation was removed: it would miss what it has not
imported yet, and the file with the certificate authorities. Others stay then: nobody would come in their place.
"""

from __future__ import annotations

import os
import time
from typing import Optional

from lastword.spool import start
from lastword.spool.layout import Layout
from lastword.spool.leader import is_outdated
from lastword.spool.lock import LifetimeLock, holder

#: How long a newer flusher waits for an older one to leave, in seconds: that may be in the middle of a slow request.
PATIENCE = 20.0

_LOOK_INTERVAL = 1.0


def is_taken(layout: Layout) -> bool:
    """Whether somebody leads, or a newer version waits for it; raises OSError."""
    return holder(layout.flusher_lock) is not None or holder(layout.successor_lock) not in (None, os.getpid())


class Succession:
    """One flusher's part in it, from before its election to its end.

    ``coming`` is a descriptor by whose lock others know that it, of ``interpreter``, is on its way (``spool.start``).
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
        """Whether there is any use in trying to lead: nobody does, or an older version that we can wait for."""
        if holder(self._layout.flusher_lock) is None:
            return True
        if self._place is None and is_outdated(self._layout):
            self._place = LifetimeLock.acquire(self._layout.successor_lock)
            self._layout.wake_flusher()
            self._waits_until = time.monotonic() + PATIENCE
        return self._place is not None

    def wait(self) -> bool:
        """Wait for the leader to leave; false if it did not, or if nobody ever had to be waited for."""
        while self._place is not None and not self.has_led and time.monotonic() < self._waits_until:
            if holder(self._layout.flusher_lock) is None:
                return True
            time.sleep(0.01)
        return False

    def must_leave(self) -> bool:
        """Asked by the flusher that leads, again and again: whether to make way, or to close down for good. Once it is
        so, it stays so.
        """
        self.has_led = True
        if self._coming is not None:  # before it may leave: who finds neither lock held then starts the next one
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
        """Wait for nobody any more."""
        if self._place is not None:
            self._place.release()
            self._place = None
