"""Carrying out what commands ask for: to replay or to purge events, and to redirect them.

An event that is replayed is the same event once more: its record is written anew, by a writer of the leader's own, and
it goes from *set aside* back to *held*. So ``recorded`` stays what it was: what the new record adds is taken off the
totals. What is purged is dropped, with that reason.

The order that loses nothing: the new record is on disk, then the checkpoint says so, then the file set aside goes. A
kill between the last two leaves a file that the accounts know no more of; the order, which is still there, is carried
out again then, and the event is sent twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from lastword.errors import ConfigError, RecordRefused, SpoolError
from lastword.flusher.settle import Bookkeeper
from lastword.spool import aside, destination, inside, kept, orders
from lastword.spool.kept import Kept
from lastword.spool.layout import Layout, read_small_file
from lastword.spool.ledger import dropped, set_aside
from lastword.spool.orders import PURGE, REPLAY, Answer, Order
from lastword.spool.record import body_of, readdressed
from lastword.spool.redirects import Redirects
from lastword.spool.watch import WatchedWriter
from lastword.spool.writer import Writer, WriterLost

PURGED = "purged"

_UNREACHABLE = "{} was not found, is being sent just now, or stands behind too many others"

#: After so many events a checkpoint is made, and their files go.
_BATCH = 64


class Orders:
    """Looks for orders at every look of the leader, and obeys them."""

    def __init__(self, layout: Layout, books: Bookkeeper) -> None:
        self.redirects = Redirects(layout)
        self._layout = layout
        self._books = books

    def look(self, writers: Mapping[str, WatchedWriter], now: float) -> None:
        """Obey what is new; ``now`` in Unix seconds. Raises SpoolError where the ledger cannot be written."""
        given = self.redirects.refresh(now)
        if given:
            for writer in writers.values():
                writer.redirect(given)
        self.redirects.forget_spent(writers)
        for order_id in orders.waiting(self._layout):
            order = orders.load(self._layout, order_id)
            orders.answer(self._layout, order_id, self._carry_out(order, writers, now))

    def _carry_out(self, order: Order | None, writers: Mapping[str, WatchedWriter], now: float) -> Answer:
        if order is None or order.do not in (REPLAY, PURGE):
            return Answer(0, ["it is not known to this version of lastword"])
        chosen = [one for one in kept.set_aside(self._layout) if order.ids is None or one.id in order.ids]
        carry_out = self._replay if order.do == REPLAY else self._purge
        answer = carry_out(chosen)
        missing = set(order.ids or ()) - {one.id for one in chosen}
        if order.do == PURGE and missing:
            purged = self._purge_held(missing, writers, now)
            answer, missing = Answer(answer.done + len(purged), answer.trouble), missing - purged
        return Answer(answer.done, answer.trouble + [_UNREACHABLE.format(id) for id in sorted(missing)])

    def _replay(self, chosen: list[Kept]) -> Answer:
        """Damage stays where it is: there is no event in it."""
        events = [one for one in chosen if one.record is not None]
        trouble = [f"{one.id} is damaged and cannot be sent" for one in chosen if one.record is None]
        if not events:
            return Answer(0, trouble)
        try:
            writer = Writer.born(self._layout, role="replay")
        except (OSError, SpoolError) as error:
            return Answer(0, [*trouble, str(error)])
        with writer:
            done = self._record_anew(writer, events, trouble)
        return Answer(done, trouble)

    def _record_anew(self, writer: Writer, events: list[Kept], trouble: list[str]) -> int:
        done: list[Kept] = []
        for one in events:
            try:
                self._append(writer, one)
            except (OSError, ConfigError, RecordRefused, WriterLost) as error:
                trouble.append(f"{one.id}: {error}")
                continue
            self._books.ledger.totals.recorded -= 1
            self._count(one, -1)
            done.append(one)
            if len(done) % _BATCH == 0:
                self._remove(done[-_BATCH:])
        self._remove(done)
        return len(done)

    def _append(self, writer: Writer, one: Kept) -> None:
        line = read_small_file(one.path, aside.MOST_OF_A_FILE).partition(b"\n")[2]
        to = None if one.to is None else destination.load(self._layout, one.to)
        writer.append(readdressed(body_of(line), one.to), to)

    def _purge(self, chosen: list[Kept]) -> Answer:
        """What was damaged was never counted as set aside, so it just goes."""
        for one in chosen:
            if one.record is not None:
                self._count(one, -1)
                self._books.ledger.totals.tally[dropped(PURGED)] += 1
        self._remove(chosen)
        return Answer(len(chosen))

    def _purge_held(self, ids: set[str], writers: Mapping[str, WatchedWriter], now: float) -> set[str]:
        """Drop those that wait to be sent, or for a human; returns which."""
        purged = set()
        for writer in writers.values():
            for line in list(writer.waiting()):
                if line.event_id in ids and not line.in_flight:
                    writer.settle(line, dropped(PURGED))
                    self._books.mark_changed(now)
                    purged.add(line.event_id)
        return purged

    def _count(self, one: Kept, by: int) -> None:
        self._books.ledger.totals.tally[set_aside(one.why or "refused")] += by

    def _remove(self, done: list[Kept]) -> None:
        self._books.checkpoint()
        for one in done:
            with suppress(OSError):
                inside.unlink(one.path)
