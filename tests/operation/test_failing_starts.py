"""The promise: a flusher that is stopped, cannot start or has to pause comes back, and waits for no capture for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lastword.spool import start
from lastword.spool.layout import Layout
from lastword.spool.lock import LifetimeLock, holder
from lastword.spool.start import StartState
from lastword.testing import LoopbackTracker
from tests.support.programs import Program, run, wait_until, wait_until_no_flusher
from tests.support.promise import Section, promise

CAPTURE = "acked(lastword.capture_message('hello'))\n"
STAYS = "acked('ready'); sys.stdin.read()\n"

#: Programs in the place of Python: one that `-I` cannot start, one that is killed, one that is no program at all.
INTERPRETERS = {
    "ends": "#!/bin/sh\nexit 1\n",
    "is killed": "#!/bin/sh\nkill -9 $$\n",
    "cannot be executed": "\x7fELF and nothing of it",
    "is missing": "#!/nonexistent/python\n",
    "cannot import": '#!/bin/sh\nexec \'{python}\' -I -S -c "$3" "$4" "$5" "$6" "$7" /nowhere\n',
}


@promise(
    Section.FLUSHER_MODES,
    "With an interpreter that cannot run, a thread sends the first capture at once",
    broken_by="no thread at once; its answer not waited for; a changed interpreter counts as known "
    "(tests/unit/launch/test_launcher.py)",
)
@pytest.mark.parametrize("interpreter", INTERPRETERS.values(), ids=INTERPRETERS)
def test_thread_sends_the_first_event_where_the_interpreter_cannot_run(interpreter: str, tmp_path: Path) -> None:
    """A thread sends the first event, at once; and those of the next start of the program, too."""
    python, spool = tmp_path / "python3", tmp_path / "spool"
    python.write_text(interpreter.format(python=sys.executable))
    python.chmod(0o755)
    body = """
import sys
sys.executable = sys._base_executable = sys.argv[1]
import lastword.launch
lastword.launch._ANSWER_WITHIN = 60.0  # however busy the machine
lastword.init(sys.argv[2], spool=sys.argv[3])
lastword.capture_message("hello")
sys.stdin.read()
"""
    with LoopbackTracker() as tracker:
        for count in (1, 2):
            with subprocess.Popen(
                [sys.executable, "-c", body, str(python), tracker.dsn, str(spool)],
                stdin=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as program:
                tracker.wait_for(count, timeout=20)
                assert "no process could be started" in program.communicate()[1]


@promise(
    Section.FLUSHER_MODES,
    "Events held at a stop are sent by the next start",
    broken_by="the pause also holds for later processes",
)
def test_events_held_at_a_stop_are_sent_by_the_next_start(tmp_path: Path) -> None:
    """`systemctl restart` stops the flusher too; the program that is started again sends what is held at once."""
    layout = Layout(str(tmp_path / "spool"))
    with LoopbackTracker() as tracker:
        tracker.go_down()
        run(CAPTURE, spool=tmp_path / "spool", dsn=tracker.dsn)
        wait_until(lambda: holder(layout.flusher_lock), "a flusher")
        pid = holder(layout.flusher_lock)
        assert pid
        os.kill(pid, signal.SIGTERM)
        wait_until_no_flusher(tmp_path / "spool")
        wait_until(lambda: start.load(layout).stopped_at, "the pause")
        tracker.come_up()
        began = time.monotonic()
        with Program(STAYS, spool=tmp_path / "spool", dsn=tracker.dsn):
            tracker.wait_for(1)
        assert time.monotonic() - began < 5  # of a pause of ten


@promise(
    Section.FLUSHER_MODES,
    "Events captured during a pause are sent when it is over",
    broken_by="a pause that is not waited out; one try",
)
@pytest.mark.parametrize("stopped", [True, False], ids=["stopped", "broken down"])
def test_events_captured_in_a_pause_are_sent_after_it(stopped: bool, tmp_path: Path) -> None:
    """Also if the process captures nothing more; `flush` does not wait for the pause."""
    layout = Layout(str(tmp_path / "spool"))
    body = "acked('ready'); sys.stdin.readline()\n" + CAPTURE + "acked('captured'); sys.stdin.read()\n"
    with LoopbackTracker() as tracker, Program(body, spool=tmp_path / "spool", dsn=tracker.dsn) as program:
        program.line()
        layout.prepare()
        until = time.time() + 2
        start.pause(layout, until, stopped_at=time.time() if stopped else 0.0)
        program.tell("go on")
        wait_until(lambda: holder(layout.helper_lock), "a helper that waits")
        assert time.time() > until or not tracker.events
        tracker.wait_for(1)
        assert time.time() > until


def test_flush_and_the_end_of_a_program_wait_for_no_pause(tmp_path: Path) -> None:
    """The one sends from the calling thread; the other leaves it to the helper that waits."""
    layout = Layout(str(tmp_path / "spool"))
    layout.prepare()
    body = "lastword.init(os.environ['TEST_DSN'], spool=os.environ['TEST_SPOOL'], shutdown_timeout=30)\n" + CAPTURE
    with LoopbackTracker() as tracker:
        start.pause(layout, time.time() + 45)
        run(body + "assert lastword.flush(20)\n", spool=tmp_path / "spool", dsn=tracker.dsn)
        assert len(tracker.events) == 1
        start.pause(layout, time.time() + 45)
        began = time.monotonic()
        run(body, spool=tmp_path / "spool", dsn=tracker.dsn)
        assert time.monotonic() - began < 20
        pid = holder(layout.helper_lock)
        assert pid
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: holder(layout.helper_lock) is None, "the end of the helper that waits")


@promise(Section.FLUSHER_MODES, "A waiting helper holds up no stop", broken_by="it waits for nobody")
def test_a_helper_that_waits_holds_up_no_stop(tmp_path: Path) -> None:
    """It ends with the last process of a service that stops, whatever was captured meanwhile."""
    layout = Layout(str(tmp_path / "spool"))
    body = "acked('ready'); sys.stdin.readline()\n" + CAPTURE + "sys.stdin.read()\n"
    with LoopbackTracker() as tracker, Program(body, spool=tmp_path / "spool", dsn=tracker.dsn) as program:
        program.line()
        layout.prepare()
        now = time.time()
        start.store(layout, StartState(0, now + 50, stopped_at=now))
        program.tell("go on")
        program.line()
        wait_until(lambda: holder(layout.helper_lock), "a helper that waits")
        program.process.kill()
        program.process.wait()
        wait_until(lambda: holder(layout.helper_lock) is None, "its end")
        lock = LifetimeLock.acquire(layout.flusher_lock)
        assert lock is not None and not tracker.events
        lock.release()


#: As from Python 3.12 on: no thread can be started once the interpreter has begun to end.
NO_THREAD_AT_THE_END = """
import _thread
def refuse(*arguments, **options):
    raise RuntimeError("can't start new thread at interpreter shutdown")
def no_thread():
    _thread.start_new_thread = threading.Thread.start = refuse
"""


@promise(
    Section.FLUSHER_MODES,
    "A first capture at exit arrives, also where no thread can be started",
    broken_by="not sent from the calling thread; not sent after our own end; an outbox that needs a thread",
)
@pytest.mark.parametrize("threads", ["threads", "no threads"])
@pytest.mark.parametrize("mode", ["process", "thread"])
def test_first_capture_at_exit_arrives(mode: str, threads: str, tmp_path: Path) -> None:
    """From an atexit function that runs before or after lastword's own, also twice."""
    init = f"lastword.init(sys.argv[1], spool=sys.argv[2], flusher={mode!r}, shutdown_timeout=60)\n"
    late = "atexit.register(lambda: [lastword.capture_message('late') for _ in range(2)])\n"
    begin = "import atexit, os, sys, threading, lastword\n" + NO_THREAD_AT_THE_END
    end = "atexit.register(no_thread)\n" if threads == "no threads" else ""
    with LoopbackTracker() as tracker:
        for count, body in ((2, begin + late + init + end), (4, begin + init + late + end)):
            spool = str(tmp_path / f"spool{count}")
            done = subprocess.run([sys.executable, "-c", body, tracker.dsn, spool], capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, "")
            tracker.wait_for(count, timeout=60)


@promise(
    Section.FLUSHER_MODES,
    "The end of a program waits for nothing where nothing can be sent",
    broken_by="a drain that fails is tried until the time is up",
)
def test_end_of_program_does_not_wait_where_nothing_can_be_sent(tmp_path: Path) -> None:
    """A program without requests: its events are kept, and it is not held up by them."""
    body = (
        "lastword.init(os.environ['TEST_DSN'], spool=os.environ['TEST_SPOOL'], flusher='thread', shutdown_timeout=99)\n"
    )
    no_requests = "sys.modules['requests'] = None\n"
    with LoopbackTracker() as tracker:
        began = time.monotonic()
        run(body + no_requests + CAPTURE, spool=tmp_path / "spool", dsn=tracker.dsn)
        assert time.monotonic() - began < 60


@promise(
    Section.FLUSHER_MODES,
    "Threads of lastword have enough stack, however small the program's is",
    broken_by="the program's size",
)
def test_threads_of_lastword_have_a_large_enough_stack(tmp_path: Path) -> None:
    """However small the program wants its own: 32 KiB were a crash."""
    small = (32 if sys.version_info < (3, 14) else 64) << 10  # the smallest that Python takes, or nearly
    body = f"threading.stack_size({small})\n"
    body += "lastword.init(os.environ['TEST_DSN'], spool=os.environ['TEST_SPOOL'], flusher='thread')\n"
    with LoopbackTracker() as tracker:
        run(
            body + CAPTURE + f"assert lastword.flush(30)\nassert threading.stack_size() == {small}\n",
            spool=tmp_path / "spool",
            dsn=tracker.dsn,
        )
        assert len(tracker.events) == 1


@promise(Section.FLUSHER_MODES, "A helper that is late still leads", broken_by="it dies of the pipe that nobody reads")
def test_late_helper_leads_although_its_starter_gave_up(tmp_path: Path) -> None:
    """On a busy machine it comes to say that it has begun when the program has long gone on."""
    body = f"""
import lastword.launch
lastword.launch._ANSWER_WITHIN = 1e-6
{CAPTURE}{STAYS}"""
    with LoopbackTracker() as tracker, Program(body, spool=tmp_path / "spool", dsn=tracker.dsn):
        tracker.wait_for(1, timeout=20)
