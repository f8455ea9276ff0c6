"""The promise: after an outage of some seconds all that was held has arrived within as many, or within three."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Callable

import pytest

from lastword.audit.accounts import read_accounts
from lastword.cli import main
from lastword.dsn import Destination, Dsn
from lastword.flusher import schedule
from lastword.spool.layout import Layout
from lastword.spool.record import encode_event
from lastword.spool.writer import Writer
from lastword.testing import LoopbackTracker
from tests.support.events import message_event
from tests.support.leading import led
from tests.support.programs import run, wait_until
from tests.support.promise import Section, promise

#: Seconds on top of what is promised, for a machine that runs other tests as well. ``scripts/bench recovery`` has none.
BUSY = 5.0


class Process:
    """What records, as a process of its own would."""

    def __init__(self, layout: Layout, tracker: LoopbackTracker) -> None:
        self._to = Destination(Dsn.parse(tracker.dsn), 5.0)
        self._writer = Writer.born(layout)

    def captures(self, count: int = 1) -> Process:
        for _ in range(count):
            event = message_event()
            self._writer.append(encode_event(event["id"], self._to.key, event), self._to)
        return self


def outage(place: Path, begin: Callable[[LoopbackTracker], None], end: Callable[[LoopbackTracker], None]) -> float:
    """Seconds from the end of an outage of one second to the last of the events that were captured in it."""
    layout = Layout(str(place))
    layout.prepare()
    with LoopbackTracker() as tracker, led(layout):
        process = Process(layout, tracker).captures()
        wait_until(lambda: read_accounts(layout.spool).delivered, "the first delivery")
        begin(tracker)
        for _ in range(20):
            process.captures(2)
            time.sleep(0.05)
        returned = time.monotonic()
        end(tracker)
        tracker.wait_for(41, timeout=20)
        return time.monotonic() - returned


KINDS = {
    "refused": (LoopbackTracker.go_down, LoopbackTracker.come_up),
    "503": (lambda tracker: tracker.answer(503), LoopbackTracker.answer_normally),
    "429": (lambda tracker: tracker.answer(429), LoopbackTracker.answer_normally),
    "500": (lambda tracker: tracker.answer(500), LoopbackTracker.answer_normally),
    "404": (lambda tracker: tracker.answer(404, times=2), LoopbackTracker.answer_normally),
    "wrong address": (lambda tracker: tracker.answer(404), LoopbackTracker.answer_normally),
    "wrong key": (lambda tracker: tracker.answer(401), LoopbackTracker.answer_normally),
    "cut": (lambda tracker: tracker.cut_answers(stored=False), LoopbackTracker.answer_normally),
}


@promise(
    Section.RECOVERY,
    "Delivery resumes within the duration of the outage or three seconds, whichever is longer",
    broken_by="pauses from 10 s up; pauses of twice the time",
)
def test_all_is_delivered_three_seconds_after_an_outage_of_one(tmp_path: Path) -> None:
    """Whatever kind of trouble the tracker or the network had."""
    with ThreadPoolExecutor(len(KINDS)) as pool:
        taken = {kind: pool.submit(outage, tmp_path / kind, *KINDS[kind]) for kind in KINDS}
        seconds = {kind: one.result() for kind, one in taken.items()}
    assert max(seconds.values()) < 3.0 + BUSY, seconds


@promise(
    Section.RECOVERY,
    "When 20 of 40 answers are cut off, delivery takes at most five seconds longer",
    broken_by="the pause of other troubles",
)
@pytest.mark.parametrize("stored", [False, True])
def test_twenty_cut_answers_of_forty_cost_five_seconds_at_most(layout: Layout, stored: bool) -> None:
    """Twenty of forty cost five seconds at most: one says nothing against the rest."""
    with LoopbackTracker("backtrace") as tracker, led(layout):
        tracker.cut_answers(stored=stored, times=20)
        began = time.monotonic()
        Process(layout, tracker).captures(40)
        wait_until(lambda: read_accounts(layout.spool).delivered == 40, "every delivery")
        assert time.monotonic() - began < 5.0 + BUSY


def test_event_whose_answer_is_cut_holds_up_no_other(layout: Layout) -> None:
    """It waits alone, and all others pass it."""
    with LoopbackTracker() as tracker, led(layout):
        process = Process(layout, tracker).captures()
        tracker.wait_for(1)
        began = time.monotonic()
        for number in range(10):
            tracker.cut_answers(stored=False, times=1)
            process.captures(2)
            tracker.wait_for(number + 2)
        tracker.wait_for(21, timeout=20)
        assert time.monotonic() - began < 5.0 + BUSY


#: Seconds: longer than a flusher on a busy machine may take to see what was captured.
QUIET = 3.0


def captures_after_a_quiet_time(layout: Layout, process: Process, tracker: LoopbackTracker) -> None:
    """Again, where the flusher saw the one before late, and so no quiet time."""
    for _ in range(5):
        time.sleep(QUIET + 0.5)
        process.captures()
        with suppress(AssertionError):
            tracker.wait_for(lambda _: len(tracker.requests) > 1, timeout=QUIET / 2)
            return


REASONS: dict[str, Callable[[Layout, Process, LoopbackTracker], object]] = {
    "a process that is new": lambda layout, process, tracker: Process(layout, tracker).captures(),
    "a capture after a quiet time": captures_after_a_quiet_time,
    "the command flush": lambda layout, process, tracker: main(["flush", "--spool", layout.spool, "--timeout", "20"]),
    "flush in a program": lambda layout, process, tracker: run(
        "time.sleep(0.3); lastword.capture_message('hello'); assert lastword.flush(20)",
        spool=Path(layout.spool),
        dsn=tracker.dsn,
    ),
}


@promise(
    Section.RECOVERY,
    "A new process, a capture after a quiet time and both kinds of flush cause an immediate try",
    broken_by="each reason left out",
)
@pytest.mark.parametrize("reason", REASONS)
def test_new_process_late_capture_or_flush_cuts_a_pause_short(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    """A pause of half an hour; another event of a process that keeps recording does not cut it."""
    monkeypatch.setattr(schedule, "_LEAST_LIMIT", 3600.0)
    monkeypatch.setattr(schedule, "_MOST_OVERLOADED", 3600.0)
    monkeypatch.setattr(schedule, "_LEAST_PAUSE", 0.05)
    monkeypatch.setattr(schedule, "QUIET_FOR_TRYING", QUIET if "quiet" in reason else 3600.0)
    with LoopbackTracker() as tracker, led(layout):
        tracker.answer(503, times=1)
        process = Process(layout, tracker).captures()
        tracker.wait_for(lambda _: len(tracker.requests) == 1)
        process.captures()
        time.sleep(0.7)  # some looks
        assert len(tracker.requests) == 1
        REASONS[reason](layout, process, tracker)
        tracker.wait_for(2, timeout=15)


@promise(Section.RECOVERY, "Retry-After is obeyed, also by the next flusher", broken_by="cut short like other pauses")
def test_retry_after_is_obeyed_by_every_flusher(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until its Retry-After has passed nothing is tried, by another flusher either, whatever reason there is; then it
    is at once.
    """
    monkeypatch.setattr(schedule, "QUIET_FOR_TRYING", 0.0)
    with LoopbackTracker() as tracker:
        tracker.answer(429, retry_after=2, times=1)
        with led(layout):
            process = Process(layout, tracker).captures()
            tracker.wait_for(lambda _: len(tracker.requests) == 1)
        assert read_accounts(layout.spool).held == 1
        with led(layout):
            Process(layout, tracker).captures()
            process.captures()
            layout.hurry_flusher()
            tracker.wait_for(3, timeout=10)
        refused, taken = tracker.requests[:2]
        assert 2.0 <= taken.at - refused.at < 3.5 + BUSY
