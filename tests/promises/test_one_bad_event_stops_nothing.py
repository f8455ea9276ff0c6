"""The promise: whatever a tracker does about one event, or an event does to a flusher, all the others arrive; and what
is the fault of the address or of the tracker is held against no event.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import pytest

from lastword.audit.accounts import read_accounts
from lastword.dsn import Destination, Dsn
from lastword.flusher import outbox, schedule
from lastword.flusher.loop import Flusher
from lastword.flusher.watch import WINDOW
from lastword.spool import start
from lastword.spool.layout import Layout
from lastword.spool.ledger import Ledger
from lastword.spool.record import encode_event
from lastword.spool.writer import Writer
from lastword.testing import LoopbackTracker
from lastword.testing.dialects import Reading
from lastword.testing.exchange import Request
from lastword.wire.format import HttpReply
from tests.support.events import message_event
from tests.support.programs import Program, wait_for_accounts, wait_until, wait_until_no_flusher
from tests.support.promise import Section, promise
from tests.support.witness import WitnessTracker


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "LOOK_INTERVAL", 0.01)
    monkeypatch.setattr(schedule, "LINGER_EMPTY", 0.05)
    monkeypatch.setattr(schedule, "LINGER_HELD", 2.0)
    for pause in ("_LEAST_LIMIT", "_LEAST_PAUSE", "_EVENT_LIMIT", "_MOST_OF_EVENT"):
        monkeypatch.setattr(schedule, pause, 0.02)


def a_process_captured(layout: Layout, dsn: str, *messages: str) -> Writer:
    """What a process leaves that is gone."""
    destination = Destination(Dsn.parse(dsn), 5.0)
    writer = Writer.born(layout)
    for number, message in enumerate(messages):
        event = message_event(message, timestamp=1e9 + number)
        writer.append(encode_event(event["id"], destination.key, event), destination)
    writer.abandon()
    (Path(layout.writer(writer.id)) / "who.json").write_text("{}")
    return writer


def set_aside(layout: Layout) -> list[dict[str, object]]:
    """The first line of each file set aside."""
    return [json.loads(path.read_bytes().partition(b"\n")[0]) for path in Path(layout.set_aside).iterdir()]


def messages(tracker: LoopbackTracker) -> list[str]:
    return [event.message for event in tracker.events]


@promise(
    Section.BAD_EVENT,
    "Delivery goes past an event at which the tracker breaks down",
    broken_by="it stays in its segment",
)
def test_delivery_goes_past_an_event_that_breaks_the_tracker(layout: Layout) -> None:
    """More events than a window holds go past it; it is tried ten times, alone, and then set aside with the reason."""
    rest = [f"good {number}" for number in range(WINDOW + 64)]
    with LoopbackTracker() as tracker:
        tracker.answer(500, about=b"bad one", body=b"no idea")
        a_process_captured(layout, tracker.dsn, "bad one", *rest)
        Flusher(layout).run()
        assert sorted(messages(tracker)) == sorted(rest)
        tries = len(tracker.requests) - len(rest)
    # The last ones have no other event pass between them, and so count for nothing: it goes on waiting.
    accounts = read_accounts(layout.spool)
    assert (accounts.delivered, accounts.held + sum(accounts.set_aside.values()), accounts.missing) == (len(rest), 1, 0)
    assert tries > 1


@promise(
    Section.BAD_EVENT,
    "An event is set aside after ten failed tries between which others passed",
    broken_by="never set aside",
)
def test_event_is_set_aside_after_ten_tries_while_others_pass(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries count only if other events pass in between, over any number of flushers."""
    monkeypatch.setattr(schedule, "LINGER_HELD", 0.3)
    with LoopbackTracker() as tracker:
        tracker.answer(500, about=b"bad one", body=b"no idea")
        a_process_captured(layout, tracker.dsn, "bad one", "good")
        rounds = 0
        while not read_accounts(layout.spool).set_aside:
            rounds += 1
            assert rounds < 40
            Flusher(layout).run()
            assert read_accounts(layout.spool).missing == 0
            a_process_captured(layout, tracker.dsn, "good", "good")
            Flusher(layout).run()
        tries = len(tracker.requests) - len(tracker.events)
        assert tries >= schedule.MOST_TRIES
    accounts = read_accounts(layout.spool)
    assert (accounts.held, accounts.set_aside, accounts.missing) == (0, {"failed": 1}, 0)
    [head] = set_aside(layout)
    assert head["why"] == "failed"
    assert "no idea" in str(head["reason"])
    assert os.listdir(layout.writers) == []


@promise(Section.BAD_EVENT, "An event that waits alone stays the same event", broken_by="never alone; counted anew")
def test_an_event_that_waits_alone_is_the_same_event(layout: Layout) -> None:
    """It is held, not counted anew, and goes when the tracker takes it, in the hands of another flusher too."""
    with LoopbackTracker() as tracker:
        tracker.answer(500, about=b"bad one")
        rest = [f"good {number}" for number in range(40)]  # enough for some to be sent after it
        writer = a_process_captured(layout, tracker.dsn, "bad one", *rest)
        Flusher(layout).run()
        assert [name[:2] for name in os.listdir(layout.writer(writer.id)) if name.endswith(".seg")] == ["d-"]
        accounts = read_accounts(layout.spool)
        assert (accounts.recorded, accounts.held, accounts.delivered, accounts.missing) == (41, 1, 40, 0)
        tracker.answer_normally()
        Flusher(layout).run()
        assert messages(tracker).count("bad one") == 1
    accounts = read_accounts(layout.spool)
    assert (accounts.recorded, accounts.held, accounts.delivered, accounts.missing) == (41, 0, 41, 0)
    assert os.listdir(layout.writers) == []


@promise(Section.BAD_EVENT, "A copy that no checkpoint knows of is ignored", broken_by="used")
def test_copy_without_a_checkpoint_is_ignored(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that no checkpoint knows of is not believed: the record is still where it was, and is sent once."""
    with LoopbackTracker() as tracker:
        writer = a_process_captured(layout, tracker.dsn, "1", "2")
        directory = Path(layout.writer(writer.id))
        line = (directory / "000001.seg").read_bytes().splitlines(keepends=True)[0]
        (directory / f"d-000001-0-{'a' * 32}.seg").write_bytes(line)
        assert read_accounts(layout.spool).held == 2
        Flusher(layout).run()
        assert messages(tracker) == ["1", "2"]
    accounts = read_accounts(layout.spool)
    assert (accounts.recorded, accounts.delivered, accounts.missing) == (2, 2, 0)
    assert os.listdir(layout.writers) == []


@promise(Section.BAD_EVENT, "403 and 404 count against the event once others have passed", broken_by="held for ever")
@pytest.mark.parametrize("status", [403, 404])
def test_403_counts_against_the_event_once_others_have_passed(layout: Layout, status: int) -> None:
    """And never against the other events."""
    with LoopbackTracker() as tracker:
        tracker.answer(status, about=b"bad one")
        rest = [f"good {number}" for number in range(40)]
        a_process_captured(layout, tracker.dsn, "bad one", *rest)
        Flusher(layout).run()
        assert sorted(messages(tracker)) == sorted(rest)
    accounts = read_accounts(layout.spool)
    assert (accounts.held, accounts.set_aside) == (0, {"refused": 1})


@promise(
    Section.BAD_EVENT,
    "A tracker in trouble counts against no event, and trying keeps no flusher alive",
    broken_by="not checked whether others passed; each try counts as work",
)
def test_a_tracker_in_trouble_holds_nothing_against_its_events(layout: Layout) -> None:
    """However long every answer is a breakdown, no event waits alone or is set aside for it."""
    with LoopbackTracker() as tracker:
        tracker.answer(500)
        a_process_captured(layout, tracker.dsn, *map(str, range(5)))
        Flusher(layout).run()
        assert len(tracker.requests) > 1
        tracker.answer_normally()
        Flusher(layout).run()
        assert sorted(messages(tracker)) == list(map(str, range(5)))
    assert read_accounts(layout.spool).set_aside == {}


@promise(Section.BAD_EVENT, "An event that is too large is tried once more, smaller", broken_by="set aside at once")
def test_too_large_is_tried_once_more_and_smaller(layout: Layout) -> None:
    """A tracker that says that an event is too large is given a smaller body, once, before the event is set aside."""
    with LoopbackTracker(max_body=600) as tracker:
        a_process_captured(layout, tracker.dsn, "small", "x" * 100_000)
        Flusher(layout).run()
        sizes = [len(request.raw) for request in tracker.requests]
        assert len(tracker.requests) == 3
    assert min(sizes[1:]) < max(sizes[1:]) / 1.5
    assert read_accounts(layout.spool).set_aside == {"refused": 1}


@promise(Section.BAD_EVENT, "At most four requests are sent at once", broken_by="eight")
def test_at_most_four_requests_at_once(layout: Layout) -> None:
    """One to a tracker that has not accepted anything yet, then up to four."""
    with LoopbackTracker() as tracker:
        tracker.be_slow(0.05)
        a_process_captured(layout, tracker.dsn, *map(str, range(40)))
        Flusher(layout).run()
        assert tracker.max_overlap == outbox.PARALLEL
        assert sorted(messages(tracker), key=int) == list(map(str, range(40)))


def test_a_slow_tracker_holds_up_no_other(layout: Layout) -> None:
    """While every thread of one destination waits for an answer, the events of another go."""
    with LoopbackTracker() as slow, LoopbackTracker() as quick:
        slow.be_slow(1.0)
        a_process_captured(layout, slow.dsn, *map(str, range(8)))
        a_process_captured(layout, quick.dsn, *map(str, range(8)))
        Flusher(layout).run()
        assert len(slow.events) == len(quick.events) == 8
        assert max(event.at for event in quick.events) < max(event.at for event in slow.events)


class KillsItsSender(WitnessTracker):
    """Kills the process that sends it an event, if ``is_deadly`` says so of its message."""

    def __init__(self, is_deadly: Callable[[str], bool]) -> None:
        super().__init__()
        self.kills = 0
        self._is_deadly = is_deadly

    def _keep(self, request: Request, reading: Reading) -> Optional[HttpReply]:
        message = (reading.body or {}).get("attributes", {}).get("error.message", "")  # not in its source lines
        if self._is_deadly(message):
            self.kills += 1
            os.kill(self._connection.sender, signal.SIGKILL)
            return None
        return super()._keep(request, reading)


@promise(Section.BAD_EVENT, "An event that kills its flushers is set aside", broken_by="no strikes")
def test_event_that_kills_its_flushers_is_set_aside(tmp_path: Path) -> None:
    """An event that kills every flusher that sends it is set aside after three that sent it alone, and no other."""
    spool = tmp_path / "spool"
    layout = Layout(str(spool))
    body = """
for text in ("one", "two", "poison", "three", "four"): acked(lastword.capture_message(text))
for line in sys.stdin: acked(lastword.capture_message("another"))
"""
    tracker = KillsItsSender(lambda message: message == "poison")
    with tracker, Program(body, spool=spool, dsn=tracker.dsn) as program:
        acked = [program.line() for _ in range(5)]
        poison = acked[2]

        def another() -> bool:
            program.tell("another")
            acked.append(program.line())
            time.sleep(0.05)
            return bool(read_accounts(spool).set_aside)

        wait_until(another, "three deaths")
        program.end()
        wait_until(lambda: tracker.delivered.keys() >= set(acked) - {poison}, "all the others")
        wait_until_no_flusher(spool)
        assert tracker.kills in (schedule.MOST_STRIKES, schedule.MOST_STRIKES + 1)  # the first was not alone, perhaps
    accounts = wait_for_accounts(spool, lambda seen: not seen.writers, "retirement")
    assert (accounts.set_aside, accounts.held, accounts.missing) == ({"poison": 1}, 0, 0)
    [head] = set_aside(layout)
    assert poison in os.listdir(layout.set_aside)[0]
    assert "died" in str(head["reason"])


@promise(
    Section.BAD_EVENT,
    "Flushers that are killed whatever they send make no event poison",
    broken_by="the oldest first, whatever its strikes",
)
def test_flushers_killed_with_any_event_make_none_poison(tmp_path: Path) -> None:
    """Each of six dies with the first event that it sends: another one each time, though the oldest goes first."""
    spool = tmp_path / "spool"
    body = "for line in sys.stdin: acked(lastword.capture_message('another'))"
    deaths = 6
    tracker = KillsItsSender(lambda _: tracker.kills < deaths)
    with tracker, Program(body, spool=spool, dsn=tracker.dsn) as program:
        acked = set()

        def another() -> bool:
            program.tell("another")
            acked.add(program.line())
            time.sleep(0.05)
            return tracker.kills >= deaths

        wait_until(another, "the last death", timeout=60)
        program.end()
        wait_until(lambda: tracker.delivered.keys() >= acked, "all of them")
        wait_until_no_flusher(spool)
    accounts = wait_for_accounts(spool, lambda seen: not seen.writers, "retirement")
    assert (accounts.delivered, accounts.set_aside, accounts.held) == (len(acked), {}, 0)


def test_event_in_flight_at_a_kill_is_sent_by_the_next_flusher(layout: Layout) -> None:
    """A flusher that leaves by itself makes no event suspect."""
    with LoopbackTracker() as tracker:
        a_process_captured(layout, tracker.dsn, "1", "2", "3")
        for _ in range(5):
            flusher = Flusher(layout)
            flusher.stop()
            tracker.go_down()
            flusher.run()
            start.clear_failures(layout)
        tracker.come_up()
        ledger = Ledger.load(layout)
        for health in ledger.destinations.values():
            health.not_before = 0.0
        ledger.store(layout)
        Flusher(layout).run()
        assert sorted(messages(tracker)) == ["1", "2", "3"]
    assert read_accounts(layout.spool).set_aside == {}
