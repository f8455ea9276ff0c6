"""The promise: a forked child reports like any process, under its own identity, however it was forked and ends."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from lastword.spool.accounts import read_accounts
from lastword.testing import LoopbackTracker, Received
from tests.support import needs
from tests.support.programs import run, wait_until_no_flusher


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


FORKS_IN_C = needs.capability(hasattr(ctypes, "PyDLL"), "ctypes that can call fork")


@pytest.mark.parametrize("way", [pytest.param(way, marks=FORKS_IN_C if "in C" in way else ()) for way in WAYS_TO_FORK])
def test_every_child_reports_as_itself(tmp_path: Path, way: str) -> None:
    """Everything captured in forked children arrives, and every event names the process that captured it."""
    spool = tmp_path / "spool"
    with LoopbackTracker("backtrace") as tracker:
        acked = run(WAYS_TO_FORK[way], spool=spool, dsn=tracker.dsn)
        events = tracker.wait_for(len(acked), timeout=30)
        wait_until_no_flusher(spool)
    assert sorted((event.id or "").replace("-", "") for event in events) == sorted(acked)
    assert {message == pid for message, pid in reporters(events)} == {True}
    accounts = read_accounts(spool)
    assert (accounts.delivered, accounts.missing, accounts.interrupted) == (len(acked), 0, 0)


def test_a_child_leaves_the_parents_writer_alone(tmp_path: Path) -> None:
    """A child that captured and ended neither frees its parent's lock nor disturbs its segment."""
    spool = tmp_path / "spool"
    body = """
acked(lastword.capture_message("before"))
if os.fork() == 0:
    acked(lastword.capture_message("in the child"))
    os._exit(0)
os.wait()
from lastword.spool.accounts import read_accounts
alive = [writer.alive for writer in read_accounts(os.environ["TEST_SPOOL"]).writers if writer.pid == os.getpid()]
assert alive == [True], alive
acked(lastword.capture_message("after"))
"""
    assert len(run(body, spool=spool)) == 3
    assert read_accounts(spool).held == 3
