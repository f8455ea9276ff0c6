"""Starting a flusher: when, how often, and when not."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import pytest

from lastword import diagnostics, launch
from lastword.launch import Launcher
from lastword.launch.detached import interpreter_id
from lastword.launch.mode import Choice, Mode
from lastword.launch.thread import Lead, ThreadStarter
from lastword.spool import leader, start
from lastword.spool.layout import Layout
from lastword.spool.lock import LifetimeLock
from lastword.spool.start import StartState
from lastword.version import __version__
from tests.support.programs import wait_until
from tests.support.promise import Section, promise

BY_PROCESS = Choice(Mode.PROCESS, Mode.THREAD)
ONLY_BY_PROCESS = Choice(Mode.PROCESS, Mode.PROCESS)


class Led:
    """The spools that a thread came to lead, in order; leading one takes no time."""

    def __init__(self) -> None:
        self.spools: list[str] = []

    def load(self) -> Lead:
        def lead(layout: Layout, until: Callable[[], bool] = bool) -> None:
            self.spools.append(layout.spool)

        return lead


def launcher(led: Optional[Led] = None) -> Launcher:
    return Launcher((led or Led()).load)


@pytest.fixture
def waits() -> list[float]:
    """Until when each helper was to wait."""
    return []


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> list[Layout]:
    """Starts that were made, without making them."""
    starts: list[Layout] = []

    def spawn(layout: Layout, *_: object, **options: float) -> None:
        starts.append(layout)
        waits.append(options["not_before"])

    monkeypatch.setattr(launch, "spawn", spawn)
    return starts


@pytest.fixture
def in_threads(monkeypatch: pytest.MonkeyPatch) -> list[Layout]:
    """Threads that were asked to lead, without starting them."""
    starts: list[Layout] = []

    def ensure(_: ThreadStarter, layout: Layout) -> bool:
        starts.append(layout)
        return True

    monkeypatch.setattr(ThreadStarter, "ensure", ensure)
    return starts


def test_one_start_at_a_time(layout: Layout, spawned: list[Layout]) -> None:
    """No other start until this one has certainly failed."""
    for _ in range(3):
        launcher().ensure_flusher(layout, BY_PROCESS)
    assert len(spawned) == 1
    assert start.load(layout).failures == 1


@pytest.mark.parametrize("name", ["flusher_lock", "start_lock"])
def test_no_start_while_one_leads_or_is_started(layout: Layout, spawned: list[Layout], name: str) -> None:
    """A capture that finds a leader or a running start does nothing."""
    lock = LifetimeLock.acquire(getattr(layout, name))
    assert lock is not None
    launcher().ensure_flusher(layout, BY_PROCESS)
    assert spawned == []
    lock.release()
    launcher().ensure_flusher(layout, BY_PROCESS)
    assert len(spawned) == 1


def test_start_json_says_unfinished_during_a_start(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the helper is being started the state says so; a starter that is killed then leaves it so."""
    seen = []

    def spawn(layout: Layout, *_: object, **__: object) -> None:
        seen.append(start.load(layout))

    monkeypatch.setattr(launch, "spawn", spawn)
    launcher().ensure_flusher(layout, BY_PROCESS)
    seen.append(start.load(layout))
    assert [(state.failures, state.unfinished) for state in seen] == [(1, True), (1, False)]
    start.store(layout, seen[0])
    launcher().ensure_flusher(layout, BY_PROCESS)
    assert len(seen) == 3


def test_a_thread_waits_for_the_start_that_another_one_makes(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A capture does not return while another thread is about to start the flusher that it relies on."""
    monkeypatch.setattr(launch, "_THREAD_WAIT", 30.0)
    order = []
    begun = threading.Event()

    def spawn(*_: object, **__: object) -> None:
        begun.set()
        time.sleep(0.05)  # the other thread comes while this one is here, or the test proves nothing
        order.append("started")

    monkeypatch.setattr(launch, "spawn", spawn)
    starter = threading.Thread(target=launcher().ensure_flusher, args=(layout, BY_PROCESS))
    starter.start()
    begun.wait()
    launcher().ensure_flusher(layout, BY_PROCESS)
    order.append("returned")
    starter.join()
    assert order == ["started", "returned"]


def test_failing_start_is_noted_and_not_raised(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that forbids processes costs one note, and the next try comes later, where threads may not run."""

    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(launch, "spawn", forbidden)
    diagnostics.forget()
    starter = launcher()
    assert not starter.ensure_flusher(layout, ONLY_BY_PROCESS)
    assert not starter.ensure_flusher(layout, ONLY_BY_PROCESS), "nobody is on the way, although it is not time yet"
    assert ["Operation not permitted" in text for text in diagnostics.waiting()] == [True]
    assert start.load(layout).failures == start.MOST_FAILURES
    diagnostics.forget()


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOEXEC, errno.EAGAIN, errno.EMFILE])
def test_where_no_process_can_be_started_a_thread_sends_at_once(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Not at the third capture that fails; whether a process is tried again before long depends on what is missing."""

    def fails(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(launch, "spawn", fails)
    diagnostics.forget()
    led = Led()
    assert launcher(led).ensure_flusher(layout, BY_PROCESS)
    wait_until(lambda: led.spools == [layout.spool], "the thread")
    assert ["a thread of this process sends events" in text for text in diagnostics.waiting()] == [True]
    assert start.load(layout).failures == (1 if number in (errno.EAGAIN, errno.EMFILE) else start.MOST_FAILURES)
    diagnostics.forget()


def test_interrupted_start_does_not_count_as_failed(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A time limit or Ctrl-C that arrives meanwhile says nothing of the interpreter."""

    def interrupted(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(launch, "spawn", interrupted)
    with pytest.raises(KeyboardInterrupt):
        launcher().ensure_flusher(layout, BY_PROCESS)
    assert start.load(layout).failures == 1


def test_starter_waits_for_an_interpreter_that_has_not_led_yet(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Or that failed or changed since; a known one costs a capture no waiting."""
    asked = []
    python = tmp_path / "python3"
    python.touch()

    def spawn(*_: object, answer_within: float, **__: object) -> None:
        asked.append(answer_within > 0)

    monkeypatch.setattr(launch, "spawn", spawn)
    monkeypatch.setattr(launch, "require_interpreter", lambda: str(python))
    known, before = interpreter_id(str(python)), python.stat().st_mtime_ns - 10**9
    os.utime(python, ns=(before, before))
    changed, known = known, interpreter_id(str(python))
    for has_led, failures in (("", 0), ("/other/python3", 0), (changed, 0), (known, 0), (known, 1)):
        Path(layout.helper_lock).write_text(has_led)
        start.store(layout, StartState(failures))
        launcher().ensure_flusher(layout, BY_PROCESS)
    assert asked == [True, True, True, False, True]


def test_one_waiting_helper_is_started_during_a_pause(
    layout: Layout, spawned: list[Layout], waits: list[float]
) -> None:
    """However many events are captured then."""
    until = time.time() + 10
    start.pause(layout, until, stopped_at=time.time())
    for _ in range(3):
        launcher_of_before = launcher()
        launcher_of_before._began = 1.0
        assert not launcher_of_before.ensure_flusher(layout, BY_PROCESS)
        coming = LifetimeLock.acquire(layout.helper_lock)
        assert coming is not None
        coming.release()
    assert (len(spawned), waits) == (1, [until])
    assert start.load(layout).not_before == until


def test_process_that_begins_after_a_stop_ignores_the_pause(
    layout: Layout, spawned: list[Layout], waits: list[float]
) -> None:
    """A service that is started again sends what it finds, whether or not one that waits is there still."""
    start.pause(layout, time.time() + 10, stopped_at=time.time() - 1)
    coming = LifetimeLock.acquire(layout.helper_lock)
    assert coming is not None
    assert launcher().ensure_flusher(layout, BY_PROCESS)
    assert (len(spawned), waits) == (1, [0.0])
    assert start.load(layout).stopped_at == 0.0
    coming.release()


def test_a_helper_that_died_is_followed_by_one_that_waits(
    layout: Layout, spawned: list[Layout], waits: list[float]
) -> None:
    """Also between two starts, but not before the helper could have taken its lock; one may come soon all the same."""
    now = time.time()
    for failures, ago, starts in ((1, 0.1, 0), (1, 0.7, 1), (2, 1.5, 1), (2, 0.2, 0)):
        not_before = now - ago + 2.0 ** (failures - 1)
        start.store(layout, StartState(failures, not_before))
        spawned.clear()
        waits.clear()
        assert launcher().ensure_flusher(layout, BY_PROCESS)
        assert (len(spawned), waits) == (starts, [not_before] * starts)


def test_flusher_is_started_on_a_full_disk(
    layout: Layout, spawned: list[Layout], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a flusher makes room: it is started although that cannot be written down, but not at every capture."""

    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(start, "store", no_room)
    starter = launcher()
    for _ in range(3):
        starter.ensure_flusher(layout, BY_PROCESS)
    assert len(spawned) == 1
    monkeypatch.setattr(launch, "_UNRECORDED_WAIT", 0.0)
    starter = launcher()
    for _ in range(2):
        starter.ensure_flusher(layout, BY_PROCESS)
    assert len(spawned) == 3


@promise(Section.FLUSHER_MODES, "After three failed starts a thread sends", broken_by="no fallback; fallback always")
def test_thread_sends_after_three_failed_starts(layout: Layout, spawned: list[Layout]) -> None:
    """Where processes start and never come to lead, the fourth try is a thread of our own, said once."""
    diagnostics.forget()
    led = Led()
    starter = launcher(led)
    for failures in range(4):
        assert (len(spawned), led.spools) == (failures, [])
        start.store(layout, StartState(failures, not_before=0.0))
        assert starter.ensure_flusher(layout, BY_PROCESS)
    wait_until(lambda: led.spools == [layout.spool], "the thread")
    assert len(spawned) == 3
    assert ["a thread of this process sends events" in text for text in diagnostics.waiting()] == [True]
    diagnostics.forget()


def test_process_is_tried_again_where_no_thread_may_run(
    layout: Layout, spawned: list[Layout], in_threads: list[Layout]
) -> None:
    """An explicit choice of processes, or a place where threads do not run: another start, and no thread."""
    start.store(layout, StartState(failures=7))
    launcher().ensure_flusher(layout, ONLY_BY_PROCESS)
    assert (len(spawned), len(in_threads)) == (1, 0)


@pytest.mark.parametrize(
    ("late_by", "failures", "processes", "threads"),
    [(30.0, 1, 0, 0), (30.0, 3, 0, 0), (start.MAX_WAIT + 5.0, 1, 1, 0), (start.MAX_WAIT + 5.0, 3, 0, 1)],
)
def test_a_start_that_is_only_slow_is_waited_for_but_not_for_ever(
    layout: Layout,
    spawned: list[Layout],
    in_threads: list[Layout],
    late_by: float,
    failures: int,
    processes: int,
    threads: int,
) -> None:
    """As long as its helper holds its lock: no other is started, nor a thread. A minute late, it counts as failed."""
    coming = LifetimeLock.acquire(layout.helper_lock)
    assert coming is not None
    start.store(layout, StartState(failures, time.time() - late_by))
    assert launcher().ensure_flusher(layout, BY_PROCESS)
    assert (len(spawned), len(in_threads)) == (processes, threads)
    coming.release()
    start.store(layout, StartState(1, time.time() - late_by))
    launcher().ensure_flusher(layout, BY_PROCESS)
    assert len(spawned) == processes + 1


def test_foreign_file_in_place_of_helper_lock_stops_no_start(layout: Layout, spawned: list[Layout]) -> None:
    """A slow start then counts as failed."""
    os.mkdir(layout.helper_lock)
    start.store(layout, StartState(1, time.time() - 1.0))
    assert launcher().ensure_flusher(layout, BY_PROCESS)
    assert len(spawned) == 1


@pytest.mark.parametrize("mode", [Mode.EXTERNAL, Mode.IN_FLUSH, Mode.HOLD])
def test_nothing_is_started_in_external_flush_and_hold_modes(
    layout: Layout, spawned: list[Layout], in_threads: list[Layout], mode: Mode
) -> None:
    """The answer says only whether a flusher leads."""
    starter = launcher()
    assert not starter.ensure_flusher(layout, Choice(mode, mode))
    leads = LifetimeLock.acquire(layout.flusher_lock)
    assert leads is not None
    assert starter.ensure_flusher(layout, Choice(mode, mode))
    leads.release()
    assert (spawned, in_threads) == ([], [])


@pytest.mark.parametrize(("version", "starts"), [("0.0.9", 1), (__version__, 0), ("99.0", 0)])
def test_an_older_flusher_is_followed_by_one_of_our_version(
    layout: Layout, spawned: list[Layout], monkeypatch: pytest.MonkeyPatch, version: str, starts: int
) -> None:
    """Started once by a process of a newer version, and only if no flusher waits for the lead already."""
    leads = LifetimeLock.acquire(layout.flusher_lock)
    assert leads is not None
    with monkeypatch.context() as patch:
        patch.setattr(leader, "__version__", version)
        leader.announce(layout)
    waits = LifetimeLock.acquire(layout.successor_lock)
    assert waits is not None
    launcher().ensure_flusher(layout, BY_PROCESS)
    assert spawned == []
    waits.release()
    starter = launcher()
    for _ in range(3):
        assert starter.ensure_flusher(layout, BY_PROCESS)
    assert len(spawned) == starts
    leads.release()


@pytest.mark.parametrize(
    ("theirs", "ours", "outdated"),
    [
        ("0.9.0", "0.10.0", True),
        ("0.10", "0.9.9", False),
        ("1.0", "1.0", False),
        ("1.0rc1", "1.0", False),
        ("?", "1", True),
    ],
)
def test_versions_are_compared_by_their_numbers(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, theirs: str, ours: str, outdated: bool
) -> None:
    """A leader that has not announced its version is left alone."""
    assert not leader.is_outdated(layout)
    monkeypatch.setattr(leader, "__version__", theirs)
    leader.announce(layout)
    monkeypatch.setattr(leader, "__version__", ours)
    assert leader.is_outdated(layout) is outdated
