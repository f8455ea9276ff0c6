"""Carrying out orders: nothing is removed that is not safe elsewhere, and whatever happens the accounts balance."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lastword.audit import kept_events
from lastword.audit.accounts import read_accounts
from lastword.errors import SpoolError
from lastword.flusher.ordered import Orders
from lastword.flusher.settle import Bookkeeper
from lastword.flusher.watch import WatchedWriter
from lastword.spool import aside, orders
from lastword.spool.layout import Layout
from lastword.spool.ledger import Ledger, set_aside
from lastword.spool.orders import Answer, Order
from tests.support.planted import record, writer_of
from tests.support.promise import Section, promise
from tests.support.spools import look

pytestmark = promise(Section.COMMANDS, "The checkpoint is written before the unlink", broken_by="unlink first")

NOW = 1_800_000_000.0


class Desk:
    """A spool in which one writer's records were all set aside, and a leader's orders."""

    def __init__(self, spool: Path, count: int) -> None:
        self.layout = Layout(str(spool))
        with writer_of(spool) as writer:
            self.ids = record(writer, count)
        self.books = Bookkeeper(self.layout, Ledger())
        self.watched = WatchedWriter(self.layout, writer.id, self.books.ledger.entry(writer.id))
        look(self.watched, NOW)
        for line in list(self.watched.waiting()):
            self.books.settle_refused(self.watched, line, "refused", "HTTP 400", NOW)
        self.books.checkpoint()
        self.orders = Orders(self.layout, self.books)

    def carry_out(self, order: Order) -> Answer | None:
        order_id = orders.give(self.layout, order)
        self.orders.look({self.watched.id: self.watched}, NOW)
        return orders.take_answer(self.layout, order_id)

    def aside(self) -> list[str]:
        return [one.id for one in kept_events.set_aside(self.layout)]


def test_a_kill_before_the_checkpoint_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the checkpoint is not made, the file stays, and so does the order: it is carried out again."""
    desk = Desk(tmp_path / "spool", 2)

    def killed() -> None:
        raise SpoolError("killed here")

    monkeypatch.setattr(desk.books, "checkpoint", killed)
    with pytest.raises(SpoolError):
        desk.carry_out(Order(orders.REPLAY))
    assert sorted(desk.aside()) == sorted(desk.ids)
    assert len(orders.waiting(desk.layout)) == 1
    assert read_accounts(desk.layout.spool).missing == 0
    books = Bookkeeper(desk.layout, Ledger.load(desk.layout))
    successor = Orders(desk.layout, books)
    successor.look({}, NOW)
    assert desk.aside() == []
    assert read_accounts(desk.layout.spool).missing == 0


def test_replay_of_many_events_returns_all_to_held(tmp_path: Path) -> None:
    """More than fit into one checkpoint: all of them go back to held, in one writer of the leader's."""
    desk = Desk(tmp_path / "spool", 130)
    assert desk.carry_out(Order(orders.REPLAY)) == Answer(130)
    accounts = read_accounts(desk.layout.spool)
    assert (accounts.recorded, accounts.held, accounts.set_aside, accounts.missing) == (130, 130, {}, 0)
    assert desk.aside() == []


def test_leaders_own_writer_counts_as_dead_at_once(tmp_path: Path) -> None:
    """The writer of replayed events counts as dead at once, although its process is alive: it is retired."""
    desk = Desk(tmp_path / "spool", 1)
    desk.carry_out(Order(orders.REPLAY))
    [own] = desk.layout.writer_ids() - {desk.watched.id}
    replaying = WatchedWriter(desk.layout, own, desk.books.ledger.entry(own))
    look(replaying, NOW)
    assert replaying.dead


def test_damage_cannot_be_replayed_but_purged(tmp_path: Path) -> None:
    """It is said to be damaged and stays; purging removes it, and counts nothing, for it was never counted."""
    desk = Desk(tmp_path / "spool", 1)
    torn = aside.Head("damaged", "torn", NOW)
    aside.put(desk.layout, "w-1-5.damaged", torn, desk.watched.id, "000001.seg", 5, 50)
    answer = desk.carry_out(Order(orders.REPLAY))
    assert answer is not None and answer.done == 1 and "w-1-5 is damaged" in answer.trouble[0]
    assert desk.carry_out(Order(orders.PURGE)) == Answer(1)
    assert os.listdir(desk.layout.set_aside) == []
    assert read_accounts(desk.layout.spool).dropped == {}


def test_replay_without_a_destination_is_answered_with_the_reason(tmp_path: Path) -> None:
    """The event stays set aside; the others are sent."""
    desk = Desk(tmp_path / "spool", 2)
    path = next(Path(one.path) for one in kept_events.set_aside(desk.layout) if one.id == desk.ids[0])
    path.write_bytes(path.read_bytes().replace(b'"to": null', b'"to": "0123456789ab"', 1))
    answer = desk.carry_out(Order(orders.REPLAY))
    assert answer is not None and answer.done == 1 and "cannot be read" in answer.trouble[0]
    assert desk.aside() == [desk.ids[0]]
    assert desk.books.ledger.totals.tally[set_aside("refused")] == -1


@pytest.mark.parametrize("order", [Order("dance"), Order(orders.REPLAY, ["ff" * 16]), Order(orders.PURGE, ["ff" * 16])])
def test_impossible_order_is_answered_once(tmp_path: Path, order: Order) -> None:
    """An order of another version, or for an event that is gone, is answered and does not come again."""
    desk = Desk(tmp_path / "spool", 1)
    answer = desk.carry_out(order)
    assert answer is not None and answer.done == 0 and len(answer.trouble) == 1
    assert orders.waiting(desk.layout) == []
