"""A flusher at work, in this process: what it does about events that come at the wrong moment."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Callable

import pytest

from lastword.audit.accounts import read_accounts
from lastword.dsn import Destination, Dsn
from lastword.flusher import schedule
from lastword.flusher.leadership import Leadership
from lastword.flusher.loop import Flusher
from lastword.spool import aside, start
from lastword.spool import lock as lock_module
from lastword.spool.layout import Layout
from lastword.spool.ledger import Ledger, newest_generation
from lastword.spool.lock import LifetimeLock, holder
from lastword.spool.record import encode_event
from lastword.spool.writer import Writer
from lastword.testing import LoopbackTracker
from tests.support.events import message_event
from tests.support.programs import wait_until
from tests.support.promise import Section, promise
from tests.support.spools import Process


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "LOOK_INTERVAL", 0.01)
    monkeypatch.setattr(schedule, "LINGER_EMPTY", 0.05)


def a_process_captures(layout: Layout, dsn: str | None, text: str = "hello") -> Writer:
    """What a process leaves that records one event and is gone."""
    destination = None if dsn is None else Destination(Dsn.parse(dsn), 5.0)
    writer = Writer.born(layout)
    event = {**message_event(), "message": text}
    writer.append(encode_event("ab" * 16, destination.key if destination else None, event), destination)
    writer.abandon()
    (Path(layout.writer(writer.id)) / "who.json").write_text("{}")
    return writer


@contextmanager
def at_work(flusher: Flusher, until: Callable[[], bool] = bool) -> Iterator[threading.Thread]:
    """A flusher that runs beside the test."""
    thread = threading.Thread(target=flusher.run, args=(until,))
    thread.start()
    try:
        yield thread
    finally:
        flusher.stop()
        thread.join(30)
        assert not thread.is_alive()


@promise(
    Section.NOT_LOST,
    "A leaving flusher checks the spool once more after it has released the lock",
    broken_by="no check after the unlock",
)
def test_event_recorded_just_before_the_unlock_keeps_the_flusher(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writer saw a leader and started no flusher: the leaving one checks again, and stays."""
    release = LifetimeLock.release
    with LoopbackTracker() as tracker:
        a_process_captures(layout, tracker.dsn, "first")

        def release_after_a_late_capture(lock: LifetimeLock) -> None:
            if lock.path == layout.flusher_lock:
                monkeypatch.setattr(LifetimeLock, "release", release)
                a_process_captures(layout, tracker.dsn, "late")
                assert holder(layout.flusher_lock) == os.getpid()
            release(lock)

        monkeypatch.setattr(LifetimeLock, "release", release_after_a_late_capture)
        Flusher(layout).run()
        assert [event.message for event in tracker.events] == ["first", "late"]


def test_a_second_flusher_does_nothing(layout: Layout) -> None:
    """It leaves at once, and this does not count as a failed start."""
    lock = LifetimeLock.acquire(layout.flusher_lock)
    start.store(layout, start.StartState(5, time.time() + 30))
    with LoopbackTracker() as tracker:
        a_process_captures(layout, tracker.dsn)
        Flusher(layout).run()
        assert tracker.requests == []
    assert start.load(layout) == start.StartState()
    assert lock is not None
    lock.release()


def test_lock_probe_of_another_thread_does_not_prevent_leading(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long that thread waits for the processor."""
    probe = (os.getpid(), layout.flusher_lock, -1)
    probes = [probe]
    monkeypatch.setattr(lock_module, "_probes", probes)
    threading.Timer(0.1, probes.remove, [probe]).start()
    Flusher(layout).run(until=lambda: True)
    assert os.path.exists(layout.leader)


@promise(
    Section.NOT_LOST,
    "A flusher killed while it sets something aside leaves no half-written file that stays or blocks another",
)
def test_unfinished_files_of_killed_flushers_are_removed(layout: Layout) -> None:
    """In `set_aside` they are removed by the next leader, elsewhere overwritten."""
    left = [f"{layout.leader}.aside", os.path.join(layout.set_aside, "x.damaged.aside")]
    for path in left:
        Path(path).write_bytes(b"{")
    Flusher(layout).run()
    assert [path for path in left if os.path.exists(path)] == []
    assert os.path.exists(layout.leader)


def test_a_tracker_that_is_down_holds_up_no_other(layout: Layout) -> None:
    """Events for one destination wait while those for another go."""
    with LoopbackTracker() as down, LoopbackTracker("backtrace") as up:
        down.go_down()
        for turn in range(3):
            a_process_captures(layout, down.dsn, f"down {turn}")
            a_process_captures(layout, up.dsn, f"up {turn}")
        with at_work(Flusher(layout)):
            events = up.wait_for(3)
            assert {event.message for event in events} == {"up 0", "up 1", "up 2"}
            wait_until(lambda: read_accounts(layout.spool).delivered == 3, "a checkpoint")
            assert read_accounts(layout.spool).held == 3
            down.come_up()
            down.wait_for(3, timeout=30)


def test_a_refused_event_that_cannot_be_set_aside_stays(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no room to keep what was refused, it is not thrown away, and the next event still goes."""

    def no_room(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(aside, "put", no_room)
    monkeypatch.setattr(schedule, "STUCK_WAIT", 0.05)
    with LoopbackTracker() as tracker:
        a_process_captures(layout, tracker.dsn)
        tracker.answer(400, times=1)
        with at_work(Flusher(layout)):
            tracker.wait_for(1)  # the second attempt is taken
            wait_until(lambda: read_accounts(layout.spool).delivered == 1, "a checkpoint")
    assert read_accounts(layout.spool).delivered == 1


def test_flusher_does_not_stay_for_events_without_a_dsn(layout: Layout) -> None:
    """Events that were captured without a DSN are kept, and are no reason for a flusher to stay."""
    a_process_captures(layout, None)
    Flusher(layout).run()
    accounts = read_accounts(layout.spool)
    assert (accounts.held, accounts.held_without_dsn, accounts.missing) == (1, 1, 0)


def test_sigterm_finishes_sending_and_sets_a_pause(layout: Layout) -> None:
    """No other flusher is started for ten seconds."""
    with LoopbackTracker() as tracker:
        for _ in range(5):
            a_process_captures(layout, tracker.dsn)
        flusher = Flusher(layout)
        flusher.stop()
        before = time.time()
        flusher.run()
        assert len(tracker.events) == 5
    assert read_accounts(layout.spool).delivered == 5
    state = start.load(layout)
    assert state.failures == 0
    assert before + schedule.PAUSE_AFTER_TERM <= state.not_before <= time.time() + schedule.PAUSE_AFTER_TERM


def test_every_writer_is_retired_once(layout: Layout) -> None:
    """The figures of the dead are folded into the totals once, and nothing of them is left."""
    with LoopbackTracker() as tracker:
        for _ in range(4):
            a_process_captures(layout, tracker.dsn)
        Flusher(layout).run()
    ledger = Ledger.load(layout)
    assert (ledger.totals.writers, ledger.totals.recorded) == (4, 4)
    assert (ledger.writers, ledger.retired) == ({}, set())
    assert os.listdir(layout.writers) == []


def test_a_lock_that_was_lost_is_not_followed_by_a_removal(layout: Layout) -> None:
    """A writer whose lock is free while its process lives is read, and nothing of it is removed."""
    with LoopbackTracker() as tracker:
        destination = Destination(Dsn.parse(tracker.dsn), 5.0)
        writer = Writer.born(layout)
        writer._alive.release()
        with at_work(Flusher(layout)):
            for count in range(1, 4):
                writer.append(encode_event("ab" * 16, destination.key, message_event()), destination)
                tracker.wait_for(count)
            wait_until(lambda: read_accounts(layout.spool).delivered == 3, "a checkpoint")
        assert os.path.exists(os.path.join(layout.writer(writer.id), "000001.seg"))
    writer.abandon()


@promise(Section.ONE_LEADER, "A flusher that has lost its lock no longer writes the ledger")
def test_flusher_whose_lock_is_lost_writes_no_ledger_any_more(layout: Layout) -> None:
    """Another one may lead by now, whose ledger it would write over; what it knows is found out again."""
    process = Process(layout, None, "1")
    known: list[int] = []

    def loses_its_lock() -> bool:
        if not known:
            known.append(newest_generation(layout))
            os.rename(layout.flusher_lock, f"{layout.flusher_lock}.old")
            Path(layout.flusher_lock).touch(mode=0o600)
        return False

    with at_work(Flusher(layout), loses_its_lock) as thread:
        thread.join(30)
        assert not thread.is_alive()
    assert newest_generation(layout) == known[0]
    process.writer.abandon()


def test_flusher_that_stays_does_not_leave_for_want_of_work(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """So no other flusher takes the lead of a service in between; a stop ends it."""
    looks = []
    look = Leadership.look

    def counted(leadership: Leadership) -> None:
        looks.append(leadership)
        look(leadership)

    monkeypatch.setattr(schedule, "LINGER_EMPTY", 0.0)
    monkeypatch.setattr(Leadership, "look", counted)
    with at_work(Flusher(layout, stays=True)) as thread:
        wait_until(lambda: len(looks) > 5, "some looks")
        assert thread.is_alive()


@promise(Section.FLUSHER_MODES, "A stopped flusher is followed by another while its program lives and events wait")
def test_flusher_does_not_stay_for_held_events_during_a_stop(layout: Layout) -> None:
    """The stop would wait for it. Afterwards it stays for what waits."""
    with LoopbackTracker() as tracker:
        tracker.go_down()
        a_process_captures(layout, tracker.dsn)
        Flusher(layout, stop_ends=time.monotonic() + 60.0).run()
        assert read_accounts(layout.spool).held == 1
        with at_work(Flusher(layout, stop_ends=time.monotonic())) as thread:
            thread.join(10 * schedule.LINGER_EMPTY)
            assert thread.is_alive()
