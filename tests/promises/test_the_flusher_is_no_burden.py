"""The promise: the flusher is nobody's child, holds nothing of the program's, and leaves when it is not needed."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from lastword.audit.accounts import read_accounts
from lastword.spool.layout import Layout
from lastword.spool.lock import holder
from lastword.testing import LoopbackTracker
from tests.support import needs
from tests.support.programs import (
    PRELUDE,
    Program,
    remove_spool,
    run,
    wait_for_accounts,
    wait_until,
    wait_until_no_flusher,
)
from tests.support.promise import Section, promise
from tests.support.witness import WitnessTracker

PROC = needs.capability(sys.platform.startswith("linux"), "/proc")


def flusher_of(spool: Path) -> int:
    wait_until(lambda: holder(Layout(str(spool)).flusher_lock), "a flusher")
    return holder(Layout(str(spool)).flusher_lock) or 0


def test_command_substitution_returns_when_the_script_ends(tmp_path: Path) -> None:
    """`out=$(python script.py)` has its output while the flusher is still at work: it holds no pipe of the program."""
    spool = tmp_path / "spool"
    script = tmp_path / "script.py"
    script.write_text(PRELUDE + "acked(lastword.capture_message('hello'))\n")
    environment = {**os.environ, "TEST_SPOOL": str(spool)}
    with LoopbackTracker() as tracker:
        tracker.go_down()  # so that the flusher has reason to stay
        command = f'out=$("{sys.executable}" "{script}" 2>&1); echo "[$out]"'
        done = subprocess.run(
            ["sh", "-c", command], env={**environment, "TEST_DSN": tracker.dsn}, capture_output=True, text=True
        )
        assert len(done.stdout.strip("[]\n")) == 32
        flusher_of(spool)
        tracker.come_up()
        tracker.wait_for(1, timeout=30)
        wait_until_no_flusher(spool)


@promise(
    Section.NO_BURDEN,
    "The flusher has its own session and none of the program's descriptors or secrets",
    broken_by="the whole environment handed on; no session of its own",
)
@PROC
def test_detached_from_the_program(tmp_path: Path) -> None:
    """Own session, cwd /, not a child, no descriptor of the program, no variable that could be a secret."""
    spool = tmp_path / "spool"
    body = """
import socket
os.environ["SECRET_KEY"] = "hunter2"
listener = socket.create_server(("127.0.0.1", 0)); os.set_inheritable(listener.fileno(), True)
kept = os.open(sys.executable, os.O_RDONLY); os.set_inheritable(kept, True)
acked(lastword.capture_message("hello"))
sys.stdin.read()
"""
    with LoopbackTracker() as tracker, Program(body, spool=spool, dsn=tracker.dsn) as program:
        program.line()
        pid = flusher_of(spool)
        process = Path(f"/proc/{pid}")
        assert os.getsid(pid) == os.getpgid(pid) != os.getsid(program.process.pid)
        assert int((process / "stat").read_text().rpartition(")")[2].split()[1]) != program.process.pid
        assert os.readlink(process / "cwd") == "/"
        assert b"hunter2" not in (process / "environ").read_bytes()
        opened = {}
        for path in (process / "fd").iterdir():
            with suppress(FileNotFoundError):  # it is at work meanwhile
                opened[int(path.name)] = os.readlink(path)
        assert [opened[0], opened[1]] == [os.devnull, os.devnull]
        strange = [path for path in opened.values() if path == sys.executable or path.startswith("pipe:")]
        assert strange == []
        tracker.wait_for(1)
        program.end()
        wait_until_no_flusher(spool)


@promise(
    Section.NO_BURDEN,
    "A program that waits for all its children ends while the flusher lives",
    broken_by="the helper does not fork first",
)
def test_program_that_waits_for_all_its_children_ends(tmp_path: Path) -> None:
    """`os.wait()` until there is no child left comes to an end while the flusher lives."""
    spool = tmp_path / "spool"
    body = """
acked(lastword.capture_message("hello"))
try:
    while True:
        os.wait()
except ChildProcessError:
    acked("no child left")
"""
    with LoopbackTracker() as tracker:
        tracker.go_down()
        assert run(body, spool=spool, dsn=tracker.dsn)[1:] == ["no", "child", "left"]
        flusher_of(spool)
        tracker.come_up()
        tracker.wait_for(1, timeout=30)


def test_leaves_when_everything_is_delivered_and_the_last_writer_gone(tmp_path: Path) -> None:
    """Nothing of ours runs on, and of the writer nothing is left but its figures."""
    spool = tmp_path / "spool"
    with LoopbackTracker() as tracker:
        run("acked(lastword.capture_message('hello'))", spool=spool, dsn=tracker.dsn)
        tracker.wait_for(1)
        wait_until_no_flusher(spool)
    accounts = read_accounts(spool)
    assert (accounts.recorded, accounts.delivered, accounts.writers) == (1, 1, [])
    assert list(spool.glob("v1/writers/*")) == list(spool.glob("v1/birth/*")) == []
    assert (spool / "v1/flusher.log").read_text() == ""


def test_stays_while_a_writer_lives(tmp_path: Path) -> None:
    """A process that has reported once finds the flusher there when it reports again."""
    spool = tmp_path / "spool"
    body = "for line in sys.stdin: acked(lastword.capture_message(line.strip()))"
    with LoopbackTracker() as tracker, Program(body, spool=spool, dsn=tracker.dsn) as program:
        assert program.process.stdin is not None
        seen = set()
        for count in range(1, 4):
            program.process.stdin.write("again\n")
            program.process.stdin.flush()
            program.line()
            tracker.wait_for(count)
            seen.add(flusher_of(spool))
        assert len(seen) == 1
        program.end()
        wait_until_no_flusher(spool)


def test_one_flusher_for_many_processes(tmp_path: Path) -> None:
    """However many processes begin to report at once, one flusher sends, and all arrives once."""
    spool = tmp_path / "spool"
    body = """
for number in range(8):
    if os.fork() == 0:
        for turn in range(5):
            acked(lastword.capture_message(f"{number}-{turn}"))
        os._exit(0)
for _ in range(8):
    os.wait()
"""
    with WitnessTracker() as tracker:
        acked = run(body, spool=spool, dsn=tracker.dsn)
        wait_until(lambda: len(tracker.delivered) == 40, "all of them")
        wait_until_no_flusher(spool)
        tracker.assert_one_sender_at_a_time()
        assert sorted(tracker.delivered) == sorted(acked)
        assert tracker.repeats() == 0


def test_a_removed_spool_ends_its_flusher(tmp_path: Path) -> None:
    """`rm -rf` of the spool ends the flusher, and the next capture begins a new spool."""
    spool = tmp_path / "spool"
    body = "for line in sys.stdin: acked(lastword.capture_message(line.strip()))"
    with LoopbackTracker() as tracker, Program(body, spool=spool, dsn=tracker.dsn) as program:
        assert program.process.stdin is not None
        program.process.stdin.write("first\n")
        program.process.stdin.flush()
        program.line()
        pid = flusher_of(spool)
        wait_for_accounts(spool, lambda accounts: accounts.delivered == 1, "the account of the first")
        remove_spool(spool)
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the flusher's end")
        program.process.stdin.write("second\n")
        program.process.stdin.flush()
        program.line()
        events = tracker.wait_for(2)
        program.end()
        wait_until_no_flusher(spool)
    assert [event.message for event in events] == ["first", "second"]
    assert wait_for_accounts(spool, lambda accounts: accounts.delivered == 1, "the new spool's account")


def test_failed_start_is_not_repeated_at_every_capture(tmp_path: Path) -> None:
    """In process mode: captures go on, events are kept, and one warning is logged."""
    spool = tmp_path / "spool"
    body = """
lastword.init(os.environ["TEST_DSN"], spool=os.environ["TEST_SPOOL"], flusher="process", shutdown_timeout=0)
sys.executable = sys._base_executable = ""; sys.exec_prefix = "/nonexistent"
for _ in range(3): acked(lastword.capture_message("kept"))
"""
    with LoopbackTracker() as tracker, Program(body, spool=spool, dsn=tracker.dsn) as program:
        _, trouble = program.process.communicate(timeout=30)
        assert tracker.requests == []
    assert trouble.count("no Python interpreter was found") == 1
    assert read_accounts(spool).held == 3
