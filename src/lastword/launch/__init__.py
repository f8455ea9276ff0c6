"""Starting a flusher: see that nobody leads, then start a detached process or a thread, as it was chosen (``mode``).

Every process that has something to say probes ``flusher.lock`` after it has written (3 µs). If nobody holds it, the
holder of ``start.lock`` starts a helper (``detached``), whose first half ends at once and is reaped here, by its own
pid, at a later capture.
"""

from __future__ import annotations

import os
import time
from typing import Callable

from lastword import diagnostics
from lastword.launch.detached import spawn as spawn
from lastword.launch.mode import Choice, Mode
from lastword.launch.thread import Lead, ThreadStarter
from lastword.spool import start
from lastword.spool.layout import Layout
from lastword.spool.leader import is_outdated
from lastword.spool.lock import LifetimeLock, holder
from lastword.spool.start import StartState

#: How long a capture waits for another thread that is starting a flusher, in seconds.
_THREAD_WAIT = 0.005

#: How long a process waits with its next start where it cannot write down that it made one, in seconds.
_UNTOLD_WAIT = 1.0

#: After this many starts that came to nothing the flusher is run in another way, if there is one.
_MOST_FAILURES = 3


class Launcher:
    """Starts flushers. Safe to inherit over a fork. ``load`` imports what leads in a thread, and is called there."""

    def __init__(self, load: Callable[[], Lead]) -> None:
        self._helpers: list[tuple[int, int]] = []  # (pid of the process that started it, its pid)
        self._not_before = 0.0  # where start.json cannot be written; by the monotonic clock
        self._failed = False  # the last start that this process made could not be made at all
        self._compared_with = (0, 0, 0)  # (pid of the process that looked, pid of the leader, minute)
        self._threads = ThreadStarter(load)

    def ensure_flusher(self, layout: Layout, choice: Choice) -> bool:
        """Start a flusher unless one leads, one is being started, or starting failed a moment ago. Never raises.

        Whether one leads, or may come to lead in a moment.
        """
        self._reap()
        try:
            leads = holder(layout.flusher_lock)
            if leads is not None:
                if choice.mode is Mode.PROCESS and self._is_outdated(layout, leads):
                    self._start_process(layout, layout.successor_lock, time.time())
                return True
            if choice.mode is Mode.PROCESS:
                self._start(layout, choice.if_starts_fail, time.time())
            elif choice.mode is Mode.THREAD:
                self._failed = not self._threads.ensure(layout)
            else:
                return False
        except Exception as error:  # whatever it is, what was captured is safe already
            self._failed = True
            what = "process" if choice.mode is Mode.PROCESS else "thread"
            diagnostics.note("start", f"no {what} could be started to send events (they stay in the spool): {error}")
        return not self._failed

    def make_way(self) -> None:
        """This process ends: have a thread of it that leads write down what it did, and let go."""
        self._threads.leave()

    def _start(self, layout: Layout, if_starts_fail: Mode, now: float) -> None:
        state = start.load(layout)
        if not state.allows(now) or start.is_coming(layout, state, now):
            return
        if state.failures >= _MOST_FAILURES and if_starts_fail is Mode.THREAD:
            self._threads.ensure(layout)
            self._failed = False
            diagnostics.note(
                "mode",
                f"{state.failures} processes that were started to send events did not come to work (see "
                f"{layout.flusher_log}): a thread of this process does it now",
            )
            return
        self._start_process(layout, layout.flusher_lock, now)

    def _start_process(self, layout: Layout, place: str, now: float) -> None:
        """Start one, by whoever gets ``start.lock``, unless somebody has the lock ``place`` that it is to take."""
        lock = LifetimeLock.acquire(layout.start_lock)
        if lock is None:
            _wait_for_a_thread_of_ours(layout)
            return
        try:
            state = start.load(layout)
            if state.allows(now) and holder(place) is None:
                start.make_helper_lock(layout)
                state = state.before_start(now)
                if self._may_start_after_telling(layout, state):
                    try:
                        self._helpers.append((os.getpid(), spawn(layout)))
                        self._failed = False
                    finally:
                        _tell(layout, state.after_start())
        finally:
            lock.release()

    def _is_outdated(self, layout: Layout, leads: int) -> bool:
        """Whether an older version than ours leads; asked once a minute of each leader that can be told apart."""
        seen = (os.getpid(), leads, int(time.monotonic() // 60))
        if self._compared_with == seen:
            return False
        self._compared_with = seen
        return is_outdated(layout)

    def _may_start_after_telling(self, layout: Layout, state: StartState) -> bool:
        """Say that a start is being made. On a full disk this process alone keeps count: only a flusher makes room."""
        if _tell(layout, state):
            return True
        now = time.monotonic()
        if now < self._not_before:
            return False
        self._not_before = now + _UNTOLD_WAIT
        return True

    def _reap(self) -> None:
        for helper in list(self._helpers):
            starter, pid = helper
            try:
                ended = starter != os.getpid() or os.waitpid(pid, os.WNOHANG)[0] == pid
            except ChildProcessError:  # somebody who waits for every child was faster
                ended = True
            if ended and helper in self._helpers:
                self._helpers.remove(helper)


def _tell(layout: Layout, state: StartState) -> bool:
    try:
        start.store(layout, state)
    except OSError:
        return False
    return True


def _wait_for_a_thread_of_ours(layout: Layout) -> None:
    """Give another thread of this process the time to start one, so that a kill after this capture comes too late.

    Not so for another process: a capture waits for none.
    """
    deadline = time.monotonic() + _THREAD_WAIT
    while holder(layout.start_lock) == os.getpid() and time.monotonic() < deadline:
        time.sleep(0.0005)
