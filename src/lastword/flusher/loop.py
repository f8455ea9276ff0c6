"""The flusher's main loop: get elected, scan, send, settle, and leave when there is nothing more to do."""

from __future__ import annotations

import os
import time
from typing import Callable, Optional

from lastword.errors import SpoolError
from lastword.flusher import schedule
from lastword.flusher.leadership import Leadership
from lastword.spool import inside, leader, start
from lastword.spool.layout import Layout
from lastword.spool.lock import LifetimeLock

#: How many seconds to wait for the lock while another thread of this process probes it. A probe takes microseconds, but
#: its thread may have to wait for the processor. Giving up sooner could leave events without a flusher.
_PROBE_PATIENCE = 1.0


class Flusher:
    """Leads a spool until there is nothing more to do, or until ``stop`` is called (from a signal handler).

    With ``stays`` it does not leave when there is no work. Until ``stop_ends`` (by the monotonic clock) a service may
    be stopping and waiting for its flusher too: until then, once no writer is alive, it does not stay for held events.

    Attributes:
        is_needed_again: it was told to stop while events waited and a process lived that may have written them. That
            process may never capture again, so no other process would start the next flusher.
    """

    def __init__(self, layout: Layout, *, stays: bool = False, stop_ends: float = 0.0) -> None:
        self._layout = layout
        self._stays = stays
        self._stop_ends = stop_ends
        self.is_needed_again = False
        self._leaves_by: Optional[float] = None  # by the monotonic clock, once it was told to stop

    def stop(self, within: float = schedule.DRAIN_AT_TERM) -> None:
        """Go on for at most ``within`` seconds, as long as something can be sent, then leave. Records still in flight
        then are sent again by the next flusher. If called several times, the earliest deadline counts.
        """
        leaves_by = time.monotonic() + within
        self._leaves_by = leaves_by if self._leaves_by is None else min(self._leaves_by, leaves_by)

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Lead unless another flusher does; return when there is nothing more to do, or when ``until()`` is true.

        Raises SpoolError and OSError.
        """
        with inside.kept(self._layout.base):
            self._run(until)

    def _run(self, until: Callable[[], bool]) -> None:
        start.clear_failures(self._layout)  # before the lock: a kill while it leads is not a failed start
        lock = LifetimeLock.acquire(self._layout.flusher_lock, _PROBE_PATIENCE)
        while lock is not None:
            try:
                leadership = self._lead(lock, until)
            finally:
                lock.release()
            if self._leaves_by is not None:
                now = time.time()
                start.pause(self._layout, now + schedule.PAUSE_AFTER_TERM, stopped_at=now)
                waits = leadership.holds_anything or not leadership.has_seen_everything()
                self.is_needed_again = waits and leadership.has_living_writers
                return
            # A process that recorded between the last scan and the release saw a leader and started none: scan again.
            if until() or leadership.has_seen_everything():
                return
            lock = LifetimeLock.acquire(self._layout.flusher_lock, _PROBE_PATIENCE)

    def _lead(self, lock: LifetimeLock, until: Callable[[], bool]) -> Leadership:
        """Work until it is time to leave; return the leadership, which knows what was seen until then."""
        leader.announce(self._layout)
        leadership = Leadership(self._layout)
        try:
            self._work(leadership, lock, until)
        except BaseException:  # in a user's program the sender threads would otherwise stay behind
            leadership.abandon()
            raise
        return leadership

    def _work(self, leadership: Leadership, lock: LifetimeLock, until: Callable[[], bool]) -> None:
        busy_at = looked_at = time.monotonic()
        signed_at = time.time()
        leadership.look()
        while True:
            progress = leadership.work()
            now = time.monotonic()
            if leadership.made_progress() or leadership.has_living_writers:
                busy_at = now
            if until() or self._may_leave(leadership, now - busy_at, progress):
                leadership.finish()
                return
            interval = schedule.look_interval(now - leadership.changed_at)
            if not progress:
                leadership.rest(max(looked_at + interval - now, 0.0))
                while self._may_doze(looked_at) and leadership.all_are_asleep():
                    time.sleep(interval)
            if time.monotonic() - looked_at < interval:
                continue
            if not lock.keep():  # the spool was removed, or the lock was lost and taken by another process
                leadership.give_up()
                self._say_if_exchanged()
                return
            looked_at = time.monotonic()
            # Other processes rely on this sign, so it is also given when the clock was set.
            if not 0.0 <= time.time() - signed_at < leader.SIGN_INTERVAL:
                signed_at = time.time()
                leader.give_sign(self._layout)
            leadership.look()

    def _say_if_exchanged(self) -> None:
        """Raise SpoolError if something else is in the place of the spool. A spool that was removed, and perhaps
        created again, is not reported.
        """
        if os.path.lexists(self._layout.spool) and not self._layout.is_there():
            raise SpoolError(
                f"something else was put in the place of the spool {self._layout.spool} while it was worked on: nothing"
                " was read, written or removed there. See who may write to the directories above it (`lastword doctor`)"
            )

    def _may_doze(self, looked_at: float) -> bool:
        return self._leaves_by is None and time.monotonic() - looked_at < schedule.DOZE

    def _may_leave(self, leadership: Leadership, idle_for: float, progress: bool) -> bool:
        if self._leaves_by is None:
            if self._stays or leadership.is_busy or idle_for < schedule.LINGER_EMPTY:
                return False
            held = leadership.holds_anything and time.monotonic() >= self._stop_ends
            return schedule.may_leave(idle_for=idle_for, held=held)
        idle = not progress and not leadership.is_busy
        return idle or time.monotonic() > self._leaves_by
