"""A program under gevent: its greenlets go on, whatever the flusher does."""

from __future__ import annotations

from pathlib import Path

import pytest

from lastword.testing import LoopbackTracker
from tests.support import needs
from tests.support.programs import run
from tests.support.promise import Section, promise


@promise(
    Section.FLUSHER_MODES, "The flusher's thread does not block greenlets", broken_by="the patched `start_new_thread`"
)
@needs.installed("gevent")
def test_the_flushers_thread_holds_up_no_greenlet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a native thread: greenlets run while it waits in a system call."""
    monkeypatch.setenv("LASTWORD_FLUSHER", "thread")
    body = """
from gevent import monkey
monkey.patch_all()
import gevent
from lastword.flusher.loop import Flusher

turns, run, wait = [], Flusher.run, monkey.get_original("time", "sleep")

def run_when_others_had_their_turns(flusher, until):
    while len(turns) < 5:
        wait(0.01)
    run(flusher, until)

Flusher.run = run_when_others_had_their_turns
acked(lastword.capture_message("hello"))
for _ in range(5):
    gevent.sleep(0.01)
    turns.append(1)
acked(str(lastword.flush(30)))
"""
    with LoopbackTracker() as tracker:
        assert run(body, spool=tmp_path / "spool", dsn=tracker.dsn)[1] == "True"
        assert len(tracker.events) == 1


@promise(
    Section.NO_BURDEN,
    "Under gevent, too, a capture leaves no child",
    broken_by="`os.posix_spawn` and `os.waitpid` instead of `posix`'s",
)
@needs.installed("gevent")
def test_a_capture_that_starts_a_helper_leaves_no_child(tmp_path: Path) -> None:
    """gevent's own ``os`` would leave it to the loop, which cannot turn while something captures."""
    body = """
from gevent import monkey
monkey.patch_all()
import posix

acked(lastword.capture_message("hello"))
try:
    posix.waitpid(-1, posix.WNOHANG)
except ChildProcessError:
    acked("childless")
"""
    with LoopbackTracker() as tracker:
        assert run(body, spool=tmp_path / "spool", dsn=tracker.dsn)[1] == "childless"
