"""The promise holds in the races that lost events in prototypes: each test is one of them."""

from __future__ import annotations

import importlib.util
import os
import resource
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastword.audit.accounts import read_accounts
from lastword.spool.layout import Layout
from lastword.spool.ledger import INITIAL_SIZE
from lastword.spool.lock import holder
from lastword.testing import LoopbackTracker
from tests.chaos import leader
from tests.support import needs
from tests.support.programs import (
    PROGRAMS,
    Program,
    recorded_ids,
    run,
    wait_for_accounts,
    wait_until,
    wait_until_no_flusher,
)
from tests.support.promise import Section, promise
from tests.support.witness import WitnessTracker

NOBODY = 65534


@promise(
    Section.RACES, "Threads, signal handlers and finalizers that roll at once lose nothing", broken_by="no append lock"
)
def test_rolling_by_threads_signals_and_finalizers_loses_nothing(tmp_path: Path) -> None:
    """Threads that fill one segment after the other, a signal handler that captures 10 ms after it last did and
    finalizers that do so in any of them lose no record, number none twice, and write nothing into files of the
    application.
    """
    spool = tmp_path / "spool"
    acked = run(PROGRAMS / "rolling.py", spool=spool)
    assert sorted(recorded_ids(spool)) == sorted(acked)
    assert len(acked) > 6 * 80 * 2
    accounts = read_accounts(spool)
    assert (accounts.recorded, accounts.held, accounts.missing) == (len(acked), len(acked), 0)


@promise(
    Section.RACES,
    "A writer that is being made is not swept away",
    broken_by="every cradle swept, and a writer not checked after its birth",
)
def test_births_survive_a_process_that_sweeps_all_the_time(tmp_path: Path) -> None:
    """A leader that looks and sweeps without a pause takes no writer that is being made for one of the dead.

    A look takes much longer than a birth, so another process does nothing but sweep.
    """
    spool, looks, births = tmp_path / "spool", tmp_path / "looks", 50
    newborns = """
wait, end = os.pipe()
for _ in sys.stdin:
    for _ in range(10):
        if os.fork() == 0:
            os.close(end)
            acked(lastword.capture_message("first"))
            os.read(wait, 1)
            acked(lastword.capture_message("last"))
            os._exit(0)
os.close(end)
for _ in range(50): os.wait()
"""

    def wait_for_a_whole_look() -> None:
        taken = looks.stat().st_size
        wait_until(lambda: looks.stat().st_size > taken + 1, "a whole look at them")

    acked: list[str] = []
    with Program(PROGRAMS / "eager_scanner.py", looks, spool=spool, dsn=None) as scanning:
        assert scanning.line() == "scanning"
        with Program(newborns, spool=spool, dsn=None) as program:
            while len(acked) < births:
                program.tell("ten more")
                acked += [program.line() for _ in range(10)]
                wait_for_a_whole_look()
            alive = [writer.alive for writer in read_accounts(spool).writers]
            assert alive == [True] * births
            acked += program.end()
        scanning.end()
    assert len(acked) == 2 * births
    assert sorted(recorded_ids(spool)) == sorted(acked)
    assert (read_accounts(spool).held, read_accounts(spool).missing) == (2 * births, 0)
    assert list((spool / "v1/birth").iterdir()) == []


@promise(Section.RACES, "A capture and a leaving flusher cannot miss each other", broken_by="no check after the unlock")
def test_late_capture_and_idle_exit_do_not_miss_each_other(tmp_path: Path) -> None:
    """However a capture falls together with a flusher's leaving, one of the two sees the other: nothing is held while
    nobody leads.

    In each of many spools one process captures, and at any moment of its flusher's life another one, the last: nobody
    comes after it who would start a flusher for what is stranded. The flushers are real processes that leave as soon as
    they have nothing to do, instead of a second later, and that need no new interpreter to start.
    """
    spool, rounds = tmp_path / "spool", 20
    with WitnessTracker() as tracker:
        acked = run(PROGRAMS / "idle_exits.py", rounds, spool=spool, dsn=tracker.dsn)
        assert len(acked) == 2 * rounds
        for number in range(rounds):
            # Its last flusher may not have begun yet; where an event is stranded, there is none that ever will.
            wait_for_accounts(tmp_path / f"spool{number}", lambda accounts: accounts.held == 0, "every event's account")
            wait_until_no_flusher(tmp_path / f"spool{number}")
        assert sorted(tracker.delivered) == sorted(acked)


@promise(Section.RACES, "A checkpoint needs no disk space", broken_by="the whole copy written anew")
@needs.capability(hasattr(resource, "prlimit"), "limits for other processes")
def test_flusher_works_without_room_for_another_byte(tmp_path: Path) -> None:
    """A flusher that cannot make or extend any file goes on delivering, settling and making room."""
    spool, count = tmp_path / "spool", 50
    body = f"for _ in range({count}): acked(lastword.capture_message('hello'))\nsys.stdin.read()"
    lock = Layout(str(spool)).flusher_lock
    with WitnessTracker() as tracker, Program(body, spool=spool, dsn=tracker.dsn) as program:
        tracker.be_slow(0.02)
        copies = [Path(path) for path in Layout(str(spool)).ledger_copies]
        wait_until(lambda: all(copy.exists() and copy.stat().st_size == INITIAL_SIZE for copy in copies), "the ledger")
        resource.prlimit(leader.wait_for_leader(lock), resource.RLIMIT_FSIZE, (16 << 10, 16 << 10))
        assert len(tracker.delivered) < count // 2
        acked = [program.line() for _ in range(count)]
        wait_for_accounts(spool, lambda accounts: accounts.delivered == count, "every delivery's account")
        assert program.end() == []
        wait_until_no_flusher(spool)
        assert sorted(tracker.delivered) == sorted(acked)
        assert tracker.repeats() == 0
    accounts = wait_for_accounts(spool, lambda accounts: not accounts.writers, "the writer's retirement")
    assert (accounts.recorded, accounts.held, accounts.missing) == (count, 0, 0)


@promise(
    Section.RACES,
    "A removed spool is noticed at the next record",
    broken_by="links and path of the segment not checked",
)
def test_program_that_removes_its_spool_goes_on_in_a_new_one(tmp_path: Path) -> None:
    """A program that removes the spool while its own threads capture goes on undisturbed, in a new one."""
    spool = tmp_path / "spool"
    body = """
import shutil
def busy():
    while not over:
        lastword.capture_message("may be removed")
over = False
threads = [threading.Thread(target=busy) for _ in range(3)]
for thread in threads: thread.start()
for _ in range(20):
    time.sleep(0.01)
    shutil.rmtree(os.environ["TEST_SPOOL"], ignore_errors=True)
over = True
for thread in threads: thread.join()
shutil.rmtree(os.environ["TEST_SPOOL"], ignore_errors=True)
for _ in range(3): acked(lastword.capture_message("after"))
"""
    acked = run(body, spool=spool)
    assert sorted(recorded_ids(spool)) == sorted(acked)
    assert read_accounts(spool).held == len(acked) == 3


@promise(
    Section.RACES,
    "A writer takes back a lock that `tar` dropped",
    broken_by="a writer does not try to take its lock again",
)
def test_writer_takes_back_a_lock_dropped_by_tar(tmp_path: Path) -> None:
    """`tar` in the application opens and closes every file, the lock among them: its writer is not taken for dead, and
    has its lock back a second later.
    """
    spool = tmp_path / "spool"
    body = f"""
import tarfile
for line in sys.stdin:
    if line == "tar\\n":
        with tarfile.open({str(tmp_path / "archive.tar")!r}, "w") as archive:
            archive.add(os.environ["TEST_SPOOL"])
        os.write(1, b"archived\\n")
    else:
        acked(lastword.capture_message("again"))
"""
    with WitnessTracker() as tracker, Program(body, spool=spool, dsn=tracker.dsn) as program:

        def capture() -> str:
            program.tell("")
            return program.line()

        acked = [capture()]
        [directory] = (spool / "v1/writers").iterdir()
        lock = str(directory / "alive.lock")
        assert holder(lock) == program.process.pid
        program.tell("tar")
        assert program.line() == "archived"
        assert holder(lock) is None, "the archive did not drop the lock: nothing was proved"

        def has_it_back() -> bool:
            acked.append(capture())
            return holder(lock) == program.process.pid

        wait_until(has_it_back, "the lock")
        wait_until(lambda: set(acked) <= set(tracker.delivered), "everything captured")
        assert [(writer.id, writer.alive) for writer in read_accounts(spool).writers] == [(directory.name, True)]
        program.end()
        wait_until_no_flusher(spool)
        assert tracker.repeats() == 0
    accounts = read_accounts(spool)
    assert (accounts.delivered, accounts.missing) == (len(acked), 0)


@pytest.fixture
def open_ground() -> Iterator[Path]:
    """A directory that another user can reach, as none below pytest's own can be."""
    directory = Path(tempfile.mkdtemp(prefix="lastword-test-", dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


AS_ROOT = needs.capability(os.geteuid() == 0, "right to become another user")


@promise(
    Section.RACES,
    "After `setuid` the process gets a new writer in the new user's spool",
    broken_by="the uid not compared",
)
@AS_ROOT
def test_setuid_changes_to_a_spool_of_the_new_user(open_ground: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that gives up root goes on in a spool of the user that it has become, and leaves root's alone."""
    (open_ground / "tmp").mkdir()
    (open_ground / "tmp").chmod(0o1777)
    monkeypatch.setenv("XDG_STATE_HOME", str(open_ground / "state"))
    monkeypatch.setenv("HOME", str(open_ground / "home"))
    monkeypatch.setenv("TMPDIR", str(open_ground / "tmp"))
    body = f"""
lastword.init()
acked(lastword.capture_message("as root"))
os.setuid({NOBODY})
for _ in range(2): acked(lastword.capture_message("as nobody"))
os._exit(0)
"""
    acked = run(body, spool=open_ground / "unused")
    roots, nobodys = open_ground / "state/lastword", open_ground / f"tmp/lastword-{NOBODY}"
    assert recorded_ids(roots) == acked[:1]
    assert recorded_ids(nobodys) == acked[1:]
    assert {path.stat().st_uid for path in nobodys.rglob("*")} == {NOBODY}
    assert {stat.S_IMODE(path.stat().st_mode) for path in nobodys.rglob("*")} == {0o700, 0o600}


@AS_ROOT
def test_setuid_to_a_user_without_a_spool_refuses_and_counts(open_ground: Path) -> None:
    """As root again, the program goes on in its old spool."""
    spool = open_ground / "spool"
    body = f"""
acked(lastword.capture_message("as root"))
os.seteuid({NOBODY})
for _ in range(3): assert lastword.capture_message("as nobody") is None
os.seteuid(0)
acked(lastword.capture_message("as root again"))
"""
    acked = run(body, spool=spool)
    assert sorted(recorded_ids(spool)) == sorted(acked)
    accounts = read_accounts(spool)
    assert (accounts.held, accounts.missing, dict(accounts.refused)) == (2, 0, {"no spool": 3})


INTERPRETERS = next((name for name in ("_interpreters", "_xxsubinterpreters") if importlib.util.find_spec(name)), "")


@promise(
    Section.RACES,
    "A second interpreter does not drop the leader's lock",
    broken_by="every interpreter taken for the first",
)
@needs.capability(bool(INTERPRETERS) and sys.platform.startswith("linux"), "subinterpreters")
def test_second_interpreter_does_not_drop_the_leaders_lock(tmp_path: Path) -> None:
    """An interpreter that captures checks who leads; the leader in its process keeps its lock."""
    spool = tmp_path / "spool"
    body = f"""
import {INTERPRETERS} as interpreters
from lastword.spool.layout import Layout
from lastword.spool.lock import LifetimeLock
layout = Layout(os.environ["TEST_SPOOL"])
layout.prepare()
lock = LifetimeLock.acquire(layout.flusher_lock)
second = '''
import os
import lastword
from lastword.spool.layout import Layout
from lastword.spool.lock import LifetimeLock, holder
lastword.init(os.environ["TEST_DSN"], spool=os.environ["TEST_SPOOL"])
for _ in range(3):
    os.write(1, (lastword.capture_message("from the second interpreter") + chr(10)).encode())
lock = Layout(os.environ["TEST_SPOOL"]).flusher_lock
assert holder(lock) == os.getpid(), holder(lock)
assert LifetimeLock.acquire(lock) is None
'''
trouble = getattr(interpreters, "exec", interpreters.run_string)(interpreters.create(), second)
acked(str(trouble))
sys.stdin.read()
lock.release()
acked(lastword.capture_message("from the first"))
"""
    with LoopbackTracker() as tracker, Program(body, spool=spool, dsn=tracker.dsn) as program:
        for _ in range(3):
            assert len(program.line()) == 32
        assert program.line() == "None"
        assert holder(Layout(str(spool)).flusher_lock) == program.process.pid
        assert tracker.requests == []
        program.end()
        tracker.wait_for(4)
        wait_until_no_flusher(spool)
