"""The flusher at work: be elected, look, send, settle, and leave when there is nothing more to do."""

from __future__ import annotations

import os
import time
from typing import Optional

from lastword.flusher import schedule
from lastword.flusher.leadership import Leadership
from lastword.http_sender import HttpSender
from lastword.spool import start
from lastword.spool.layout import Layout
from lastword.spool.lock import LifetimeLock


class Flusher:
    """Leads a spool until there is nothing more to do, or until ``stop`` is called (from a signal handler)."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._stopped_at: Optional[float] = None

    def stop(self) -> None:
        """Go on for a few seconds at most, as long as something can be sent, then leave."""
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()

    def run(self) -> None:
        """Lead if nobody else does; returns when there is nothing more to do. Raises SpoolError and OSError."""
        start.clear_failures(self._layout)  # before it is seen to lead: one that is killed then was no failed start
        lock = LifetimeLock.acquire(self._layout.flusher_lock)
        with HttpSender() as sender:
            while lock is not None:
                try:
                    last_seen = self._lead(lock, sender)
                finally:
                    lock.release()
                if self._stopped_at is not None:
                    start.pause(self._layout, time.time() + schedule.PAUSE_AFTER_TERM)
                    return
                # Whoever wrote between our last look and the release found us leading and started nobody: look again.
                if last_seen == _everything_in(self._layout):
                    return
                lock = LifetimeLock.acquire(self._layout.flusher_lock)

    def _lead(self, lock: LifetimeLock, sender: HttpSender) -> dict[str, list[str]]:
        """Work until it is time to leave; returns what was in the spool at the beginning of the last look."""
        leadership = Leadership(self._layout, sender)
        busy_at = looked_at = time.monotonic()
        seen = _everything_in(self._layout)
        leadership.look(time.time())
        while True:
            progress = leadership.work()
            now = time.monotonic()
            if progress or leadership.has_living_writers or leadership.is_busy:
                busy_at = now
            if self._may_leave(leadership, now - busy_at, progress):
                leadership.finish()
                return seen
            if not progress:
                leadership.rest(schedule.LOOK_INTERVAL)
            elif now - looked_at < schedule.LOOK_INTERVAL:
                continue
            if not lock.keep():  # the spool was removed, or the lock dropped and taken by another: no longer ours
                leadership.abandon()
                return seen
            looked_at = time.monotonic()
            seen = _everything_in(self._layout)
            leadership.look(time.time())

    def _may_leave(self, leadership: Leadership, idle_for: float, progress: bool) -> bool:
        if self._stopped_at is None:
            return schedule.may_leave(idle_for=idle_for, held=leadership.holds_anything)
        idle = not progress and not leadership.is_busy
        return idle or time.monotonic() - self._stopped_at > schedule.DRAIN_AT_TERM


def _everything_in(layout: Layout) -> dict[str, list[str]]:
    """Every writer and its files: an event that is new shows as a new name, for only a new writer can bring it."""
    try:
        return {name: _names_in(layout.writer(name)) for name in layout.writer_ids()}
    except OSError:
        return {}


def _names_in(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []
