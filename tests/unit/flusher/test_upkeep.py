"""Telling of losses: when, of which, and in which words."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from lastword.audit.accounts import read_accounts
from lastword.dsn import Destination, Dsn
from lastword.flusher import retention, schedule, upkeep
from lastword.flusher.loop import Flusher
from lastword.flusher.retention import OWN_REPORT
from lastword.flusher.watch import WatchedWriter
from lastword.scope.context import new_scope, set_user
from lastword.spool import destination as destination_files
from lastword.spool.layout import Layout
from lastword.spool.ledger import DestinationHealth, Ledger, dropped
from lastword.spool.limits import Limits
from lastword.spool.record import encode_event
from lastword.spool.writer import Writer
from lastword.testing import LoopbackTracker
from tests.support.events import message_event
from tests.support.spools import look

NOW = 1_800_000_000.0


def test_what_the_program_did_not_want_is_no_loss() -> None:
    """Rules of the program's own making, and the loss of an earlier report, are not told of."""
    refused = {"before_send": 5, "ignored": 1, "sampled": 2, "flood": 9, "too large": 17, "disk full": 3}
    assert upkeep.losses({"spool full": 200, OWN_REPORT: 1, "nothing": 0}, refused) == {
        "spool full": 200,
        "too large": 17,
        "disk full": 3,
    }


@pytest.mark.parametrize(
    ("told_at", "news"),
    [(0.0, 5), (NOW - 3600, 5), (NOW - 3599, 0), (NOW, 0), (NOW + 100, 5)],
)
def test_once_an_hour(told_at: float, news: int) -> None:
    """Only what is new, and an hour after the last time; a time in the future holds nobody back."""
    found = upkeep.untold(Counter(a=7), Counter(a=2), told_at, NOW)
    assert sum(found.values()) == news


def test_the_words() -> None:
    """How many, since when, and why, the most frequent reason first."""
    assert upkeep.sentence(Counter({"too large": 17, "spool full": 200}), 1_795_348_440.0) == (
        "217 events were lost since 2026-11-22 11:54 UTC: spool full 200, too large 17"
    )
    assert upkeep.sentence(Counter({"too large": 1}), 0.0).startswith("1 event was lost since 1970")


def test_the_tracker_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_flusher_leaves_behind_a_report_of_its_own(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_loss_of_a_report_is_never_told(tmp_path: Path) -> None:
    """A report that is itself dropped is counted under a reason that no report speaks of."""
    layout = Layout(str(tmp_path / "spool"))
    layout.prepare()
    writer = Writer.born(layout, Limits(spool=0), role="flusher")
    writer.append(encode_event("ab" * 16, None, {}), None)
    ledger = Ledger()
    watched = WatchedWriter(layout, writer.id, ledger.entry(writer.id))
    watched.dead = True
    look(watched, NOW)
    retention.drop_oldest(layout, [watched])
    assert watched.entry.tally == {dropped(OWN_REPORT): 1}
    writer.abandon()
