"""Lifetime locks: held until the process ends, whatever its children and threads do."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from lastword.spool.lock import LifetimeLock, close_if_same, holder


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "alive.lock")


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


def test_held_and_released(path: str) -> None:
    """A lock is nobody's, then ours, then nobody's; asking changes nothing."""
    assert holder(path) is None
    lock = LifetimeLock.acquire(path)
    assert lock is not None
    for _ in range(2):
        assert (holder(path), seen_by_a_child(path)) == (os.getpid(), os.getpid())
    lock.release()
    assert (holder(path), seen_by_a_child(path)) == (None, None)


def test_held_once_among_threads(path: str) -> None:
    """Of many threads of one process exactly one gets it, although the kernel would give it to all."""
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


def test_a_child_cannot_free_it(path: str) -> None:
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


def test_free_when_its_holder_is_killed_although_a_child_of_it_lives(path: str) -> None:
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


def test_known_under_its_new_name(tmp_path: Path) -> None:
    """A lock whose directory is renamed is never opened again here, which would drop it."""
    (tmp_path / "birth").mkdir()
    lock = LifetimeLock.acquire(str(tmp_path / "birth/alive.lock"))
    assert lock is not None
    path = str(tmp_path / "writers/alive.lock")
    lock.moves_to(path)
    (tmp_path / "birth").rename(tmp_path / "writers")
    assert holder(path) == os.getpid()
    assert seen_by_a_child(path) == os.getpid()
    assert lock.keep()
    os.unlink(path)
    assert not lock.keep()
    lock.release()


def test_a_descriptor_that_became_somebody_elses_stays_open(tmp_path: Path, path: str) -> None:
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
    """A lock that cannot be made is an error, not a lock that somebody else has; and it can be tried again."""
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            LifetimeLock.acquire(str(tmp_path / "missing/alive.lock"))
