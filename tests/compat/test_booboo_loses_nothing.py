"""The promise: with the drop-in, too, what was captured arrives, whatever becomes of the process and the tracker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from lastword.audit.accounts import read_accounts
from lastword.cli.demo.servers import server_environment, start_celery, start_gunicorn
from lastword.testing import LoopbackTracker
from tests.support import needs
from tests.support.programs import wait_for_accounts, wait_until
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.BOOBOO,
    "Captured events arrive, whatever happens to process and tracker",
    broken_by="nothing sent at the end of the process",
)

PRELUDE = """
import os, signal, sys, time
import lastword.compat.booboo as booboo
booboo.init(os.environ["TRACKER"], environment="production")
"""


def environment_of(tmp_path: Path, tracker: LoopbackTracker) -> dict[str, str]:
    spool = str(tmp_path / "spool")
    return {**os.environ, "TRACKER": tracker.dsn.partition("+")[2], "LASTWORD_SPOOL": spool}


def start(body: str, tmp_path: Path, tracker: LoopbackTracker) -> subprocess.Popen[str]:
    (tmp_path / "program.py").write_text(PRELUDE + body)
    return subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=environment_of(tmp_path, tracker),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run(body: str, tmp_path: Path, tracker: LoopbackTracker) -> tuple[int, str]:
    with start(body, tmp_path, tracker) as program:
        trouble = program.communicate(timeout=60)[1]
    return program.returncode, trouble


def messages(tracker: LoopbackTracker, count: int) -> list[str]:
    return sorted(event.message for event in tracker.wait_for(count, timeout=30))


ENDS = {
    "SIGKILL in the next instruction": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    "os._exit": ("os._exit(7)", 7),
    "an unhandled exception": ("raise ValueError('third')", 1),
}


@pytest.mark.parametrize("hook", ["", ", before_send=lambda event: event"])
@pytest.mark.parametrize("end", ENDS)
def test_captured_events_arrive_however_the_process_ends(tmp_path: Path, end: str, hook: str) -> None:
    """However the process ends, in an outage: what it captured until then arrives when that is over."""
    body, status = ENDS[end]
    again = f"booboo.init(os.environ['TRACKER']{hook})\n" if hook else ""
    program = f"""{again}
booboo.capture_message("first")
try:
    raise KeyError("second")
except KeyError:
    booboo.capture_exception()
{body}
"""
    with LoopbackTracker() as tracker:
        tracker.go_down()
        assert run(program, tmp_path, tracker)[0] == status
        tracker.come_up()
        expected = ["'second'", "first", *(["third"] if status == 1 else [])]
        assert messages(tracker, len(expected)) == expected


FORKS = """
import multiprocessing
def say(kind):
    message = f"{kind} {os.getpid()}"
    os.write(1, f"{message}\\n".encode())  # at once, for several processes say something
    return message
def work(number=0):
    try:
        raise ValueError(say("handled"))
    except ValueError:
        booboo.capture_exception()
    booboo.capture_message(say("message"))
def fail():
    work()
    raise ValueError(say("uncaught"))
"""

WAYS_TO_FORK = {
    "os.fork": "if os.fork() == 0:\n    fail()\nos.wait()",
    "os.fork and os._exit": "for _ in range(3):\n    if os.fork() == 0:\n        work()\n        os._exit(0)\n"
    "for _ in range(3): os.wait()",
    "a child that is killed": "if os.fork() == 0:\n    work()\n    os.kill(os.getpid(), 9)\nos.wait()",
    "a pool": "with multiprocessing.get_context('fork').Pool(2) as pool: pool.map(work, range(6), chunksize=1)",
    **{
        way: f"if __name__ == '__main__':\n    made = multiprocessing.get_context('{way}')\n"
        "    children = [made.Process(target=fail) for _ in range(2)]\n"
        "    for child in children: child.start()\n    for child in children: child.join()"
        for way in ("fork", "spawn", "forkserver")
    },
}


@pytest.mark.parametrize("way", WAYS_TO_FORK)
def test_a_child_reports(tmp_path: Path, way: str) -> None:
    """Children of fork, multiprocessing and pools report handled, unhandled and messages; no second handshake."""
    with LoopbackTracker() as tracker:
        with start(FORKS + WAYS_TO_FORK[way], tmp_path, tracker) as program:
            said = program.communicate(timeout=60)[0].splitlines()
        assert program.returncode == 0
        assert said
        assert messages(tracker, len(said)) == sorted(said)
        assert len([request for request in tracker.requests if b'"handshake"' in request.raw]) == 1


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_tracker_in_trouble(tmp_path: Path, status: int) -> None:
    """A later process sends the events that the tracker could not accept."""
    with LoopbackTracker() as tracker:
        tracker.answer(status)
        assert run("booboo.capture_message('kept')", tmp_path, tracker)[0] == 0
        wait_until(lambda: len(tracker.requests) > 0, "an attempt")
        assert tracker.events == []
        tracker.answer_normally()
        assert messages(tracker, 1) == ["kept"]


def test_a_tracker_that_is_down(tmp_path: Path) -> None:
    """The program says at its end that the tracker was unreachable; its events arrive later."""
    with LoopbackTracker() as tracker:
        tracker.go_down()
        began = time.monotonic()
        status, trouble = run(
            "for n in range(3): booboo.capture_message(f'kept {n}')\ntime.sleep(1)", tmp_path, tracker
        )
        assert status == 0
        assert time.monotonic() - began < 20
        assert trouble.count("booboo: could not reach http://127.0.0.1:") == 1
        wait_for_accounts(tmp_path / "spool", lambda accounts: accounts.held == 4, "3 events and the handshake")
        tracker.come_up()
        assert messages(tracker, 3) == ["kept 0", "kept 1", "kept 2"]


def test_a_tracker_that_hangs(tmp_path: Path) -> None:
    """The end of the process takes no more than its 5 s, and nothing is lost."""
    with LoopbackTracker() as tracker:
        tracker.be_slow(60)
        with start("booboo.capture_message('kept')\nprint(time.time())", tmp_path, tracker) as program:
            told = program.communicate(timeout=60)[0]
        assert 4.0 < time.time() - float(told) < 15.0
        assert read_accounts(tmp_path / "spool").delivered == 0
        tracker.be_slow(0)
        wait_for_accounts(tmp_path / "spool", lambda accounts: accounts.delivered == 2, "the event and the handshake")
        assert {event.message for event in tracker.events} == {"kept"}


GUNICORN_APP = """
import os
import lastword.compat.booboo as booboo
booboo.init(os.environ["TRACKER"])
def app(environ, start_response):
    path = environ["PATH_INFO"]
    booboo.capture_message("message " + path)
    try:
        raise ValueError("error " + path)
    except ValueError:
        booboo.capture_exception()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


@needs.installed("gunicorn")
def test_gunicorn_with_preload(tmp_path: Path) -> None:
    """`init` ran in the master; what its workers capture arrives, also in an outage in which each of them is killed."""
    (tmp_path / "shop.py").write_text(GUNICORN_APP)
    with LoopbackTracker() as tracker:
        environment = environment_of(tmp_path, tracker)
        server, port = start_gunicorn(tmp_path, environment, "shop:app", workers=2)
        try:
            for number in range(6):
                if number == 2:
                    tracker.go_down()
                with urlopen(f"http://127.0.0.1:{port}/{number}", timeout=60) as answer:
                    pid = int(answer.read())
                if number >= 2:
                    os.kill(pid, signal.SIGKILL)
            tracker.come_up()
            expected = sorted(f"{kind} /{number}" for kind in ("message", "error") for number in range(6))
            assert messages(tracker, 12) == expected
            assert len([request for request in tracker.requests if b'"handshake"' in request.raw]) == 1
        finally:
            server.ask_to_stop()
            server.end(patience=30)
        assert server._process.returncode == 0, server.log_tail()


CELERY_APP = """
import os
from celery import Celery
from celery.signals import worker_process_init
import lastword.compat.booboo as booboo
booboo.init(os.environ["TRACKER"])
app = Celery("tasks", broker="memory://")

@worker_process_init.connect
def work(**_):
    booboo.capture_message("message of a child")
    try:
        raise ValueError("error of a child")
    except ValueError:
        booboo.capture_exception()
"""


@needs.installed("celery")
def test_celery(tmp_path: Path) -> None:
    """`init` ran in the worker; its pool's children report."""
    (tmp_path / "tasks.py").write_text(CELERY_APP)
    with LoopbackTracker() as tracker:
        environment = {**server_environment(tmp_path), **environment_of(tmp_path, tracker)}
        server = start_celery(tmp_path, environment, "tasks")
        try:
            assert messages(tracker, 4) == ["error of a child"] * 2 + ["message of a child"] * 2
            assert len([request for request in tracker.requests if b'"handshake"' in request.raw]) == 1
        finally:
            server.end(patience=0)
