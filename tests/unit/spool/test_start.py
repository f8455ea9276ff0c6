"""Who may start a flusher, and when."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lastword.spool import start
from lastword.spool.layout import Layout
from lastword.spool.lock import LifetimeLock
from lastword.spool.start import StartState


def test_waits_double_up_to_a_minute() -> None:
    """A start that fails is tried again after 1, 2, 4 … 60 seconds."""
    state, waits = StartState(), []
    for _ in range(9):
        state = state.before_start(1000.0).after_start(1000.0)
        waits.append(state.not_before - 1000.0)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize(
    ("not_before", "now", "allowed"),
    [
        (0.0, 1000.0, True),
        (1000.0, 1000.0, True),
        (1000.1, 1000.0, False),
        (1060.0, 1000.0, False),
        (1060.1, 1000.0, True),  # nobody sets a wait of over a minute: the clock was wrong
    ],
)
def test_when_a_start_is_allowed(not_before: float, now: float, allowed: bool) -> None:
    """Not before `not_before`, unless that is further ahead than any pause."""
    assert StartState(3, not_before).allows(now) is allowed


def test_killed_starter_holds_up_no_other() -> None:
    """A start that was counted and never made is no reason to wait; one that was made is."""
    state = StartState().before_start(1000.0)
    assert state.allows(1000.0)
    assert not state.after_start(1000.0).allows(1000.0)
    assert state.failures == state.after_start(1000.0).failures == 1


def test_helper_of_a_slow_start_has_its_time_from_the_end_of_the_start() -> None:
    """A busy machine took 0.9 s to start it: it may come soon, and no other is started right after that."""
    state = StartState().before_start(1000.0).after_start(1000.9)
    assert state.may_come_soon(1000.95)
    assert not state.allows(1000.95)
    assert not state.may_be_waited_out(1000.95)
    assert state.may_be_waited_out(1000.9 + start.BIRTH)
    assert state.allows(1001.9)


def test_written_state_is_read(layout: Layout) -> None:
    """The state comes back, also over a longer one; garbage and no file are a fresh state."""
    assert start.load(layout) == StartState()
    start.store(layout, StartState(12345, 1_800_000_000.123456, unfinished=True))
    assert start.load(layout) == StartState(12345, 1_800_000_000.123456, unfinished=True)
    start.store(layout, StartState(1, 2.0))
    assert start.load(layout) == StartState(1, 2.0)
    start.clear_failures(layout)
    assert start.load(layout) == StartState()
    start.pause(layout, 17.0)
    assert start.load(layout) == StartState(0, 17.0)
    Path(layout.start_state).write_text("{garbage")
    assert start.load(layout) == StartState()


def test_state_is_used_only_under_its_lock(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process starts a flusher, the state is left to it."""
    monkeypatch.setattr(start, "_LOCK_PATIENCE", 0.05)
    lock = LifetimeLock.acquire(layout.start_lock)
    assert lock is not None
    start.pause(layout, 17.0)
    assert start.load(layout) == StartState()
    lock.release()
    start.pause(layout, 17.0)
    assert start.load(layout) == StartState(0, 17.0)


def test_reading_a_new_file_imports_nothing(layout: Layout) -> None:
    """A start.json that was made and not written yet is full of zeros; a capture that reads it imports nothing."""
    start.preallocate(layout)
    code = f"""
import sys
from lastword.spool import start
from lastword.spool.layout import Layout
layout = Layout({layout.spool!r})
before = set(sys.modules)
assert start.load(layout) == start.StartState()
assert set(sys.modules) == before, set(sys.modules) - before
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_pause_after_a_stop_does_not_hold_for_later_processes() -> None:
    """Nor does the count of helpers that wait for its end."""
    state = StartState(1, 1010.0, stopped_at=1000.0)
    assert state.for_process(999.0) == state
    assert state.for_process(1000.5) == StartState()
    assert StartState(2, 1010.0).for_process(1000.5) == StartState(2, 1010.0)


def test_a_start_in_a_pause_leaves_the_pause_as_it_is() -> None:
    """The helper waits; other captures neither start another one nor wait for this one."""
    paused = StartState(0, 1030.0, stopped_at=1000.0)
    assert paused.may_be_waited_out(1000.0)
    state = paused.before_start(1000.0).after_start(1000.0)
    assert state == StartState(1, 1030.0, stopped_at=1000.0)
    assert not state.may_be_waited_out(1020.0)
    assert not state.may_come_soon(1020.0)
    assert StartState().before_start(1000.0).may_come_soon(1000.0)
    assert not StartState(start.MOST_FAILURES, 1030.0).may_be_waited_out(1029.0)


def test_interpreter_that_has_led_is_remembered(layout: Layout) -> None:
    """By its path; another interpreter, or no file, has not led."""
    assert not start.has_led(layout, "/usr/bin/python3")
    for python in ("/usr/local/bin/python3.13", "/usr/bin/python3"):
        descriptor = start.lock_helper(layout)
        assert descriptor is not None
        start.remember_leading(descriptor, python)
        os.close(descriptor)
        assert start.has_led(layout, python)
    assert not start.has_led(layout, "/usr/bin/python")
