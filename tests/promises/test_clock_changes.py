"""The promise: where the system's clock is wrong, or is set, nothing is lost, and nothing waits for its sake."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lastword.audit.accounts import read_accounts
from lastword.cli import main
from lastword.dsn import Destination, Dsn
from lastword.flusher import schedule
from lastword.flusher.leadership import Leadership
from lastword.spool import clock
from lastword.spool.layout import Layout
from lastword.spool.ledger import DestinationHealth, Ledger
from lastword.spool.record import encode_event
from lastword.spool.writer import Writer
from lastword.testing import LoopbackTracker
from tests.support.events import message_event
from tests.support.leading import led
from tests.support.programs import wait_until
from tests.support.promise import Section, promise
from tests.support.spools import Process, set_aside

HOUR, DAY, YEAR = 3600.0, 86_400.0, 365 * 86_400.0
REAL = time.time

#: By how much the clock is ahead, one after the other.
STEPS = {
    "in local time, then right": (8 * HOUR, 0.0),
    "two weeks behind, then right": (-14 * DAY, 0.0),
    "in 1970, then right": (60.0 - REAL(), 0.0),
    "right, then ahead": (0.0, 8 * HOUR),
    "right, then back": (0.0, -8 * HOUR),
    "years ahead, and back": (0.0, 10 * YEAR, 0.0),
    "back to 1970, and right": (0.0, 60.0 - REAL(), 0.0),
}


class SystemClock:
    """A clock that can be set, for all of this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        monkeypatch.setattr(time, "time", lambda: REAL() + self.ahead)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> SystemClock:
    monkeypatch.setattr(schedule, "LOOK_INTERVAL", 0.02)
    return SystemClock(monkeypatch)


def a_process_captures(layout: Layout, tracker: LoopbackTracker) -> Writer:
    writer, to = Writer.born(layout), Destination(Dsn.parse(tracker.dsn), 5.0)
    event = message_event(timestamp=time.time())
    writer.append(encode_event(event["id"], to.key, event), to)
    return writer


def wait_for_a_failure(layout: Layout) -> None:
    wait_until(lambda: any(health.failures for health in Ledger.load(layout).destinations.values()), "a failure")


@promise(
    Section.RECOVERY, "A clock change holds up nothing and loses nothing", broken_by="the pause's length not checked"
)
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("stays", [True, False], ids=["the flusher stays", "another flusher"])
def test_events_arrive_soon_after_a_clock_change_in_an_outage(
    layout: Layout, system: SystemClock, steps: str, stays: bool
) -> None:
    """Events captured and tried by a wrong clock arrive as soon as after any outage."""
    system.ahead, *others = STEPS[steps]
    with LoopbackTracker() as tracker:
        tracker.go_down()
        a_process_captures(layout, tracker)
        with led(layout):
            wait_for_a_failure(layout)
            for system.ahead in others if stays else ():
                time.sleep(0.1)  # some looks
            if stays:
                tracker.come_up()
                tracker.wait_for(1, timeout=15)
        for system.ahead in others:
            pass
        tracker.come_up()
        with led(layout):
            a_process_captures(layout, tracker)
            tracker.wait_for(2, timeout=15)
            wait_until(lambda: read_accounts(layout.spool).delivered == 2, "a checkpoint")
    assert read_accounts(layout.spool).dropped == {}


@promise(Section.RECOVERY, "A clock change makes a Retry-After neither shorter nor longer", broken_by="times not moved")
@pytest.mark.parametrize("ahead", [8 * HOUR, -8 * HOUR, 10 * YEAR])
@pytest.mark.parametrize("stays", [True, False], ids=["the flusher stays", "another flusher"])
def test_retry_after_keeps_its_length_after_a_clock_change(
    layout: Layout, system: SystemClock, ahead: float, stays: bool
) -> None:
    """A Retry-After is neither shorter nor longer for it."""
    with LoopbackTracker() as tracker:
        tracker.answer(503, retry_after=1.5, times=1)
        a_process_captures(layout, tracker)
        with led(layout):
            wait_for_a_failure(layout)
            began = time.monotonic()
            if stays:
                system.ahead = ahead
                tracker.wait_for(1)
        if not stays:
            system.ahead = ahead
            with led(layout):
                tracker.wait_for(1)
        assert 1.0 < time.monotonic() - began < 8.0


@promise(
    Section.RECOVERY,
    "After a clock change `status` shows the right time to the next try",
    broken_by="times not moved when a ledger is loaded",
)
def test_status_shows_the_time_to_the_next_try_after_a_clock_change(
    layout: Layout, system: SystemClock, capsys: pytest.CaptureFixture[str]
) -> None:
    """The time to the next try is what it was."""
    system.ahead = 8 * HOUR
    ledger = Ledger()
    ledger.destinations["d"] = DestinationHealth(failures=3, not_before=ledger.now() + 20, pause=20, last_error="no")
    ledger.store(layout)
    system.ahead = 0.0
    main(["status", "--spool", layout.spool])
    assert "next try in 20 s" in capsys.readouterr().out


@promise(Section.RECOVERY, "A clock change holds up nothing and loses nothing")
def test_pause_from_another_boot_is_no_longer_than_meant(
    layout: Layout, system: SystemClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing tells a step from the time that passed, a pause is no longer than it was meant to be."""
    ledger = Ledger()
    ledger.destinations["d"] = DestinationHealth(failures=3, not_before=ledger.now() + 20, pause=20)
    ledger.entry("w").first_seen = ledger.now() - DAY
    ledger.store(layout)
    monkeypatch.setattr(clock, "counted_from", lambda: "another boot")
    system.ahead = -8 * HOUR
    found = Ledger.load(layout)
    assert schedule.may_send(found.destinations["d"], found.now())
    assert found.entry("w").first_seen == ledger.entry("w").first_seen


@pytest.mark.parametrize("ahead", [8 * HOUR, -8 * HOUR, 10 * YEAR, -10 * YEAR, 0.2])
def test_all_times_of_the_ledger_move_with_the_clock(layout: Layout, system: SystemClock, ahead: float) -> None:
    """In the same ledger and in a loaded one; "never" stays "never"."""
    ledger = Ledger()
    names = ("failing_since", "not_before", "last_error_at", "last_success_at")
    for name in names:
        setattr(ledger.health("d"), name, ledger.now() - DAY)
    ledger.entry("w").first_seen = ledger.told_at = ledger.now() - DAY
    ledger.health("never")
    ledger.entry("never")
    ledger.store(layout)
    system.ahead = ahead
    ledger.follow_clock()
    for found in (ledger, Ledger.load(layout)):
        assert abs(found.now() - time.time()) < 0.1
        times = [getattr(found.health("d"), name) for name in names]
        times += [found.entry("w").first_seen, found.told_at]
        assert [abs(time.time() - DAY - at) < 0.1 for at in times] == [True] * 6
        assert (found.health("never").not_before, found.entry("never").first_seen) == (0.0, 0.0)


def test_pause_is_over_after_a_suspend(system: SystemClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is, both clocks go on: eight hours later it is eight hours later, and a pause is over."""
    ledger, ticks = Ledger(), clock.ticks
    health = ledger.health("d")
    health.not_before, health.pause = ledger.now() + 60, 60.0
    system.ahead = 8 * HOUR
    monkeypatch.setattr(clock, "ticks", lambda: ticks() + 8 * HOUR)
    ledger.follow_clock()
    assert schedule.may_send(health, ledger.now())
    assert health.not_before < ledger.now() - 7 * HOUR


@promise(
    Section.RECOVERY,
    "A leader compares file times with the clock that set them",
    broken_by="clock changes not followed at a look",
)
def test_leader_compares_file_times_by_the_changed_clock(layout: Layout, system: SystemClock) -> None:
    """It compares the times of files with the clock that they are from; by that it says when it set damage aside."""
    leadership = Leadership(layout)
    for system.ahead in (8 * HOUR, -8 * HOUR):
        process = Process(layout, None)
        process.segment.write_bytes(b"damage\n")
        process.ends()
        leadership.look()
        [(head, _)] = set_aside(layout)
        assert isinstance(head["at"], float) and abs(head["at"] - time.time()) < 5.0
        for path in Path(layout.set_aside).iterdir():
            path.unlink()
    leadership.finish()
