"""A test suite, each test of which leaves a process running: a child, a detached program, a forked daemon."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import tests.conftest

tests.conftest.GRACE = 0.5
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
DETACH = f"import subprocess; print(subprocess.Popen({SLEEP!r}, stdout=subprocess.DEVNULL).pid)"
children: list[subprocess.Popen[bytes]] = []


def announce(pid: int) -> None:
    Path(os.environ["PID_DIR"], str(pid)).touch()


def test_child() -> None:
    children.append(subprocess.Popen(SLEEP, env={}, cwd="/"))
    announce(children[0].pid)


def test_detached() -> None:
    announce(int(subprocess.check_output([sys.executable, "-c", DETACH])))


def test_daemon(tmp_path: Path) -> None:
    told, tell = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.dup2(os.open(tmp_path / "open", os.O_CREAT), 0)
            announce(os.getpid())
            os.close(tell)
            os.execve(SLEEP[0], SLEEP, {})
        os._exit(0)
    os.close(tell)
    os.wait()
    os.read(told, 1)
    os.close(told)
