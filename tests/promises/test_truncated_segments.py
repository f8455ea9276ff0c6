"""The promise: a segment that somebody truncates (copytruncate, `rsync --inplace`, `: >`) costs what was in it and not
sent yet, which is counted. Everything else is delivered, once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastword.audit.accounts import read_accounts
from lastword.flusher import schedule
from lastword.flusher.leadership import Leadership
from lastword.spool.layout import Layout, segment_name
from lastword.spool.ledger import Ledger
from lastword.spool.record import encode_event, frame
from lastword.testing import LoopbackTracker
from tests.support.events import message_event
from tests.support.programs import Program, wait_for_accounts, wait_until_no_flusher
from tests.support.promise import Section, promise
from tests.support.spools import Process, flush, impatient_flushers, messages

pytestmark = promise(
    Section.DAMAGE,
    "A truncated segment costs only its unsent records, which are counted; later records arrive",
    broken_by="the writer appends on; the reader stays at its old place; any record taken for the one "
    "that was there; known ones read again; waiting ones not awaited; the last ones not "
    "counted, or not checkpointed",
)


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    with impatient_flushers():
        yield


def look(leadership: Leadership) -> None:
    """Look once, and wait for what comes of it."""
    leadership.look()
    while leadership.work() or leadership.is_busy:
        leadership.rest(0.01)


def come_up(tracker: LoopbackTracker, patch: pytest.MonkeyPatch) -> None:
    """The outage is over, and no pause goes on."""
    tracker.come_up()
    patch.setattr(schedule, "may_send", lambda *_: True)


def send_the_rest(layout: Layout, tracker: LoopbackTracker) -> None:
    """By another flusher, which knows of no outage."""
    tracker.come_up()
    ledger = Ledger.load(layout)
    ledger.destinations.clear()
    ledger.store(layout)
    flush(layout)


def arrived(tracker: LoopbackTracker) -> dict[str, int]:
    """How often each event of the program has: not what the flusher itself tells of losses."""
    return {message: count for message, count in messages(tracker).items() if "lost" not in message}


@pytest.mark.parametrize("cut", ["to nothing", "within a record", "between two records"])
@pytest.mark.parametrize("before", ["sent", "seen", "not seen"])
@pytest.mark.parametrize("goes_on", [True, False], ids=["the same flusher", "another flusher"])
def test_records_lost_by_truncation_are_counted(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, cut: str, before: str, goes_on: bool
) -> None:
    """Whether a flusher had sent or only seen what was in there, and goes on or is followed; and the writer goes on."""
    with LoopbackTracker() as tracker:
        if before != "sent":
            tracker.go_down()
        process = Process(layout, tracker.dsn, "1", "2", "3")
        leadership = Leadership(layout)
        if before != "not seen":
            look(leadership)
        if not goes_on:
            leadership.finish()
        bounds = process.bounds()
        left = 0 if cut == "to nothing" else 1
        os.truncate(process.segment, bounds[2] - 10 if cut == "within a record" else bounds[left])
        if goes_on:
            look(leadership)
        process.captures("4")
        process.captures("5")
        if goes_on:
            look(leadership)
            come_up(tracker, monkeypatch)
            look(leadership)
            leadership.finish()
        process.ends()
        send_the_rest(layout, tracker)
        kept = ["1", "2", "3"] if before == "sent" else ["1"][:left]
        assert arrived(tracker) == dict.fromkeys([*kept, "4", "5"], 1)
    accounts = read_accounts(layout.spool)
    assert (accounts.held, accounts.missing) == (0, 0)
    assert accounts.dropped.get("damaged", 0) == 3 - len(kept)


def test_last_records_of_a_process_are_counted_as_lost(layout: Layout) -> None:
    """Nothing comes behind them whose number could tell of them, and the flusher is killed."""
    process = Process(layout, None, "1", "2", "3")
    leadership = Leadership(layout)
    look(leadership)
    os.truncate(process.segment, 0)
    look(leadership)
    time.sleep(schedule.CHECKPOINT_INTERVAL)
    leadership.work()
    leadership.abandon()
    accounts = read_accounts(layout.spool)
    assert (accounts.recorded, accounts.held, accounts.dropped) == (3, 0, {"damaged": 3})


def test_records_appended_after_a_truncation_are_read(layout: Layout) -> None:
    """One that was between its look and its write, or is of an older version, appends to what is left of the file; the
    places of its records are those of older ones, which are gone.
    """
    with LoopbackTracker() as tracker:
        process = Process(layout, tracker.dsn, "sent", "gone")
        leadership = Leadership(layout)
        look(leadership)
        tracker.go_down()
        process.captures("held")
        look(leadership)
        key = process.destination.key if process.destination else None
        for seq, looks in ((4, True), (5, False), (6, True)):
            os.truncate(process.segment, 0)
            event = message_event(f"after {seq}", stack=[])
            with process.segment.open("ab") as segment:
                segment.write(frame(encode_event(event["id"], key, event), seq))
            if looks:
                look(leadership)
        leadership.finish()
        process.ends()
        send_the_rest(layout, tracker)
        assert arrived(tracker) == {"sent": 1, "gone": 1, "after 6": 1}
    accounts = read_accounts(layout.spool)
    assert (accounts.held, accounts.missing) == (0, 0)
    assert accounts.dropped["damaged"] == 3  # the third, the fourth, and the fifth, which no flusher ever saw


def test_other_record_at_the_same_place_is_not_taken_for_the_lost_one(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the same length; the lost record is counted as damaged."""
    with LoopbackTracker() as tracker:
        tracker.go_down()
        process = Process(layout, tracker.dsn, "a")
        leadership = Leadership(layout)
        look(leadership)
        event = {**message_event("b", stack=[]), "id": "cd" * 16}
        key = process.destination.key if process.destination else None
        process.writer.append(encode_event("cd" * 16, key, event), process.destination)
        _, second = process.segment.read_bytes().splitlines(keepends=True)
        process.segment.write_bytes(second + second)
        come_up(tracker, monkeypatch)
        look(leadership)
        look(leadership)
        leadership.finish()
        process.ends()
        send_the_rest(layout, tracker)
        assert arrived(tracker) == {"b": 1}
    assert read_accounts(layout.spool).dropped == {"damaged": 1}


def test_repeated_truncation_under_load_loses_only_counted_records(tmp_path: Path) -> None:
    """copytruncate under load, at any moment: each event that was acknowledged is delivered, or counted as damaged."""
    spool = tmp_path / "spool"
    body = "for number in range(400): acked(lastword.capture_message(str(number))); time.sleep(0.001)"
    with LoopbackTracker() as tracker, Program(body, spool=spool, dsn=tracker.dsn) as program:
        truncated = 0
        for number in range(400):
            program.line()
            if number % 40 == 20:
                for path in spool.glob("v1/writers/*/0*.seg"):
                    os.truncate(path, 0)
                    truncated += 1
        program.end()
        assert truncated >= 10
        accounts = wait_for_accounts(spool, lambda seen: seen.held == 0 and not seen.writers, "the end")
        wait_until_no_flusher(spool)
        delivered = arrived(tracker)
    assert set(delivered.values()) == {1}
    assert len(delivered) + accounts.dropped.get("damaged", 0) == 400
    assert accounts.missing == 0


def test_a_writer_whose_segment_was_truncated_begins_the_next(layout: Layout) -> None:
    """Numbers go on; the truncated file, whose old places flushers remember, gets no new record."""
    process = Process(layout, None, "1", "2")
    os.truncate(process.segment, 7)
    process.captures("3")
    assert process.segment.stat().st_size == 7
    assert b'"n":3,' in (process.directory / segment_name(2)).read_bytes()
