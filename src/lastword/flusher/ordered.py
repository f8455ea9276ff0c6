"""Carry out the orders of commands: replay, purge and redirect events.

A replayed event is the same event once more: a writer of the leader's own writes its record again, and the event goes
from *set aside* back to *held*. So ``recorded`` must not grow: the totals are reduced by the new record. A purged event
is dropped, with that reason.

The sequence that loses nothing: append the new record, write the checkpoint, remove the file set aside. A kill between
the last two leaves a file that the ledger no longer counts; the order still exists, so it is carried out again, and the
event is sent twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from itertools import islice

from lastword.audit import kept_events
from lastword.audit.kept_events import Kept
from lastword.errors import ConfigError, RecordRefused, SpoolError
from lastword.flusher.settle import Bookkeeper
from lastword.flusher.waiting_line import State
from lastword.flusher.watch import WatchedWriter
from lastword.interruption import failures, suppressed
from lastword.spool import aside, destination, inside, orders
from lastword.spool.layout import Layout, read_small_file
from lastword.spool.ledger import dropped, set_aside
from lastword.spool.orders import PURGE, REPLAY, Answer, Order
from lastword.spool.record import body_of, readdressed
from lastword.spool.redirects import Redirects
from lastword.spool.writer import Writer, WriterLost

PURGED = "purged"

_UNREACHABLE = "{} was not found, is being sent just now, or stands behind too many others"

#: Number of events after which a checkpoint is written and their files are removed.
_BATCH = 64

#: Most orders carried out in one scan, and most problems reported for each.
_MOST_ORDERS, _MOST_TROUBLE = 16, 100


class Orders:
    """Checks for orders at every scan of the leader, and carries them out."""

    def __init__(self, layout: Layout, books: Bookkeeper) -> None:
        self.redirects = Redirects(layout)
        self._layout = layout
        self._books = books

    def look(self, writers: Mapping[str, WatchedWriter], now: float) -> None:
        """Carry out new orders; ``now`` in Unix seconds. Raises SpoolError if the ledger cannot be written."""
        given = self.redirects.refresh(now)
        if given:
            for writer in writers.values():
                writer.redirect(given)
        self.redirects.forget_spent(writers)
        for order_id in orders.waiting(self._layout)[:_MOST_ORDERS]:
            order = orders.load(self._layout, order_id)
            try:
                answer = self._carry_out(order, writers, now)
            except failures() as error:
                if isinstance(error, SpoolError):
                    raise
                answer = Answer(0, [f"lastword failed at it: {error!r}"[:200]])
            orders.answer(self._layout, order_id, answer)

    def _carry_out(self, order: Order | None, writers: Mapping[str, WatchedWriter], now: float) -> Answer:
        if order is None or order.do not in (REPLAY, PURGE):
            return Answer(0, ["it is not known to this version of lastword"])
        missing = set(order.ids or ())
        chosen = self._chosen(None if order.ids is None else frozenset(missing), missing)
        trouble: list[str] = []
        done = self._replay(chosen, trouble) if order.do == REPLAY else self._purge(chosen)
        if order.do == PURGE and missing:
            purged = self._purge_held(missing, writers, now)
            done, missing = done + len(purged), missing - purged
        told = islice((*trouble, *(_UNREACHABLE.format(id) for id in sorted(missing))), _MOST_TROUBLE)
        untold = len(trouble) + len(missing) - _MOST_TROUBLE
        return Answer(done, [*told, *([f"and {untold} more"] if untold > 0 else [])])

    def _chosen(self, ids: Collection[str] | None, missing: set[str]) -> Iterator[Kept]:
        """Yield the events set aside that have one of these ids (None: all); remove their ids from ``missing``."""
        for one in kept_events.set_aside(self._layout, ids):
            if ids is None or one.id in ids:
                missing.discard(one.id)
                yield one

    def _replay(self, chosen: Iterator[Kept], trouble: list[str]) -> int:
        """Replay these events; return how many. Damage stays set aside: it holds no event."""
        done: list[Kept] = []
        count = 0
        with ExitStack() as stack:
            writer: Writer | None = None
            for one in chosen:
                if one.record is None:
                    trouble.append(f"{one.id} is damaged and cannot be sent")
                    continue
                try:
                    writer = writer or stack.enter_context(Writer.born(self._layout, role="replay"))
                    self._append(writer, one)
                except failures(OSError, ConfigError, SpoolError, RecordRefused, WriterLost) as error:
                    trouble.append(f"{one.id}: {error}")
                    continue
                self._books.ledger.totals.recorded -= 1
                self._count(one, -1)
                done.append(one)
                if len(done) == _BATCH:
                    count += self._remove(done)
            count += self._remove(done)
        return count

    def _append(self, writer: Writer, one: Kept) -> None:
        line = read_small_file(one.path, aside.MOST_OF_A_FILE).partition(b"\n")[2]
        to = None if one.to is None else destination.load(self._layout, one.to)
        writer.append(readdressed(body_of(line), one.to), to)

    def _purge(self, chosen: Iterator[Kept]) -> int:
        """Purge these events; return how many. Damage was never counted as set aside, so it is only removed."""
        done: list[Kept] = []
        count = 0
        for one in chosen:
            if one.record is not None:
                self._count(one, -1)
                self._books.ledger.totals.tally[dropped(PURGED)] += 1
            done.append(one)
            if len(done) == _BATCH:
                count += self._remove(done)
        return count + self._remove(done)

    def _purge_held(self, ids: set[str], writers: Mapping[str, WatchedWriter], now: float) -> set[str]:
        """Drop held events with these ids; return the ids dropped."""
        purged = set()
        for writer in writers.values():
            for line in list(writer.waiting()):
                if line.event_id in ids and line.state is State.HELD:
                    self._books.settle(writer, line, dropped(PURGED), now)
                    purged.add(line.event_id)
        return purged

    def _count(self, one: Kept, by: int) -> None:
        self._books.ledger.totals.tally[set_aside(one.why or "refused")] += by

    def _remove(self, done: list[Kept]) -> int:
        """Remove the files of these events after a checkpoint, and empty the list; return how many there were."""
        if done:
            self._books.checkpoint()
        for one in done:
            with suppressed(OSError):
                inside.unlink(one.path)
        count = len(done)
        done.clear()
        return count
