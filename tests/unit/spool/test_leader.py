"""Whether the process that leads is at work."""

from __future__ import annotations

import os
import signal
import sys

from lastword.spool.leader import is_stopped
from tests.support import needs
from tests.support.programs import wait_until


@needs.capability(sys.platform.startswith("linux"), "/proc")
def test_stopped_and_continued() -> None:
    """A process that was stopped is told from one that waits, and from one that goes on again."""
    pid = os.fork()
    if pid == 0:
        signal.pause()
    try:
        assert not is_stopped(pid)
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: is_stopped(pid), "its stop")
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: not is_stopped(pid), "its going on")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_process_that_is_gone() -> None:
    """Of a process that cannot be seen nothing is claimed."""
    assert not is_stopped(0)
    assert not is_stopped(2**22 + 1)
