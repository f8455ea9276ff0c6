"""Whether the process that leads is at work."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from lastword.spool.layout import Layout
from lastword.spool.leader import announce, is_stopped, version_of
from lastword.version import __version__
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


def test_the_version_of_the_one_that_leads(tmp_path: Path) -> None:
    """It is what that very process announced: not what was left by one before it, nor what is no announcement."""
    layout = Layout(str(tmp_path / "spool"))
    layout.prepare()
    assert version_of(layout, os.getpid()) is None
    announce(layout)
    assert version_of(layout, os.getpid()) == __version__
    assert version_of(layout, os.getppid()) is None
    told = Path(layout.leader).read_text()
    Path(layout.leader).write_text(told.replace('"start_time": ', '"start_time": 1'))
    assert version_of(layout, os.getpid()) is None
    Path(layout.leader).write_text("[]")
    assert version_of(layout, os.getpid()) is None
