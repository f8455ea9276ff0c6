"""Start a flusher if there is no leader: a detached process or a thread, as ``mode`` chooses.

Every process that records an event probes ``flusher.lock`` afterwards (3 µs). If the lock is free, the holder of
``start.lock`` starts a helper (``detached``) that is not a child of the program (``child``). During a pause that helper
waits, so that the process that captured the event need not try again. If no process can be started, a thread sends.
"""

from __future__ import annotations

import errno
import os
import time
from typing import Callable

from lastword import diagnostics
from lastword.interruption import failures
from lastword.launch.child import Children
from lastword.launch.detached import interpreter_id, require_interpreter
from lastword.launch.detached import spawn as spawn
from lastword.launch.mode import Choice, Mode
from lastword.launch.thread import Lead, ThreadStarter
from lastword.spool import start
from lastword.spool.layout import Layout
from lastword.spool.leader import is_outdated
from lastword.spool.lock import LifetimeLock, holder
from lastword.spool.start import StartState

#: Seconds that a capture waits for another thread that is starting a flusher.
_THREAD_WAIT = 0.005

#: Seconds that a process waits before its next start if it could not record the last one.
_UNRECORDED_WAIT = 1.0

#: Seconds that an interpreter's first start, and a start after a failure, has to report that it begins well.
_ANSWER_WITHIN = 1.0

#: Errors that may be temporary: no room for another process, for its memory, for another descriptor.
_PASSING = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


class Launcher:
    """Starts flushers. Safe to inherit over a fork. ``load`` imports the flusher of a thread, and is called there."""

    def __init__(self, load: Callable[[], Lead]) -> None:
        self._began = time.time()
        self._children = Children()
        self._not_before = 0.0  # used if start.json cannot be written; by the monotonic clock
        self.has_failed = False  # neither a process nor a thread could be started the last time
        self._compared_with = (0, 0, 0)  # (pid of the process that checked, pid of the leader, minute)
        self._threads = ThreadStarter(load)

    def ensure_flusher(self, layout: Layout, choice: Choice) -> bool:
        """Start a flusher unless one leads, one is being started, or starting failed a moment ago. Never raises.

        Return whether one leads, or may lead in a moment.
        """
        self._children.reap()
        try:
            leads = holder(layout.flusher_lock)
            if leads is not None:
                if choice.mode is Mode.PROCESS and self._is_outdated(layout, leads):
                    self._start_process(layout, layout.successor_lock, time.time())
                return True
            if choice.mode is Mode.PROCESS:
                return self._start(layout, choice.if_starts_fail, time.time())
            if choice.mode is Mode.THREAD:
                self.has_failed = not self._threads.ensure(layout)
                return not self.has_failed
        except failures() as error:  # whatever fails here, the captured event is already on disk
            self.has_failed = True
            what = "process" if choice.mode is Mode.PROCESS else "thread"
            diagnostics.note("start", f"no {what} could be started to send events (they stay in the spool): {error}")
        return False

    def make_way(self) -> None:
        """Have a leading thread of this process write its checkpoint and leave, because the process ends."""
        self._threads.leave()

    def go_on(self) -> None:
        """Allow threads to lead again, after an ``init`` that follows a ``close``."""
        self._threads.stay()

    def _start(self, layout: Layout, if_starts_fail: Mode, now: float) -> bool:
        """Have a process lead, or a thread if no process can; true if one may lead in a moment, without a pause."""
        state = start.load(layout).for_process(self._began)
        if start.is_coming(layout, state, now):
            return state.may_come_soon(now)
        if state.failures >= start.MOST_FAILURES and if_starts_fail is Mode.THREAD:
            return self._start_thread(layout, f"{state.failures} flusher processes failed to start")
        if not state.allows(now) and not state.may_be_waited_out(now):
            return not self.has_failed and state.may_come_soon(now)
        try:
            self._start_process(layout, layout.flusher_lock, now)
        except failures(OSError) as error:
            if if_starts_fail is not Mode.THREAD:
                raise
            return self._start_thread(layout, f"no process could be started ({error})")
        self.has_failed = False
        return state.allows(now) or state.may_come_soon(now)

    def _start_thread(self, layout: Layout, why: str) -> bool:
        if not self._threads.runs(layout):
            diagnostics.note("mode", f"a thread of this process sends events, since {why} (see {layout.flusher_log})")
        self.has_failed = not self._threads.ensure(layout)
        return not self.has_failed

    def _start_process(self, layout: Layout, place: str, now: float) -> None:
        """Start a process if this thread gets ``start.lock``, and ``place``, the lock that it will take, is free."""
        lock = LifetimeLock.acquire(layout.start_lock)
        if lock is None:
            _wait_for_a_thread_of_ours(layout)
            return
        try:
            before = start.load(layout).for_process(self._began)
            if (before.allows(now) or before.may_be_waited_out(now)) and holder(place) is None:
                start.make_helper_lock(layout)
                state = before.before_start(now)
                if self._record_start(layout, state):
                    self._spawn(layout, before, state, now)
        finally:
            lock.release()

    def _spawn(self, layout: Layout, before: StartState, state: StartState, now: float) -> None:
        cannot_run = False
        try:
            interpreter = require_interpreter()
            is_known = before.failures == 0 and start.has_led(layout, interpreter_id(interpreter))
            spawn(
                layout,
                self._children,
                interpreter,
                not_before=0.0 if before.allows(now) else before.not_before,
                answer_within=0.0 if is_known else _ANSWER_WITHIN,
            )
        except failures(OSError) as error:
            cannot_run = error.errno not in _PASSING
            raise
        finally:
            _store(layout, state.after_failure() if cannot_run else state.after_start(time.time()))

    def _is_outdated(self, layout: Layout, leads: int) -> bool:
        """Return whether an older version leads; checks each leader once a minute, and returns false in between."""
        seen = (os.getpid(), leads, int(time.monotonic() // 60))
        if self._compared_with == seen:
            return False
        self._compared_with = seen
        return is_outdated(layout)

    def _record_start(self, layout: Layout, state: StartState) -> bool:
        """Record a start; return whether to make it. On a full disk, allow one a second: only a flusher makes room."""
        if _store(layout, state):
            return True
        now = time.monotonic()
        if now < self._not_before:
            return False
        self._not_before = now + _UNRECORDED_WAIT
        return True


def _store(layout: Layout, state: StartState) -> bool:
    try:
        start.store(layout, state)
    except failures(OSError):
        return False
    return True


def _wait_for_a_thread_of_ours(layout: Layout) -> None:
    """Give another thread of this process the time to start a flusher, so that a kill after this capture cannot
    prevent it. A capture does not wait for another process.
    """
    deadline = time.monotonic() + _THREAD_WAIT
    while holder(layout.start_lock) == os.getpid() and time.monotonic() < deadline:
        time.sleep(0.0005)
