"""One leadership from its election to its end: what it puts on disk and when, and what becomes of events in flight."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from typing import Callable

import pytest

from lastword.audit.accounts import read_accounts
from lastword.errors import SpoolError
from lastword.flusher import schedule
from lastword.flusher.leadership import Leadership
from lastword.flusher.strikes import Strikes
from lastword.spool.layout import Layout
from lastword.spool.ledger import DestinationHealth, Ledger, newest_generation
from lastword.testing import LoopbackTracker
from tests.support.programs import wait_until
from tests.support.promise import Section, promise
from tests.support.spools import Process, append_lock_taken, messages

Elect = Callable[[], Leadership]

#: Seconds: much longer than anything takes here that is not waited for.
LONG = 3600.0


@pytest.fixture
def elect(layout: Layout) -> Iterator[Elect]:
    """Has a new flusher lead."""
    elected: list[Leadership] = []

    def elect() -> Leadership:
        elected.append(Leadership(layout))
        return elected[-1]

    yield elect
    for leadership in elected:
        leadership.abandon()


@pytest.fixture
def tracker() -> Iterator[LoopbackTracker]:
    with LoopbackTracker() as tracker:
        yield tracker


@pytest.fixture
def no_checkpoint_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as anything is in flight."""
    monkeypatch.setattr(schedule, "CHECKPOINT_INTERVAL", LONG)
    monkeypatch.setattr(schedule, "CHECKPOINT_VERDICTS", 1000)


def lead(leadership: Leadership, until: Callable[[], object], what: str) -> None:
    """Have it look and work until ``until()`` is true."""

    def turn() -> object:
        leadership.look()
        leadership.work()
        return until()

    wait_until(turn, what)


def send_one(leadership: Leadership, tracker: LoopbackTracker) -> None:
    """Have it take the verdict on the last event, if any, and send the next. Its answer waits to be taken."""
    before = len(tracker.requests)
    leadership.look()
    leadership.work()
    leadership.rest(20)
    assert len(tracker.requests) == before + 1


@promise(
    Section.NOT_LOST,
    "An event that is in flight when a lead ends is sent by the next flusher",
    broken_by="a flusher that leaves writes no last checkpoint; one that breaks down accuses no event",
)
@promise(
    Section.ONE_LEADER,
    "A flusher that has lost its lock no longer writes the ledger",
    broken_by="a last checkpoint; the lock not asked",
)
@pytest.mark.usefixtures("no_checkpoint_is_due")
@pytest.mark.parametrize(
    ("end", "delivered", "suspect"),
    [(Leadership.finish, 1, False), (Leadership.abandon, 0, True), (Leadership.give_up, 0, False)],
    ids=["it leaves", "it breaks down", "its lock is lost"],
)
def test_end_of_a_leadership(
    layout: Layout,
    tracker: LoopbackTracker,
    elect: Elect,
    end: Callable[[Leadership], None],
    delivered: int,
    suspect: bool,
) -> None:
    """An event in flight stays held, and the next flusher sends it. Only one that leaves writes what it knows: one that
    has lost the lock would write over the ledger of another. Only one that breaks down may have done so for an event.
    """
    process = Process(layout, tracker.dsn, "answered")
    leadership = elect()
    send_one(leadership, tracker)
    in_flight = process.captures("in flight")
    send_one(leadership, tracker)
    generation = newest_generation(layout)
    end(leadership)
    assert (newest_generation(layout) > generation) is bool(delivered)
    accounts = read_accounts(layout.spool)
    assert (accounts.delivered, accounts.held) == (delivered, 2 - delivered)
    assert Strikes(layout).is_suspect(in_flight) is suspect
    lead(elect(), lambda: read_accounts(layout.spool).delivered == 2, "the rest from another flusher")
    assert messages(tracker) == {"answered": 2 - delivered, "in flight": 2}
    process.writer.abandon()


@pytest.mark.usefixtures("no_checkpoint_is_due")
@pytest.mark.parametrize("limit", ["CHECKPOINT_INTERVAL", "CHECKPOINT_VERDICTS"])
def test_checkpoint_waits_until_it_is_due_while_events_are_in_flight(
    layout: Layout, tracker: LoopbackTracker, elect: Elect, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """By time, or by the number of verdicts."""
    process = Process(layout, tracker.dsn, "answered")
    leadership = elect()
    send_one(leadership, tracker)
    process.captures("in flight")
    send_one(leadership, tracker)
    assert leadership.made_progress()
    assert read_accounts(layout.spool).delivered == 0
    tracker.be_slow(LONG)
    process.captures("still in flight")
    leadership.look()
    monkeypatch.setattr(schedule, limit, 0)
    leadership.work()
    assert leadership.is_busy
    assert read_accounts(layout.spool).delivered == 2
    process.writer.abandon()


@pytest.mark.usefixtures("no_checkpoint_is_due")
@pytest.mark.parametrize(("status", "delivered", "failures"), [(202, 1, 0), (503, 0, 1)])
def test_checkpoint_is_written_at_once_when_nothing_is_in_flight(
    layout: Layout, tracker: LoopbackTracker, elect: Elect, status: int, delivered: int, failures: int
) -> None:
    """Of any verdict: ``flush`` and ``status`` read there what became of an event, and how its tracker is."""
    process = Process(layout, tracker.dsn, "1")
    tracker.answer(status, body=b'{"status": "accepted"}')
    leadership = elect()
    send_one(leadership, tracker)
    leadership.work()
    assert not leadership.is_busy
    assert leadership.made_progress() is bool(delivered)
    accounts = read_accounts(layout.spool)
    assert [health.failures for health in accounts.destinations.values()] == [failures]
    assert (accounts.delivered, accounts.held) == (delivered, 1 - delivered)
    process.writer.abandon()


@promise(
    Section.NOT_LOST,
    "No file is removed before its events are settled on disk",
    broken_by="unlinked before the checkpoint; the lead goes on without one",
)
def test_without_a_checkpoint_nothing_is_removed_and_the_lead_ends(
    layout: Layout, tracker: LoopbackTracker, elect: Elect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the ledger cannot be written; the next flusher sends again what it does not know of."""
    process = Process(layout, tracker.dsn, "1").ends()
    leadership = elect()
    send_one(leadership, tracker)

    def broken(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", broken)
        with pytest.raises(SpoolError, match="ledger"):
            leadership.work()
    assert process.segment.exists()
    leadership.abandon()
    lead(elect(), lambda: not process.directory.exists(), "the end of the writer")
    assert messages(tracker) == {"1": 2}


@pytest.mark.parametrize("status", [202, 400, 500])
def test_event_whose_files_are_removed_while_it_is_in_flight_counts_once(
    layout: Layout, tracker: LoopbackTracker, elect: Elect, status: int
) -> None:
    """As removed, whatever the tracker answers then."""
    process = Process(layout, tracker.dsn, "1")
    tracker.answer(status, body=b'{"status": "accepted"}')
    leadership = elect()
    send_one(leadership, tracker)
    process.writer.discard()
    leadership.look()
    leadership.work()
    assert not leadership.is_busy
    leadership.finish()
    accounts = read_accounts(layout.spool)
    assert (accounts.recorded, accounts.dropped, accounts.missing) == (1, {"removed": 1}, 0)
    assert (accounts.delivered, accounts.held, accounts.set_aside) == (0, 0, {})


def test_writer_whose_directory_is_removed_while_nobody_leads_is_written_off(
    layout: Layout, tracker: LoopbackTracker, elect: Elect
) -> None:
    """What is known of its events stays in the accounts, and it is looked for no more."""
    process = Process(layout, tracker.dsn, "1")
    first = elect()
    lead(first, lambda: read_accounts(layout.spool).delivered == 1, "its delivery")
    first.finish()
    process.captures("never read")
    process.writer.discard()
    second = elect()
    second.look()
    assert not second.has_living_writers
    second.finish()
    ledger = Ledger.load(layout)
    assert (ledger.writers, ledger.retired) == ({}, set())
    accounts = read_accounts(layout.spool)
    assert (accounts.recorded, accounts.delivered, accounts.missing) == (1, 1, 0)


def test_event_that_was_sent_alone_when_three_flushers_died_is_sent_no_more(
    layout: Layout, tracker: LoopbackTracker, elect: Elect
) -> None:
    """It is set aside as poison; the events after it are sent."""
    process = Process(layout, tracker.dsn, "deadly")
    for _ in range(1 + schedule.MOST_STRIKES):  # at the first death it was no suspect yet
        leadership = elect()
        send_one(leadership, tracker)
        leadership.abandon()
    process.captures("good")
    lead(elect(), lambda: read_accounts(layout.spool).held == 0, "the end of both")
    assert messages(tracker) == {"deadly": 1 + schedule.MOST_STRIKES, "good": 1}
    accounts = read_accounts(layout.spool)
    assert (accounts.delivered, accounts.set_aside, accounts.missing) == (1, {"poison": 1}, 0)
    process.writer.abandon()


def test_suspects_of_a_death_are_sent_one_after_the_other(
    layout: Layout, tracker: LoopbackTracker, elect: Elect
) -> None:
    """Else nobody would know which of them was deadly."""
    process = Process(layout, tracker.dsn, *"12345678")
    leadership = elect()
    send_one(leadership, tracker)
    leadership.abandon()
    tracker.be_slow(0.02)
    lead(elect(), lambda: read_accounts(layout.spool).delivered == 8, "all")
    assert tracker.max_overlap == 1
    process.writer.abandon()


@promise(Section.BAD_EVENT, "Nothing is sent beside a suspect", broken_by="not asked")
def test_nothing_is_sent_beside_a_suspect(layout: Layout, tracker: LoopbackTracker, elect: Elect) -> None:
    """Not even to another tracker, as long as it is in flight."""
    process = Process(layout, tracker.dsn, "suspect")
    leadership = elect()
    send_one(leadership, tracker)
    leadership.abandon()
    tracker.be_slow(LONG)
    leadership = elect()
    with LoopbackTracker() as another:
        leadership.look()
        leadership.work()
        tracker.wait_for(2)
        Process(layout, another.dsn, "beside").ends()
        leadership.look()
        leadership.work()
        leadership.rest(0.2)  # in which it would come back
        assert another.requests == []
        tracker.go_down()
        lead(leadership, lambda: messages(another) == {"beside": 1}, "the other event")
    process.writer.abandon()


def test_rest_ends_with_a_verdict(layout: Layout, tracker: LoopbackTracker, elect: Elect) -> None:
    """However long it may last."""
    process = Process(layout, tracker.dsn, "1")
    leadership = elect()
    leadership.look()
    leadership.work()
    began = time.monotonic()
    leadership.rest(60.0)
    assert time.monotonic() - began < 30.0
    leadership.work()
    assert leadership.made_progress()
    assert not leadership.made_progress()
    process.writer.abandon()


def test_rest_ends_with_the_pause_of_a_destination(
    layout: Layout, elect: Elect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its events are sent then, not at the next look; pauses that are over, or last longer, do not count."""
    ledger = Ledger()
    for key, left, pause in (("a", 30.0, 40.0), ("b", -30.0, 40.0), ("c", LONG, LONG)):
        ledger.destinations[key] = DestinationHealth(failures=1, not_before=ledger.now() + left, pause=pause)
    ledger.store(layout)
    leadership = elect()
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    leadership.rest(60.0)
    leadership.rest(1.0)
    assert 0.0 < slept[0] <= 30.0
    assert slept[1:] == [1.0]


def begin_a_writer(process: Process) -> None:
    Process(process.writer.layout, None, "another").ends()


def begin_a_segment(process: Process) -> None:
    for _ in range(3):
        process.captures("x" * 600_000)


def record_past_the_lock(process: Process) -> None:
    with append_lock_taken(process.writer):
        process.captures("2")


@pytest.mark.parametrize("change", [begin_a_writer, begin_a_segment, record_past_the_lock])
def test_leader_that_wants_to_leave_sees_what_came_after_its_last_look(
    layout: Layout, elect: Elect, change: Callable[[Process], None]
) -> None:
    """A new writer, or a new segment of any kind; else what was just recorded would wait for nobody."""
    process = Process(layout, None, "1")
    leadership = elect()
    assert not leadership.has_seen_everything()
    leadership.look()
    assert leadership.has_seen_everything()
    change(process)
    assert not leadership.has_seen_everything()
    leadership.look()
    assert leadership.has_seen_everything()
    process.writer.abandon()
