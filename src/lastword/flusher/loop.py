"""The flusher at work: be elected, look, send, settle, and leave when there is nothing more to do."""

from __future__ import annotations

import os
import random
import time
from typing import Optional

from lastword.errors import RecordRefused
from lastword.flusher import schedule
from lastword.flusher.delivery import Courier
from lastword.flusher.settle import Bookkeeper, sweep_births
from lastword.http_sender import HttpSender
from lastword.spool import start
from lastword.spool.layout import Layout
from lastword.spool.ledger import Ledger
from lastword.spool.lock import LifetimeLock
from lastword.spool.watch import Waiting, WatchedWriter
from lastword.wire.format import Delivered, Refused


class Leadership:
    """What one flusher does from its election to its leaving. Everything here is done under ``flusher.lock``."""

    def __init__(self, layout: Layout, sender: HttpSender) -> None:
        self._layout = layout
        self._ledger = Ledger.load(layout)
        self._books = Bookkeeper(layout, self._ledger)
        self._courier = Courier(layout, sender)
        self._writers: dict[str, WatchedWriter] = {}
        sweep_births(layout)

    def look(self, now: float) -> None:
        """Find writers that are new or gone, and what the others have written."""
        known = self._ledger.writers
        self._writers = {id: writer for id, writer in self._writers.items() if id in known}  # the others are retired
        for writer_id in set(os.listdir(self._layout.writers)) - self._ledger.retired - set(self._writers):
            self._writers[writer_id] = WatchedWriter(self._layout, writer_id, self._ledger.entry(writer_id))
        for writer in self._writers.values():
            writer.refresh(now)
            if writer.gone:
                self._books.write_off(writer, now)

    def work(self) -> bool:
        """Try what may be tried now; true when anything came of it."""
        progress = False
        for writer in self._writers.values():
            for line in list(writer.waiting()):
                progress = self._handle(writer, line) or progress
                self._books.checkpoint_if_due(time.time())
        return self._books.clean_up(self._writers.values(), time.time()) or progress

    def finish(self) -> None:
        """Checkpoint and let go of every file."""
        self._books.close()
        self._books.checkpoint()

    @property
    def has_living_writers(self) -> bool:
        return any(not writer.dead for writer in self._writers.values())

    @property
    def is_tidying(self) -> bool:
        """Whether a segment that was unlinked is still to be read once more."""
        return self._books.has_graves

    @property
    def holds_anything(self) -> bool:
        """Whether a record waits that could be sent. One without a destination waits for a human."""
        return any(line.can_be_handled for writer in self._writers.values() for line in writer.waiting())

    def _handle(self, writer: WatchedWriter, line: Waiting) -> bool:
        now = time.time()
        try:
            if line.damage is not None:
                self._books.settle_damage(writer, line, line.damage, now)
                return True
            return line.to is not None and self._send(writer, line, line.to)
        except (OSError, RecordRefused):
            return False  # no room to set it aside, or unreadable just now: it stays, and the next look tries again

    def _send(self, writer: WatchedWriter, line: Waiting, key: str) -> bool:
        health = self._ledger.health(key)
        if not schedule.may_send(health, time.time()):
            return False
        record = writer.read(line)
        attempt = self._courier.attempt(record, key)
        now = time.time()
        schedule.note_verdict(health, attempt.verdict, now, random.random())
        health.uncertain += attempt.ambiguous
        self._books.mark_changed(now)
        if isinstance(attempt.verdict, Delivered):
            self._books.settle_delivered(writer, line, now)
        elif isinstance(attempt.verdict, Refused):
            self._books.settle_refused(writer, line, attempt.verdict.reason, now)
        else:
            return False
        return True


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
        lock = LifetimeLock.acquire(self._layout.flusher_lock)
        start.clear_failures(self._layout)
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
        busy_at = time.monotonic()
        while True:
            seen = _everything_in(self._layout)
            if not lock.in_place():  # the spool was removed; if there is a new one, it is not ours
                return seen
            leadership.look(time.time())
            progress = leadership.work()
            now = time.monotonic()
            if progress or leadership.has_living_writers or leadership.is_tidying:
                busy_at = now
            if self._may_leave(leadership, now - busy_at, progress):
                leadership.finish()
                return seen
            if not progress:
                time.sleep(schedule.LOOK_INTERVAL)

    def _may_leave(self, leadership: Leadership, idle_for: float, progress: bool) -> bool:
        if self._stopped_at is None:
            return schedule.may_leave(idle_for=idle_for, held=leadership.holds_anything)
        return not progress or time.monotonic() - self._stopped_at > schedule.DRAIN_AT_TERM


def _everything_in(layout: Layout) -> dict[str, list[str]]:
    """Every writer and its files: an event that is new shows as a new name, for only a new writer can bring it."""
    try:
        return {name: sorted(os.listdir(layout.writer(name))) for name in sorted(os.listdir(layout.writers))}
    except OSError:
        return {}
