"""Upkeep by the leader: what is synced, dropped and reported, how often, and in which words."""

from __future__ import annotations

import errno
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest

from lastword.audit import kept_events
from lastword.audit.accounts import Accounts, read_accounts
from lastword.dsn import Destination, Dsn
from lastword.flusher import schedule, upkeep
from lastword.flusher.loop import Flusher
from lastword.flusher.retention import OWN_REPORT
from lastword.flusher.settle import Bookkeeper
from lastword.flusher.upkeep import Upkeep
from lastword.flusher.watch import WatchedWriter
from lastword.scope.context import new_scope, set_user
from lastword.spool import destination as destination_files
from lastword.spool.layout import Layout
from lastword.spool.ledger import DestinationHealth, Ledger, dropped, set_aside
from lastword.spool.record import encode_event
from lastword.spool.writer import Writer
from lastword.testing import LoopbackTracker
from tests.support.events import message_event
from tests.support.promise import Section, promise
from tests.support.spools import NOW, Process, look, writer_with_segments

HERE, THERE = (Destination(Dsn.parse(f"booboo+http://TOKEN@127.0.0.1:{port}/o/p"), 5.0) for port in (1, 2))


class Ticks:
    """A monotonic clock that goes on when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Ticks:
    ticks = Ticks()
    monkeypatch.setattr(time, "monotonic", ticks)
    return ticks


class Desk:
    """A leader's view of a spool with one writer, and with room for two files set aside."""

    def __init__(self, layout: Layout, writer: Writer) -> None:
        self.layout = layout
        self.ledger = Ledger()
        self.books = Bookkeeper(layout, self.ledger, lambda: 2 * 4096)
        self.upkeep = Upkeep(layout, self.books)
        self.watched = WatchedWriter(layout, writer.id, self.ledger.entry(writer.id))
        self.writers = {writer.id: self.watched}

    def look_after(self, now: Optional[float] = None) -> None:
        look(self.watched, time.time())
        self.upkeep.look_after(self.writers, time.time() if now is None else now)

    def on_disk(self) -> Accounts:
        """The accounts once the leader has written a checkpoint, if it knows that one is due."""
        self.books.clean_up(self.writers.values(), time.time())
        return read_accounts(self.layout.spool)

    def reports(self) -> list[tuple[str, str]]:
        """The reports of losses that wait in the spool: to whom, and of what."""
        told = [(str(one.to), str(one.event["message"]).rpartition(": ")[2]) for one in kept_events.held(self.layout)]
        return [(to, text) for to, text in told if "spool full" in text]


@pytest.fixture
def process(layout: Layout) -> Iterator[Process]:
    process = Process(layout, None)
    yield process
    process.writer.abandon()


@pytest.fixture
def desk(layout: Layout, process: Process) -> Desk:
    return Desk(layout, process.writer)


def test_new_records_are_synced_once_a_second(
    desk: Desk, process: Process, ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the directory with a new segment; nothing where nothing is new."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    process.captures("1")
    segment, directory = process.segment.stat().st_ino, process.directory.stat().st_ino
    for passed, captures, expected in [
        (0.0, False, [segment, directory]),
        (0.75, True, []),
        (0.25, False, [segment]),
        (5.0, False, []),
        (1.0, True, [segment]),
    ]:
        if captures:
            process.captures("another")
        ticks.now += passed
        synced.clear()
        desk.look_after()
        assert synced == expected, passed


def test_disk_that_cannot_sync_keeps_nothing_from_being_done(
    desk: Desk, process: Process, ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut may cost more then, and that is all."""

    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    process.captures("of 2023")
    desk.look_after()
    assert desk.on_disk().dropped == {"too old": 1}


def test_events_that_are_too_old_go_once_a_minute(desk: Desk, process: Process, ticks: Ticks) -> None:
    """And the next checkpoint says so."""
    for passed, gone in [(0.0, 1), (59.0, 1), (1.0, 3), (59.0, 3), (2.0, 5)]:
        process.captures("of 2023")
        ticks.now += passed
        desk.look_after()
        assert desk.on_disk().dropped == {"too old": gone}, passed


def test_files_set_aside_are_trimmed_once_a_minute(desk: Desk, layout: Layout, ticks: Ticks) -> None:
    """Which ends an excess that a lower limit has made; and the next checkpoint says so."""
    for passed, names, gone in [(0.0, "123", 2), (59.0, "45", 2), (1.0, "", 4)]:
        for name in names:
            (Path(layout.set_aside) / f"{name}.record").write_bytes(b'{"why":"refused"}\n')
            desk.ledger.totals.tally[set_aside("refused")] += 1
            desk.ledger.totals.recorded += 1
        ticks.now += passed
        desk.look_after()
        accounts = desk.on_disk()
        assert (accounts.dropped, accounts.missing) == ({"set aside full": gone}, 0), passed


def test_dropped_segments_are_in_the_ledger_before_they_are_unlinked(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some at a time, so that there is room soon; and then the spool is within its limit."""
    writer = writer_with_segments(layout, 12, 2 << 20)
    desk = Desk(layout, writer)
    look(desk.watched, time.time())
    known: list[int] = []
    unlink = os.unlink

    def watched_unlink(name: str, *, dir_fd: int) -> None:
        known.append(Ledger.load(layout).entry(writer.id).tally[dropped("spool full")])
        unlink(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", watched_unlink)
    desk.upkeep.make_room(desk.writers, time.time())
    assert len(known) >= 10
    assert all(count >= 2 * number for number, count in enumerate(known, start=1)), known
    assert known[0] < known[-1]
    assert sum(path.stat().st_size for path in Path(layout.writer(writer.id)).glob("*.seg")) <= 2 << 20
    accounts = read_accounts(layout.spool)
    assert (accounts.recorded, accounts.dropped, accounts.missing) == (25, {"spool full": known[-1]}, 0)
    writer.abandon()


def test_events_that_the_program_ignored_are_no_loss() -> None:
    """Neither events dropped by the program's rules nor lost loss reports are reported."""
    refused = {"before_send": 5, "ignored": 1, "sampled": 2, "flood": 9, "too large": 17, "disk full": 3}
    assert upkeep.losses({"spool full": 200, OWN_REPORT: 1, "nothing": 0}, refused) == {
        "spool full": 200,
        "too large": 17,
        "disk full": 3,
    }


@promise(Section.BOUNDED, "Losses are reported once an hour", broken_by="no interval")
@pytest.mark.parametrize(
    ("told_at", "news"),
    [(0.0, 5), (NOW - 3600, 5), (NOW - 3599, 0), (NOW, 0), (NOW + 100, 5)],
)
def test_losses_are_reported_once_an_hour(told_at: float, news: int) -> None:
    """Only new ones, an hour after the last report; a time in the future delays nothing."""
    found = upkeep.untold(Counter(a=7), Counter(a=2), told_at, NOW)
    assert sum(found.values()) == news


def test_report_of_losses_has_count_time_and_reasons() -> None:
    """How many, since when, and why, the most frequent reason first."""
    assert upkeep.sentence(Counter({"too large": 17, "spool full": 200}), 1_795_348_440.0) == (
        "217 events were lost since 2026-11-22 11:54 UTC: spool full 200, too large 17"
    )
    assert upkeep.sentence(Counter({"too large": 1}), 0.0).startswith("1 event was lost since 1970")


def test_losses_are_one_event_at_the_tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After losses one event reaches the tracker, however often the flusher looks; it counts like any event."""
    monkeypatch.setattr(schedule, "LOOK_INTERVAL", 0.01)
    monkeypatch.setattr(schedule, "LINGER_EMPTY", 0.3)
    monkeypatch.setattr(upkeep, "MINUTE", 0.0)
    layout = Layout(str(tmp_path / "spool"))
    layout.prepare()
    with LoopbackTracker() as tracker:
        destination = Destination(Dsn.parse(tracker.dsn), 5.0)
        writer = Writer.born(layout)
        writer.append(encode_event("ab" * 16, destination.key, message_event()), destination)
        for reason in ("too large", "too large", "sampled"):
            writer.refuse(reason)
        writer.abandon()
        Path(layout.writer(writer.id), "who.json").write_text("{}")
        ledger = Ledger()
        ledger.totals.recorded = ledger.totals.tally[dropped("spool full")] = 3
        ledger.store(layout)
        before = time.time()
        with new_scope():  # as where a program sends from its own thread: the loss is not of the user that it serves
            set_user("ann")
            Flusher(layout).run()
        told = [event.message for event in tracker.events[1:]]
        assert "user" not in (tracker.events[1].body or {})["context"]
    assert len(told) == 1
    assert told[0].startswith("5 events were lost since ")
    assert told[0].endswith(": spool full 3, too large 2")
    ledger = Ledger.load(layout)
    assert ledger.told == {"spool full": 3, "too large": 2}
    assert before <= ledger.told_at <= time.time()
    accounts = read_accounts(layout.spool)
    assert (accounts.recorded, accounts.delivered, accounts.missing) == (5, 2, 0)
    assert accounts.writers == []  # its own too, although this process is alive


@promise(
    Section.NO_BURDEN,
    "A flusher sends its own report of losses before it leaves",
    broken_by="its writer counts as alive as long as its process",
)
def test_flusher_sends_its_own_loss_report_before_it_leaves(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells of losses in the very look after which it leaves: it leads once more, sends that, and then does leave.
    Its writer is not its process's for life.
    """
    monkeypatch.setattr(schedule, "LINGER_EMPTY", 0.0)
    with LoopbackTracker() as tracker:
        destination = Destination(Dsn.parse(tracker.dsn), 5.0)
        destination_files.store(layout, destination)
        ledger = Ledger()
        ledger.destinations[destination.key] = DestinationHealth(last_success_at=NOW)
        ledger.totals.recorded = ledger.totals.tally[dropped("spool full")] = 3
        ledger.store(layout)
        deadline = time.monotonic() + 20
        Flusher(layout).run(until=lambda: time.monotonic() > deadline)
        assert time.monotonic() < deadline
        assert [event.message.rpartition(": ")[2] for event in tracker.events] == ["spool full 3"]
    assert read_accounts(layout.spool).writers == []


@promise(
    Section.BOUNDED,
    "Losses are reported to every destination that takes events, as soon as one does",
    broken_by="one in trouble counts too; only the first; counted as reported although none was recorded",
)
@pytest.mark.parametrize(
    "health",
    [None, DestinationHealth(), DestinationHealth(last_success_at=NOW, failures=1)],
    ids=["not tried yet", "never delivered to", "in trouble"],
)
def test_losses_wait_until_a_destination_takes_events(
    desk: Desk, layout: Layout, ticks: Ticks, health: Optional[DestinationHealth]
) -> None:
    """Checked once a minute; then they are reported once, and after an hour only those that came since."""
    destination_files.store(layout, HERE)
    desk.ledger.totals.tally[dropped("spool full")] = 3
    if health is not None:
        desk.ledger.destinations[HERE.key] = health
    desk.look_after(NOW)
    assert desk.reports() == []
    desk.ledger.destinations[HERE.key] = DestinationHealth(last_success_at=NOW)
    ticks.now += 59
    desk.look_after(NOW + 59)
    assert desk.reports() == []
    for seconds in (60, 120, 180):
        ticks.now += 60
        desk.look_after(NOW + seconds)
        assert desk.reports() == [(HERE.key, "spool full 3")]
    desk.ledger.totals.tally[dropped("spool full")] = 5
    ticks.now += 3600
    desk.look_after(NOW + 60 + 3600)
    assert sorted(desk.reports()) == [(HERE.key, "spool full 2"), (HERE.key, "spool full 3")]


@promise(Section.BOUNDED, "Losses are reported to every destination that takes events, as soon as one does")
def test_losses_are_reported_to_every_destination_that_takes_events(desk: Desk, layout: Layout, ticks: Ticks) -> None:
    """One that cannot be written to keeps no other from it; if no report was recorded, the next minute tries again."""
    desk.ledger.totals.tally[dropped("spool full")] = 3
    for to in (HERE, THERE):
        desk.ledger.destinations[to.key] = DestinationHealth(last_success_at=NOW)
    desk.look_after(NOW)
    assert desk.reports() == []
    destination_files.store(layout, THERE)
    ticks.now += 60
    desk.look_after(NOW + 60)
    assert desk.reports() == [(THERE.key, "spool full 3")]
    destination_files.store(layout, HERE)
    desk.ledger.totals.tally[dropped("spool full")] = 4
    ticks.now += 3600
    desk.look_after(NOW + 60 + 3600)
    new = [(HERE.key, "spool full 1"), (THERE.key, "spool full 1")]
    assert sorted(desk.reports()) == sorted([*new, (THERE.key, "spool full 3")])
