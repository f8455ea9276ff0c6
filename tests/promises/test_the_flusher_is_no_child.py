"""The promise: when a capture returns, the program has no child that is not its own, and was told of none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.programs import run
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.NO_BURDEN,
    "After a capture the program has no extra child, and no SIGCHLD was lost or invented",
    broken_by="the shell not reaped; SIGCHLD not blocked; not sent again",
)

#: Captures in a spool of its own, so that a helper is started each time.
CAPTURE = """
import signal, time
from lastword.launch import child, detached
detached._HELPER = "import os; os.write(1, b'!'); os.fork(); os._exit(0)"  # sending is not what is looked at here
spools = []
def capture():
    spools.append(f"{os.environ['TEST_SPOOL']}{len(spools)}")
    lastword.init(os.environ["TEST_DSN"], spool=spools[-1], shutdown_timeout=0)
    acked(lastword.capture_message("hello"))
def forked(status, after=0.0):
    pid = os.fork()
    if pid == 0:
        time.sleep(after)
        os._exit(status)
    return pid
"""

WAITS_FOR_ALL = """
for number in range(3):
    children = {forked(number): number for number in range(1, 3)}
    capture()
    while children:
        pid, status = os.wait()
        assert os.waitstatus_to_exitcode(status) == children.pop(pid)
    try:
        os.wait()
    except ChildProcessError:
        pass
    else:
        raise SystemExit("a child that is not ours")
"""

HANDLES_SIGCHLD = """
heard, children = [], set()
def reap(number, frame):
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            pid = 0
        heard.append(pid)
        if not pid:
            break
signal.signal(signal.SIGCHLD, reap)
capture()
assert heard == [], heard
for number in range(6):
    children.add(forked(0, after=number * 0.001))  # that end before, during and after the start
    capture()
deadline = time.monotonic() + 10
while not children <= set(heard) and time.monotonic() < deadline:
    time.sleep(0.01)
assert set(heard) - {0} == children, "an end of the program's own child was not told, or one that is not its own"
"""

#: As ``signalfd`` and event loops do it: the signal is blocked for good, and taken where it is waited for.
WAITS_FOR_THE_SIGNAL = """
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
capture()
assert signal.sigtimedwait({signal.SIGCHLD}, 0) is None
pid = forked(0)
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # its signal waits now
capture()
assert signal.sigtimedwait({signal.SIGCHLD}, 5) is not None
assert os.wait()[0] == pid
assert signal.SIGCHLD in signal.pthread_sigmask(signal.SIG_BLOCK, ())
"""

IGNORES_SIGCHLD = """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
began = time.monotonic()
capture()
assert time.monotonic() - began < 5
assert signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
"""

PROGRAMS = {
    "waits": WAITS_FOR_ALL,
    "handles": HANDLES_SIGCHLD,
    "blocks": WAITS_FOR_THE_SIGNAL,
    "ignores": IGNORES_SIGCHLD,
}


@pytest.mark.parametrize("shell", ["a shell", "no shell"])
def test_capture_leaves_no_child_and_no_lost_sigchld(tmp_path: Path, shell: str) -> None:
    """Pre-fork masters wait for whichever child ends, handle SIGCHLD, or block it: they meet their own children only.

    Also in an image that has no shell.
    """
    no_shell = "child._SHELL, child._PATIENCE = '/nonexistent/sh', 10.0\n" if shell == "no shell" else ""
    for name, program in PROGRAMS.items():
        assert run(
            CAPTURE + no_shell + program, spool=tmp_path / name, dsn="booboo+http://token@127.0.0.1:9/org/project"
        )
