"""The promise: a forked child reports like any process, under its own identity, however it was forked and ends."""

from __future__ import annotations

import ctypes
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Optional

import pytest

from lastword.audit.accounts import read_accounts
from lastword.spool.layout import Layout
from lastword.testing import LoopbackTracker, Received
from tests.chaos import fork
from tests.support import needs
from tests.support.programs import Program, recorded_ids, run, wait_until_no_flusher
from tests.support.promise import Section, promise

LIBC_FORK = needs.capability(hasattr(ctypes, "PyDLL"), "a fork that runs no hook of Python's")


def reporters(events: list[Received]) -> list[tuple[str, str]]:
    """(message, pid) of each event: the message holds the pid that the child had."""
    return sorted((event.message, str((event.body or {})["attributes"]["process.id"])) for event in events)


FORK = """
pids = []
for _ in range(5):
    pid = {fork}
    if pid == 0:
        acked(lastword.capture_message(str(os.getpid())))
        os._exit(0)
    pids.append(pid)
for pid in pids:
    assert os.waitpid(pid, 0) == (pid, 0)
"""

WAYS_TO_FORK = {
    "os.fork": FORK.format(fork="os.fork()"),
    "os.fork after a capture in the parent": "acked(lastword.capture_message(str(os.getpid())))\n"
    + FORK.format(fork="os.fork()"),
    "fork in C, which runs no hook": "import ctypes\n" + FORK.format(fork="ctypes.PyDLL(None).fork()"),
    "a child of a child": """
if os.fork() == 0:
    acked(lastword.capture_message(str(os.getpid())))
    if os.fork() == 0:
        acked(lastword.capture_message(str(os.getpid())))
        die()
    os.wait()
    os._exit(0)
os.wait()
acked(lastword.capture_message(str(os.getpid())))
""",
    "a pool": """
import multiprocessing
def work(number):
    acked(lastword.capture_message(str(os.getpid())))
with multiprocessing.get_context("fork").Pool(3) as pool:
    pool.map(work, range(12), chunksize=1)
""",
    "with threads that capture": """
def busy():
    while not done:
        acked(lastword.capture_message(str(os.getpid())))
        time.sleep(0.001)
done = False
threads = [threading.Thread(target=busy) for _ in range(3)]
for thread in threads: thread.start()
"""
    + FORK.format(fork="os.fork()")
    + "done = True\n",
}


def run_all_ways(spool: Path, dsn: Optional[str] = None) -> list[str]:
    """Let a program fork in each way that there is here, all at the same time; what they acknowledged."""
    ways = [way for way in WAYS_TO_FORK if hasattr(ctypes, "PyDLL") or "in C" not in way]
    with ExitStack() as stack:
        programs = [stack.enter_context(Program(WAYS_TO_FORK[way], spool=spool, dsn=dsn)) for way in ways]
        return [event_id for program in programs for event_id in program.end()]


@promise(
    Section.CHILDREN,
    "An event names the process that captured it",
    broken_by="the process described once, not once per pid",
)
def test_every_child_reports_as_itself(tmp_path: Path) -> None:
    """However it was forked, everything captured in a child arrives, and names the process that captured it."""
    spool = tmp_path / "spool"
    with LoopbackTracker("backtrace") as tracker:
        acked = run_all_ways(spool, tracker.dsn)
        events = tracker.wait_for(len(acked), timeout=60)
        wait_until_no_flusher(spool)
    assert sorted((event.id or "").replace("-", "") for event in events) == sorted(acked)
    assert {message == pid for message, pid in reporters(events)} == {True}
    accounts = read_accounts(spool)
    assert (accounts.delivered, accounts.missing, accounts.interrupted) == (len(acked), 0, 0)


@promise(
    Section.CHILDREN,
    "No two processes share a writer, whether or not fork hooks run",
    broken_by="writers not kept by pid",
)
def test_no_two_processes_share_a_writer(tmp_path: Path) -> None:
    """All records in a writer's directory are from the process that its `who.json` describes."""
    spool = tmp_path / "spool"
    acked = run_all_ways(spool)
    owners = []
    for directory in (spool / "v1/writers").iterdir():
        owners.append(json.loads((directory / "who.json").read_text())["pid"])
        for segment in directory.glob("*.seg"):
            lines = [json.loads(line) for line in segment.read_text().splitlines()]
            assert {line["event"]["process"]["pid"] for line in lines} <= {owners[-1]}
    assert len(set(owners)) == len(owners) > len(WAYS_TO_FORK)
    assert sorted(recorded_ids(spool)) == sorted(acked)


@promise(Section.CHILDREN, "A child leaves its parent's writer alone", broken_by="the child removes what it inherited")
def test_a_child_leaves_the_parents_writer_alone(tmp_path: Path) -> None:
    """A child that captured and ended neither frees its parent's lock nor disturbs its segment."""
    spool = tmp_path / "spool"
    body = """
acked(lastword.capture_message("before"))
if os.fork() == 0:
    acked(lastword.capture_message("in the child"))
    os._exit(0)
os.wait()
from lastword.audit.accounts import read_accounts
from lastword.spool.layout import Layout
alive = [writer.alive for writer in read_accounts(os.environ["TEST_SPOOL"]).writers if writer.pid == os.getpid()]
assert alive == [True], alive
acked(lastword.capture_message("after"))
"""
    assert len(run(body, spool=spool)) == 3
    assert read_accounts(spool).held == 3


@promise(
    Section.CHILDREN,
    "No two processes share a writer and no child hangs, also under constant forking",
    broken_by="writers not kept by pid",
)
def test_forks_under_load(tmp_path: Path) -> None:
    """With threads that capture, with hooks and without: no child hangs or reports another pid."""
    forks = 30 if sys.implementation.name == "cpython" else 15  # a fork of PyPy takes ten times as long
    fork.prove(tmp_path, forks=forks, has_libc_fork=hasattr(ctypes, "PyDLL"))


#: Where a thread of the parent stands still while it forks → what it holds there.
STANDSTILLS = {
    "os.rename": "a writer that is being born",
    "fcntl.fcntl": "flusher.lock, open to probe it",
    "posix.posix_spawn": "start.lock",
    "os.write": "the append lock",  # of a writer that is there already
}


@promise(
    Section.CHILDREN,
    "A fork while another thread holds the append lock does not hold up the child",
    broken_by="writers not kept by pid, and the lock waited for without limit",
)
@promise(
    Section.CHILDREN,
    "A fork while another thread holds `start.lock` does not hold up the child",
    broken_by="`start.lock` waited for, whoever holds it",
)
@LIBC_FORK
@pytest.mark.parametrize("place", STANDSTILLS)
def test_fork_while_another_thread_holds_a_lock_does_not_block_the_child(tmp_path: Path, place: str) -> None:
    """Any lock of the parent, although no fork hook has run."""
    spool = tmp_path / "spool"
    body = f"""
import ctypes, fcntl, posix
ordinary = {place}
def stand_still(*arguments, **options):
    if threading.current_thread() is thread and not inside.is_set():
        inside.set()
        go_on.wait()
    return ordinary(*arguments, **options)
inside, go_on = threading.Event(), threading.Event()
thread = threading.Thread(target=lambda: acked(lastword.capture_message(str(os.getpid()))))
if {place == "os.write"}:
    acked(lastword.capture_message(str(os.getpid())))
{place} = stand_still
thread.start()
inside.wait()
while open(f"/proc/self/task/{{thread.native_id}}/stat").read().rpartition(")")[2].split()[0] != "S":
    pass  # not yet asleep: the interpreter itself does not survive a fork while its threads hand over to one another
pid = ctypes.PyDLL(None).fork()
if pid == 0:
    acked(lastword.capture_message(str(os.getpid())))
    os._exit(0)
assert os.waitpid(pid, 0) == (pid, 0)
go_on.set()
thread.join()
acked(lastword.capture_message(str(os.getpid())))
"""
    layout = Layout(str(spool))
    layout.prepare()
    Path(layout.flusher_lock).touch(mode=0o600)  # as a flusher leaves it, so that there is something to probe
    with LoopbackTracker("backtrace") as tracker:
        acked = run(body, spool=spool, dsn=tracker.dsn)
        events = tracker.wait_for(len(acked), timeout=30)
        wait_until_no_flusher(spool)
    assert sorted((event.id or "").replace("-", "") for event in events) == sorted(acked)
    assert {message == pid for message, pid in reporters(events)} == {True}
    assert len({pid for _, pid in reporters(events)}) == 2


@needs.installed("billiard")
def test_a_celery_pool(tmp_path: Path) -> None:
    """The children of billiard, which forks Celery's workers, report as themselves."""
    body = """
import billiard
def work(number):
    acked(lastword.capture_message(str(os.getpid())))
with billiard.Pool(3) as pool:
    pool.map(work, range(12), chunksize=1)
"""
    with LoopbackTracker("backtrace") as tracker:
        acked = run(body, spool=tmp_path / "spool", dsn=tracker.dsn)
        events = tracker.wait_for(12)
        wait_until_no_flusher(tmp_path / "spool")
    assert len(acked) == len(events) == 12
    assert {message == pid for message, pid in reporters(events)} == {True}


@promise(
    Section.CHILDREN,
    "A descriptor number that now belongs to another file is not written to",
    broken_by="the descriptor's file not compared",
)
def test_daemon_that_closed_all_descriptors_keeps_its_new_files(tmp_path: Path) -> None:
    """lastword neither writes to nor closes files that have its old descriptor numbers."""
    spool = tmp_path / "spool"
    body = """
import socket
acked(lastword.capture_message(str(os.getpid())))
if os.fork():
    os._exit(0)
os.setsid()
acked(lastword.capture_message(str(os.getpid())))
ours = {int(name) for name in os.listdir("/proc/self/fd") if spool in os.path.realpath(f"/proc/self/fd/{name}")}
assert len(ours) >= 2, ours
os.closerange(3, 256)
theirs = []
while not ours <= set(theirs):
    pair = socket.socketpair()
    theirs += [end.detach() for end in pair] + [os.open(f"{spool}-{len(theirs) // 3}", os.O_CREAT | os.O_RDWR)]
for _ in range(3):
    acked(lastword.capture_message(str(os.getpid())))
for descriptor in theirs:
    os.set_blocking(descriptor, False)
    try:
        assert os.read(descriptor, 1) == b"", descriptor  # a file, still empty
    except BlockingIOError:
        pass  # a socket, and nothing has come through
assert all(os.stat(path).st_size == 0 for path in [f"{spool}-{number}" for number in range(len(theirs) // 3)])
"""
    with LoopbackTracker("backtrace") as tracker:
        acked = run(f"spool = {str(spool)!r}\n" + body, spool=spool, dsn=tracker.dsn)
        events = tracker.wait_for(5)
        wait_until_no_flusher(spool)
    assert len(acked) == 5
    assert {message == pid for message, pid in reporters(events)} == {True}
    accounts = read_accounts(spool)
    assert (accounts.delivered, accounts.missing) == (5, 0)
