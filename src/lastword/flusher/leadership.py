"""What one flusher does from its election to its leaving. Everything here is done under ``flusher.lock``."""

from __future__ import annotations

import random
import time

from lastword.errors import RecordRefused
from lastword.flusher import schedule
from lastword.flusher.delivery import Attempt, Courier
from lastword.flusher.outbox import Outbox, Sending
from lastword.flusher.settle import Bookkeeper, sweep_births
from lastword.flusher.upkeep import Upkeep
from lastword.http_sender import HttpSender
from lastword.spool.layout import Layout
from lastword.spool.ledger import Ledger
from lastword.spool.watch import Waiting, WatchedWriter
from lastword.wire.format import Delivered, Refused


class Leadership:
    """Looks, sends and settles, as often as it is told to."""

    def __init__(self, layout: Layout, sender: HttpSender) -> None:
        layout.mend()
        self._layout = layout
        self._ledger = Ledger.load(layout)
        self._books = Bookkeeper(layout, self._ledger)
        self._outbox = Outbox(Courier(layout, sender))
        self._upkeep = Upkeep(layout, self._books)
        self._writers: dict[str, WatchedWriter] = {}
        sweep_births(layout)

    def look(self, now: float) -> None:
        """Find writers that are new or gone, and what the others have written, and keep the spool in order."""
        known = self._layout.writer_ids() | set(self._ledger.writers)  # whose directory is gone is written off
        for writer_id in known - self._ledger.retired - set(self._writers):
            self._writers[writer_id] = WatchedWriter(self._layout, writer_id, self._ledger.entry(writer_id))
        for writer in self._writers.values():
            writer.entry.first_seen = writer.entry.first_seen or now
            writer.refresh(now)
            if writer.gone:
                self._books.write_off(writer, now)
        self._forget_retired()
        self._upkeep.look_after(self._writers, now)

    def work(self) -> bool:
        """Act on what came back and send what may be sent; true when anything came of it."""
        progress = False
        for sending, attempt in self._outbox.verdicts():
            self._act_on(sending, attempt)
            progress = True
        for writer in self._writers.values():
            for line in list(writer.waiting()):
                progress = self._handle(writer, line) or progress
                self._books.checkpoint_if_due(time.time())
        progress = self._books.clean_up(self._writers.values(), time.time()) or progress
        self._forget_retired()
        return progress

    def rest(self, seconds: float) -> None:
        """Wait for the next verdict, or for the time to look again."""
        if self._outbox.empty:
            time.sleep(seconds)
        else:
            self._outbox.wait(seconds)

    def finish(self) -> None:
        """Checkpoint and let go of every file."""
        self._outbox.close()
        self._books.close()
        self._books.checkpoint()

    def abandon(self) -> None:
        """Let go without a word in the ledger: the spool is no longer ours."""
        self._outbox.close()

    @property
    def has_living_writers(self) -> bool:
        return any(not writer.dead for writer in self._writers.values())

    @property
    def is_busy(self) -> bool:
        """Whether a verdict is awaited, or a segment that was unlinked is still to be read once more."""
        return self._books.has_graves or not self._outbox.empty

    @property
    def holds_anything(self) -> bool:
        """Whether a record waits that could be sent. One without a destination waits for a human."""
        return any(line.can_be_handled for writer in self._writers.values() for line in writer.waiting())

    def _forget_retired(self) -> None:
        self._writers = {id: writer for id, writer in self._writers.items() if id in self._ledger.writers}

    def _handle(self, writer: WatchedWriter, line: Waiting) -> bool:
        now = time.time()
        if line.in_flight or line.not_before > now:
            return False
        try:
            if line.damage is not None:
                self._books.settle_damage(writer, line, line.damage, now)
                return True
            return line.to is not None and self._send(writer, line, line.to)
        except (OSError, RecordRefused):  # no room to set it aside, or unreadable just now: it stays
            line.not_before = now + schedule.STUCK_WAIT
            return False

    def _send(self, writer: WatchedWriter, line: Waiting, to: str) -> bool:
        health = self._ledger.health(to)
        if not schedule.may_send(health, time.time()) or not self._outbox.has_room_for(to):
            return False
        self._outbox.send(Sending(writer, line, to), writer.read(line))
        return True

    def _act_on(self, sending: Sending, attempt: Attempt) -> None:
        now = time.time()
        health = self._ledger.health(sending.to)
        health.uncertain += attempt.ambiguous
        schedule.note_verdict(health, attempt.verdict, now, random.random())
        self._books.mark_changed(now)
        if isinstance(attempt.verdict, Delivered):
            self._books.settle_delivered(sending.writer, sending.line, now)
        elif isinstance(attempt.verdict, Refused):
            try:
                self._books.settle_refused(sending.writer, sending.line, attempt.verdict.reason, now)
            except OSError:
                sending.line.not_before = now + schedule.STUCK_WAIT
