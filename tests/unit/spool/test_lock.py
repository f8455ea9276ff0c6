"""Lifetime locks: held until the process ends, whatever its children and threads do."""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from lastword.descriptors import close_if_same
from lastword.event import new_id
from lastword.spool import lock as lock_module
from lastword.spool.lock import LifetimeLock, holder
from tests.support.promise import Section, promise


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "v1").mkdir()
    return str(tmp_path / "v1/alive.lock")


def seen_by_a_child(path: str) -> int | None:
    """The holder of the lock as another process sees it."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, str(holder(path)).encode())
        os._exit(0)
    os.close(writing)
    answer = os.read(reading, 100).decode()
    os.close(reading)
    os.waitpid(pid, 0)
    return None if answer == "None" else int(answer)


def test_lock_is_held_until_released(path: str) -> None:
    """It is free, then ours, then free; checking it changes nothing."""
    assert holder(path) is None
    lock = LifetimeLock.acquire(path)
    assert lock is not None
    for _ in range(2):
        assert (holder(path), seen_by_a_child(path)) == (os.getpid(), os.getpid())
    lock.release()
    assert (holder(path), seen_by_a_child(path)) == (None, None)


def test_only_one_thread_gets_the_lock(path: str) -> None:
    """Although the kernel would give it to every thread of the process."""
    won = []
    barrier = threading.Barrier(8)

    def compete() -> None:
        barrier.wait()
        won.append(LifetimeLock.acquire(path))

    threads = [threading.Thread(target=compete) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [lock] = [lock for lock in won if lock is not None]
    assert seen_by_a_child(path) == os.getpid()
    lock.release()


def test_child_cannot_free_its_parents_lock(path: str) -> None:
    """A forked child that releases and ends what it inherited leaves the parent's lock held."""
    lock = LifetimeLock.acquire(path)
    assert lock is not None
    pid = os.fork()
    if pid == 0:
        lock.release()
        os._exit(0)
    os.waitpid(pid, 0)
    assert seen_by_a_child(path) == os.getpid()
    lock.release()


def test_lock_is_free_when_its_holder_is_killed(path: str) -> None:
    """The kernel drops it at the death of its owner, not of the last process that inherited the descriptor."""
    reading, writing = os.pipe()
    owner = os.fork()
    if owner == 0:
        LifetimeLock.acquire(path)
        child = os.fork()
        if child == 0:
            signal.pause()
        os.write(writing, b"%d" % child)
        signal.pause()
    child = int(os.read(reading, 20))
    try:
        assert holder(path) == owner
        assert LifetimeLock.acquire(path) is None
        os.kill(owner, signal.SIGKILL)
        os.waitpid(owner, 0)
        assert holder(path) is None
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(reading)
        os.close(writing)


def test_renamed_lock_is_known_under_its_new_name(tmp_path: Path) -> None:
    """A lock whose directory is renamed is never opened again here, which would drop it."""
    cradle, place = tmp_path / "v1/birth" / new_id(), tmp_path / "v1/writers" / new_id()
    cradle.mkdir(parents=True)
    place.parent.mkdir()
    lock = LifetimeLock.acquire(str(cradle / "alive.lock"))
    assert lock is not None
    path = str(place / "alive.lock")
    lock.moves_to(path)
    cradle.rename(place)
    assert holder(path) == os.getpid()
    assert seen_by_a_child(path) == os.getpid()
    assert lock.keep()
    os.unlink(path)
    assert not lock.keep()
    lock.release()


def test_lock_file_removed_during_acquire_is_locked_and_not_kept(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by another process that tries whether locks work: they do, so it is had; and it cannot be kept."""
    lockf = fcntl.lockf

    def lock_and_remove(descriptor: int, how: int) -> None:
        lockf(descriptor, how)
        os.unlink(path)

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "lockf", lock_and_remove)
        lock = LifetimeLock.acquire(path)
    assert lock is not None
    assert not lock.keep()
    lock.release()
    assert holder(path) is None


def test_reused_descriptor_stays_open(tmp_path: Path, path: str) -> None:
    """Only the file that was locked is closed, not what has its number now."""
    lock = LifetimeLock.acquire(path)
    assert lock is not None
    found = os.stat(path)
    other = os.open(tmp_path / "other", os.O_CREAT | os.O_RDWR)
    close_if_same(other, (found.st_dev, found.st_ino))
    os.fstat(other)
    os.close(other)
    close_if_same(other, (found.st_dev, found.st_ino))
    lock.release()


def test_troubles_are_raised(tmp_path: Path) -> None:
    """A lock that cannot be made is an error, not a held lock; it can be tried again."""
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            LifetimeLock.acquire(str(tmp_path / "v1/alive.lock"))


def test_a_lock_waits_for_the_probes_of_other_threads(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that probes while another one locks would drop the lock by closing the file: it is had after that."""
    monkeypatch.setattr(lock_module, "_PROBE_WAIT", 30.0)
    assert LifetimeLock.acquire(path) is not None  # so that there is a file
    lock_module._claims.clear()
    ask, opened, locked = lock_module._ask_kernel, threading.Event(), threading.Event()

    def slow_probe(path: str) -> int | None:
        descriptor = os.open(path, os.O_RDONLY)
        opened.set()
        locked.wait(0.2)  # longer than the other thread would need if it did not wait
        os.close(descriptor)
        return ask(path)

    monkeypatch.setattr(lock_module, "_ask_kernel", slow_probe)
    prober = threading.Thread(target=holder, args=(path,))
    prober.start()
    opened.wait()
    lock = LifetimeLock.acquire(path)
    locked.set()
    prober.join()
    monkeypatch.undo()
    assert lock is not None
    assert seen_by_a_child(path) == os.getpid()
    lock.release()


def test_endless_probe_costs_the_lock_after_5_ms(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that stops in a probe delays by 5 ms; the lock can be had when the probe is over."""
    monkeypatch.setattr(lock_module, "_probes", [(os.getpid(), path, -1), (os.getppid(), path, -1)])
    assert LifetimeLock.acquire(path) is None
    assert holder(path) is None
    lock_module._probes.remove((os.getpid(), path, -1))
    lock = LifetimeLock.acquire(path)
    assert lock is not None
    assert lock_module._probes == [(os.getppid(), path, -1)]
    lock.release()


def test_probes_do_not_break_concurrent_locking(path: str) -> None:
    """A thread that was given the lock has it, however threads take turns."""
    over = False

    def probe() -> None:
        while not over:
            holder(path)

    threads = [threading.Thread(target=probe) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        seen: list[int | None] = []
        while len(seen) < 20:
            lock = LifetimeLock.acquire(path)
            if lock is not None:
                seen.append(seen_by_a_child(path))
                lock.release()
    finally:
        over = True
        for thread in threads:
            thread.join()
    assert seen == [os.getpid()] * 20


def test_a_failed_attempt_leaves_no_trace(path: str) -> None:
    """It can be repeated in any thread; no descriptor stays open."""
    reading, writing = os.pipe()
    owner = os.fork()
    if owner == 0:
        LifetimeLock.acquire(path)
        os.write(writing, b".")
        signal.pause()
    os.read(reading, 1)
    try:
        before = len(os.listdir("/dev/fd"))
        assert [LifetimeLock.acquire(path) for _ in range(3)] == [None] * 3
        assert len(os.listdir("/dev/fd")) == before
    finally:
        os.kill(owner, signal.SIGKILL)
        os.waitpid(owner, 0)
        os.close(reading)
        os.close(writing)
    lock = LifetimeLock.acquire(path)
    assert lock is not None
    lock.release()


def test_second_release_does_nothing(path: str) -> None:
    """The second release does nothing, least of all to the lock that another thread has taken in between."""
    lock = LifetimeLock.acquire(path)
    assert lock is not None
    lock.release()
    next_one = LifetimeLock.acquire(path)
    assert next_one is not None
    lock.release()
    assert seen_by_a_child(path) == os.getpid()
    assert LifetimeLock.acquire(path) is None
    next_one.release()


def test_keep_takes_back_a_dropped_lock(path: str) -> None:
    """Other code that opens and closes the file drops it; `keep` fails if another process has it."""
    lock = LifetimeLock.acquire(path)
    assert lock is not None
    os.close(os.open(path, os.O_RDONLY))
    assert seen_by_a_child(path) is None
    assert lock.keep()
    assert seen_by_a_child(path) == os.getpid()
    os.close(os.open(path, os.O_RDONLY))
    reading, writing = os.pipe()
    thief = os.fork()
    if thief == 0:
        lock_module._claims.clear()
        os.write(writing, b"." if LifetimeLock.acquire(path) else b"!")
        signal.pause()
    try:
        assert os.read(reading, 1) == b"."
        assert not lock.keep()
    finally:
        os.kill(thief, signal.SIGKILL)
        os.waitpid(thief, 0)
        os.close(reading)
        os.close(writing)
    lock.release()


def test_a_child_does_not_keep_its_parents_lock(path: str) -> None:
    """The inherited lock is the parent's: a child that checks it takes nothing."""
    lock = LifetimeLock.acquire(path)
    assert lock is not None
    os.close(os.open(path, os.O_RDONLY))  # the parent has lost it, so that the child could have it
    pid = os.fork()
    if pid == 0:
        os._exit(lock.keep())
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    lock.release()


class TimeLimit(BaseException):
    """Raised by a signal handler."""


@promise(
    Section.FAILURES,
    "An interrupted lock attempt leaves the lock free",
    broken_by="the file closed after failures alone",
)
@pytest.mark.parametrize("inside", ["__init__", "identities_by_path"])
def test_interruption_during_acquire_leaves_the_lock_free(path: str, inside: str) -> None:
    """At each line of what follows the locking; this process, which knew of no lock, would hold it."""
    known = len(os.listdir("/dev/fd"))
    for number in range(50):
        taken = None
        with interrupted(inside, number) as came:
            taken = LifetimeLock.acquire(path)
        if not came:
            break
        assert (taken, seen_by_a_child(path), len(os.listdir("/dev/fd"))) == (None, None, known)
    assert number > 1
    assert taken is not None
    assert seen_by_a_child(path) == os.getpid()
    taken.release()


@contextmanager
def interrupted(function: str, number: int) -> Iterator[list[int]]:
    """A signal handler raises at the line that this ``function`` comes to as the ``number``-th."""
    lines = itertools.count()
    came: list[int] = []

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if event == "line" and frame.f_code.co_name == function and next(lines) == number:
            came.append(frame.f_lineno)
            raise TimeLimit
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield came
    except TimeLimit:
        pass
    finally:
        sys.settrace(before)
