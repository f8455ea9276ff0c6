"""The work of one flusher from its election to its exit, all of it under ``flusher.lock``."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from lastword.descriptors import KeptDescriptor
from lastword.errors import SpoolError
from lastword.flusher import schedule
from lastword.flusher.backlog import Backlog, Candidate
from lastword.flusher.consequences import Consequences
from lastword.flusher.corrections import redirect_corrected
from lastword.flusher.haste import Haste
from lastword.flusher.net import Net
from lastword.flusher.ordered import Orders
from lastword.flusher.outbox import Outbox
from lastword.flusher.retention import limits_of
from lastword.flusher.settle import Bookkeeper, sweep_births
from lastword.flusher.strikes import Strikes
from lastword.flusher.upkeep import Upkeep
from lastword.flusher.waiting_line import Waiting
from lastword.flusher.watch import WatchedWriter
from lastword.interruption import failures
from lastword.spool import aside, inside
from lastword.spool.layout import Layout, may_have_changed
from lastword.spool.ledger import Ledger
from lastword.spool.reader import list_segments
from lastword.spool.record import Damage


class Leadership:
    """Scans the spool, sends and settles, each time its methods are called."""

    def __init__(self, layout: Layout) -> None:
        layout.mend()
        self._layout = layout
        self._ledger = Ledger.load(layout)
        self._books = Bookkeeper(layout, self._ledger, lambda: limits_of(self._writers.values()).set_aside)
        self._net = Net(layout)
        self._outbox = Outbox(layout)
        self._strikes = Strikes(layout)
        self._backlog = Backlog(self._strikes.counts)
        self._consequences = Consequences(self._books)
        self._upkeep = Upkeep(layout, self._books)
        self._orders = Orders(layout, self._books)
        self._haste = Haste(layout, self._ledger)
        self._writers: dict[str, WatchedWriter] = {}
        self._clean_up_due = True
        self._progress_seen = 0
        self._asleep: list[tuple[KeptDescriptor, int]] = []
        self._writers_mtime = -1
        self.changed_at = time.monotonic()  # when a scan last found anything new
        with self._net.below("sweeping"):
            sweep_births(layout)
            aside.sweep(layout)

    def look(self) -> None:
        """Find new and removed writers and new records, and keep the spool in order."""
        with inside.kept_to_look(self._layout.writers):
            self._look()

    def _look(self) -> None:
        self._ledger.follow_clock()
        now = self._ledger.now()
        full = self._writers_came_or_went(now)
        if full:
            known = self._layout.writer_ids() | set(self._ledger.writers)  # a writer without a directory is written off
            for writer_id in known - self._ledger.retired - set(self._writers) - self._net.passed_over():
                with self._net.below("a writer") as step:
                    entry = self._ledger.entry(writer_id)
                    self._writers[writer_id] = WatchedWriter(self._layout, writer_id, entry, self._orders.redirects)
                if step.failed:
                    self._net.put_out(writer_id)
        changed = self._sound(lambda writer: writer.refresh(now, full=full))
        if changed:  # before reading: records to be dropped are not worth the time while processes go on writing
            with self._net.below("making room"):
                self._upkeep.make_room(self._writers, now)
        changed = self._sound(lambda writer: self._take_in(writer, now), changed)
        with self._net.below("a look for haste"):
            self._haste.look(changed)
        self._forget_retired()
        with self._net.below("an order"):
            self._orders.look(self._writers, now)
        with self._net.below("a correction"):
            redirect_corrected(self._layout, self._ledger, self._writers.values())
        with self._net.below("upkeep"):
            self._upkeep.look_after(self._writers, now)
        self._asleep = []
        if changed:
            self.changed_at = time.monotonic()
            self._settle_damage(now)
            self._sort_backlog()
        else:
            self._asleep = [each for writer in self._writers.values() if (each := writer.open_segment)]
        leavings = any(writer.dead or writer.settled_segments() for writer in changed)
        self._clean_up_due = bool(self._ledger.retired) or leavings

    def _sound(
        self, act: Callable[[WatchedWriter], object], writers: Collection[WatchedWriter] | None = None
    ) -> list[WatchedWriter]:
        """Call ``act`` with each of these writers, or with all; return those for which it did not return False. A
        writer for which it fails is left out, and passed over for a while.
        """
        found = []
        for writer in list(self._writers.values() if writers is None else writers):
            with self._net.below("a writer") as step:
                if act(writer) is not False:
                    found.append(writer)
            if step.failed:
                self._net.put_out(writer.id)
                if self._writers.pop(writer.id, None) is not None:
                    writer.close()
        return found

    def _take_in(self, writer: WatchedWriter, now: float) -> None:
        settled = writer.entry.settled
        writer.take_in()
        if writer.entry.settled != settled:  # some records seen before are gone
            self._books.mark_changed(now)
        writer.entry.first_seen = writer.entry.first_seen or now
        if writer.gone:
            self._books.write_off(writer, now)

    def work(self) -> bool:
        """Act on the verdicts that came back and send the records that may be sent; true if there was progress."""
        progress = self._take_verdicts()
        progress = self._send_what_may_be_sent() or progress
        now = self._ledger.now()
        idle = self._books.is_behind and self._outbox.empty
        if self._clean_up_due or idle or self._books.checkpoint_is_due(now):
            self._clean_up_due = False
            sound = self._sound(WatchedWriter.settled_segments)  # an unreadable writer is passed over
            with self._net.below("cleaning up"):
                progress = self._books.clean_up(sound, now) or progress
            self._forget_retired()
        return progress

    def rest(self, seconds: float) -> None:
        """Wait for the next verdict or the end of a destination's pause, at most ``seconds``."""
        now = self._ledger.now()
        pauses = [health.time_left(now) for health in self._ledger.destinations.values()]
        seconds = min([seconds, *filter(None, pauses)])
        if self._outbox.empty:
            time.sleep(seconds)
        else:
            self._outbox.wait(seconds)

    def all_are_asleep(self) -> bool:
        """Return whether the last scan found every writer idle, and no writer has come, gone or recorded since. This
        is the cheapest check for many writers.
        """
        try:
            if not self._asleep or self.is_busy:
                return False
            if self._writers_came_or_went(self._ledger.now()):
                self._writers_mtime = -1  # for the scan that follows
                return False
            return all(descriptor.size() == size for descriptor, size in self._asleep)
        except failures(OSError):
            return False

    def finish(self) -> None:
        """Write a last checkpoint and close every file."""
        self._let_go()
        with self._net.below("cleaning up"):
            self._books.close()
        self._books.checkpoint()
        self._strikes.leave()

    def abandon(self) -> None:
        """Close every file without writing the ledger: the flusher breaks down."""
        self._let_go()

    def give_up(self) -> None:
        """Like ``abandon``, but the spool is no longer ours: the events in flight do not become suspects."""
        self._let_go()
        self._strikes.leave()

    def _let_go(self) -> None:
        self._outbox.close()
        for writer in self._writers.values():
            writer.close()

    @property
    def has_living_writers(self) -> bool:
        return any(not writer.dead for writer in self._writers.values())

    @property
    def is_busy(self) -> bool:
        """Whether a verdict is awaited, or an unlinked segment must be read once more."""
        return self._books.has_graves or not self._outbox.empty

    def made_progress(self) -> bool:
        """Return whether anything was settled or removed since the last call; attempts alone do not count."""
        before, self._progress_seen = self._progress_seen, self._books.steps
        return before != self._progress_seen

    @property
    def holds_anything(self) -> bool:
        """Whether any record waits that could be sent. A record without a destination waits for a human."""
        return any(line.can_be_handled for writer in self._writers.values() for line in writer.waiting())

    def has_seen_everything(self) -> bool:
        """Return whether everything in the spool was there at the last scan. New events show as new names, because only
        a new writer can bring them.
        """
        try:
            for writer_id in self._layout.writer_ids() - self._ledger.retired - self._net.passed_over():
                writer = self._writers.get(writer_id)
                if writer is None or not writer.knows(list_segments(writer.directory)):
                    return False
        except failures(OSError):
            pass  # if it cannot be read now, another scan could not read it either
        return True

    def _writers_came_or_went(self, now: float) -> bool:
        """Return whether, since the last scan, a writer may have come, gone or begun a segment."""
        mtime = inside.lstat(self._layout.writers).st_mtime_ns
        before, self._writers_mtime = self._writers_mtime, mtime
        return may_have_changed(mtime, before, now)

    def _sort_backlog(self) -> None:
        def refill(writer: WatchedWriter) -> bool:
            writer.refill()
            return writer.has_more

        self._backlog.sort(self._sound(refill), self._ledger.destinations, self._ledger.now())

    def _forget_retired(self) -> None:
        for writer_id in [id for id in self._writers if id not in self._ledger.writers]:
            self._writers.pop(writer_id).close()

    def _settle_damage(self, now: float) -> None:
        def settle(writer: WatchedWriter) -> None:
            for line in list(writer.waiting()):
                if line.damage is not None and not line.is_left_alone:
                    try:
                        self._books.settle_damage(writer, line, line.damage, now)
                    except failures(OSError):  # no room to set it aside, or unreadable just now: it stays
                        line.leave_alone(schedule.STUCK_WAIT)

        self._sound(settle)

    def _take_verdicts(self) -> bool:
        verdicts = self._outbox.verdicts()
        for sending, attempt in verdicts:
            with self._net.below("settling an event") as step:
                self._strikes.survived(sending.line.event_id)
                if self._consequences.act_on(sending, attempt, self._ledger.now()):
                    self._sort_backlog()
            if step.failed:
                sending.line.leave_alone(schedule.STUCK_WAIT)
        return bool(verdicts)

    def _send_what_may_be_sent(self) -> bool:
        sent = False
        if self._backlog.is_outdated(self._ledger.destinations, self._ledger.now()):
            self._sort_backlog()
        for to in self._backlog.destinations():
            while self._may_send(to):
                candidate = self._next(to)
                if candidate is None:
                    break
                if not self._send(to, *candidate):
                    self._backlog.put_back(to, candidate)
                    break
                sent = True
        return sent

    def _may_send(self, to: str) -> bool:
        if self._strikes.sending_alone or not self._outbox.has_room_for(to):
            return False
        return schedule.may_send(self._ledger.health(to), self._ledger.now())

    def _next(self, to: str) -> Candidate | None:
        candidate = self._backlog.next(to)
        if candidate is None:
            self._sort_backlog()
            candidate = self._backlog.next(to)
        return candidate

    def _send(self, to: str, writer: WatchedWriter, line: Waiting) -> bool:
        """Hand one record to the outbox, or settle it; false if it must wait until all records in flight are back."""
        now = self._ledger.now()
        try:
            if self._strikes.is_poison(line.event_id):
                self._books.settle_refused(writer, line, "poison", schedule.POISON_REASON, now)
                return True
            if self._strikes.is_suspect(line.event_id) and not self._outbox.empty:
                return False
            line.ambiguous = line.ambiguous or self._strikes.is_suspect(line.event_id)
            record = writer.read(line)
            if isinstance(record, Damage):
                self._books.settle_damage(writer, line, record, now)
                return True
            self._strikes.sends(line.event_id, [*self._outbox.ids, line.event_id, *self._backlog.upcoming(to, 32)])
            self._outbox.send(writer, line, to, record)
        except failures(OSError):  # no room to set it aside, or unreadable just now: it stays
            line.leave_alone(schedule.STUCK_WAIT)
        except failures() as error:
            if isinstance(error, SpoolError):
                raise
            self._give_up(writer, line, error, now)
        return True

    def _give_up(self, writer: WatchedWriter, line: Waiting, error: BaseException, now: float) -> None:
        """Set aside an event that lastword itself fails to process; if that fails too, leave it alone for a while."""
        self._net.say("an event", error)
        with self._net.below("setting aside") as step:
            self._books.settle_refused(writer, line, "failed", f"lastword failed at it: {type(error).__name__}", now)
        if step.failed:
            line.leave_alone(schedule.STUCK_WAIT)
