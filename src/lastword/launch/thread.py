"""The flusher as a thread of the program: a native thread in an empty context, which a fork does not copy.

It is not started with ``threading``: instrumentation tools wrap those threads, give them the program's context, and
would mistake our requests for the program's.
"""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Protocol

from lastword import diagnostics
from lastword.capture.json_copy import error_text
from lastword.interruption import failures, suppressed
from lastword.native import native, start_on_own_stack
from lastword.per_process import PerProcess
from lastword.spool import start
from lastword.spool.layout import Layout

#: Seconds that the end of a process waits for a leading thread, which checks every quarter of a second.
_LEAVE_WAIT = 0.5

#: Seconds between two checks whether a pause is over or the process ends.
_PAUSE_INTERVAL = 0.1


class Lead(Protocol):
    """Leads a spool, unless another flusher does, until nothing is left to do or ``until()`` is true. Never raises."""

    def __call__(self, layout: Layout, until: Callable[[], bool] = ...) -> None: ...


class ThreadStarter:
    """Starts at most one thread for a spool in this process. Safe to inherit over a fork, which copies no thread.

    ``load`` imports the flusher, and is called in the thread: requests alone takes 80 ms.
    """

    def __init__(self, load: Callable[[], Lead]) -> None:
        self._load = load
        self._running: PerProcess[dict[str, _Running]] = PerProcess(dict)  # by spool
        self._leaving = 0  # the pid of a process that is about to end

    def ensure(self, layout: Layout) -> bool:
        """Have a thread lead ``layout``; false if it must wait first, because a flusher broke down a moment ago, or if
        this process ends.

        Raises RuntimeError if no thread can be started.
        """
        if self._is_leaving():
            return False
        comes = _wait_left(layout) == 0.0
        threads, key = self._running.get(), layout.spool
        running = threads.get(key)
        if running is not None:
            running.wanted = True
            if threads.get(key) is running:  # else it has ended meanwhile, perhaps without reading ``wanted``
                return comes
        mine = _Running()
        if threads.setdefault(key, mine) is mine:
            try:
                _fork_guard()  # created here, not in the new thread
                start_new_thread = native("_thread", "start_new_thread")
                start_on_own_stack(lambda: start_new_thread(self._run, (layout, threads, mine)))
            except BaseException:
                threads.pop(key, None)
                raise
        return comes

    def runs(self, layout: Layout) -> bool:
        """Return whether this process has a thread that leads ``layout``, or is about to."""
        return layout.spool in self._running.get()

    def leave(self) -> None:
        """Have the threads of this process leave, and wait a moment for that: if one were cut off while sending, the
        next flusher would suspect that an event had killed it.
        """
        self._leaving = os.getpid()
        deadline = time.monotonic() + _LEAVE_WAIT
        while self._running.get() and time.monotonic() < deadline:
            time.sleep(0.005)

    def stay(self) -> None:
        """Allow threads to be started again, because this process goes on."""
        self._leaving = 0

    def _is_leaving(self) -> bool:
        return self._leaving == os.getpid()

    def _run(self, layout: Layout, threads: dict[str, _Running], mine: _Running) -> None:
        while True:
            mine.wanted = False
            while _wait_left(layout) and not self._is_leaving():
                time.sleep(_PAUSE_INTERVAL)
            if not self._is_leaving():
                self._lead(layout)
            if _wait_left(layout) and not self._is_leaving():
                continue  # it broke down
            del threads[layout.spool]
            # A caller of ``ensure`` may have relied on this thread while it was about to leave.
            if not mine.wanted or threads.setdefault(layout.spool, mine) is not mine:
                return

    def _lead(self, layout: Layout) -> None:
        try:
            with _fork_guard():
                lead = self._load()
        except failures() as error:
            diagnostics.note("start", f"nothing sends events (they stay in the spool): {error_text(error)}")
            with suppressed(OSError):
                start.pause(layout, time.time() + start.MAX_WAIT)
            return
        lead(layout, self._is_leaving)


class _Running:
    """One thread; ``wanted`` is true if ``ensure`` has relied on it since it began to lead."""

    def __init__(self) -> None:
        self.wanted = False


def _wait_left(layout: Layout) -> float:
    """Return the seconds left of a pause; 0 if there is none, or if only starts of processes must wait."""
    state, now = start.load(layout), time.time()
    return 0.0 if state.failures or state.allows(now) else state.not_before - now


_guards: list[Any] = []


def _fork_guard() -> Any:
    """Return a lock that every fork of this process holds while it forks.

    Python's import locks that are held during a fork stay locked in the child for ever: a child forked while the thread
    imported requests hung in its own ``import requests``, 12 times of 12.
    """
    if not _guards:
        guard = native("_thread", "RLock")()
        _guards.append(guard)
        if _guards[0] is guard and hasattr(os, "register_at_fork"):
            os.register_at_fork(before=guard.acquire, after_in_parent=guard.release, after_in_child=guard.release)
    return _guards[0]
