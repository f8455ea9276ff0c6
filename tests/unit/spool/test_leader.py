"""Whether the process that leads is at work."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pytest

from lastword.flusher import schedule
from lastword.flusher.loop import Flusher
from lastword.spool import leader
from lastword.spool.layout import Layout
from lastword.version import __version__
from tests.support import needs
from tests.support.programs import wait_until
from tests.support.promise import Section, promise


@needs.capability(sys.platform.startswith("linux"), "/proc")
def test_stopped_process_is_recognised_until_it_continues(layout: Layout) -> None:
    """It differs at once from one that waits."""
    pid = os.fork()
    if pid == 0:
        signal.pause()
    try:
        assert not leader.stands_still(layout, pid)
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: leader.stands_still(layout, pid), "its stop")
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: not leader.stands_still(layout, pid), "its going on")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@promise(
    Section.BOUNDED,
    "A frozen or hanging leader is reported",
    broken_by="no sign of life given; only late signs counted",
)
@pytest.mark.parametrize("pid", [0, os.getpid()], ids=["in another pid namespace", "visible"])
def test_leader_without_a_sign_of_life_counts_as_stopped(layout: Layout, pid: int) -> None:
    """Frozen, hanging or not visible: who leads gives signs, and who has given none for a while stands still, whatever
    the clock was set to meanwhile. One of an older version, which gives none, is believed to be at work.
    """
    assert not leader.stands_still(layout, pid)
    leader.announce(layout)
    assert not leader.stands_still(layout, pid)
    assert not leader.stands_still(layout, None)
    for late in (-60.0, 60.0):
        os.utime(layout.leader, (time.time() + late, time.time() + late))
        assert leader.stands_still(layout, pid)
    assert not leader.stands_still(layout, None)  # it has left
    leader.give_sign(layout)
    assert not leader.stands_still(layout, pid)
    Path(layout.leader).write_text('{"pid": 1, "start_time": 2, "lastword": "0.0.1", "since": 3.0}')
    os.utime(layout.leader, (0, 0))
    assert not leader.stands_still(layout, pid)


@promise(Section.BOUNDED, "A frozen or hanging leader is reported")
def test_idle_leader_gives_signs_of_life(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that has nothing to do."""
    monkeypatch.setattr(leader, "SIGN_INTERVAL", 0.0)
    monkeypatch.setattr(schedule, "LOOK_INTERVAL", 0.01)
    announced = leader.announce

    def long_ago(layout: Layout) -> None:
        announced(layout)
        os.utime(layout.leader, (0, 0))

    monkeypatch.setattr(leader, "announce", long_ago)
    began = time.monotonic()
    Flusher(layout, stays=True).run(lambda: os.stat(layout.leader).st_mtime > 0 or time.monotonic() > began + 10)
    assert time.time() - os.stat(layout.leader).st_mtime < 10


@promise(
    Section.RECOVERY,
    "After a clock change the leader's next sign of life is on time",
    broken_by="by the elapsed time alone",
)
@pytest.mark.parametrize("ahead", [-8 * 3600.0, 8 * 3600.0])
def test_leader_gives_a_sign_by_a_changed_clock(layout: Layout, monkeypatch: pytest.MonkeyPatch, ahead: float) -> None:
    """At its next look, so that it does not count as stopped."""
    monkeypatch.setattr(schedule, "LOOK_INTERVAL", 0.01)
    real, began = time.time, time.monotonic()

    def has_followed() -> bool:
        monkeypatch.setattr(time, "time", lambda: real() + ahead)
        is_late = time.monotonic() > began + 3
        return is_late or not leader.stands_still(layout, os.getpid())

    Flusher(layout, stays=True).run(has_followed)
    assert not leader.stands_still(layout, os.getpid())


def test_version_of_the_leader_is_the_last_announced(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whatever pid; unknown where there was no room to announce it."""
    assert leader.version_of(layout) is None
    leader.announce(layout)
    assert leader.version_of(layout) == __version__
    Path(layout.leader).write_text('{"pid": 99999999, "start_time": 2, "lastword": "0.0.1", "since": 3.0}')
    assert leader.version_of(layout) == "0.0.1"
    with monkeypatch.context() as patch:
        patch.setattr(leader, "write_whole_file", Mock(side_effect=OSError(errno.ENOSPC, "full")))
        leader.announce(layout)
    assert leader.version_of(layout) is None
    Path(layout.leader).write_text("[]")
    assert leader.version_of(layout) is None
