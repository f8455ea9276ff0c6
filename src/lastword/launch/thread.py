"""The flusher as a thread of the program: a native one, in an empty context, that a fork leaves behind.

``threading`` is not asked for it: what instruments a program wraps its threads, hands them its context, and would take
our requests for the program's.
"""

from __future__ import annotations

import _thread
import os
import sys
import time
from contextlib import suppress
from typing import Any, Callable, Protocol

from lastword import diagnostics
from lastword.spool import start
from lastword.spool.layout import Layout

#: How long the end of a process waits for a thread that leads, in seconds: it looks around every quarter of one.
_LEAVE_WAIT = 0.5


class Lead(Protocol):
    """Leads a spool, if nobody else does, until there is nothing more to do, or until ``until()``. Never raises."""

    def __call__(self, layout: Layout, until: Callable[[], bool] = ...) -> None: ...


class ThreadStarter:
    """Starts at most one thread for a spool in this process. Safe to inherit over a fork, which takes no thread along.

    ``load`` imports what leads, and is called in the thread: requests alone takes 80 ms.
    """

    def __init__(self, load: Callable[[], Lead]) -> None:
        self._load = load
        self._running: dict[tuple[int, str], _Running] = {}  # by (pid, spool)
        self._leaving = 0  # the pid of a process that is about to end

    def ensure(self, layout: Layout) -> bool:
        """Have a thread lead ``layout``; false where a flusher broke down a moment ago.

        Raises RuntimeError where no thread can be started.
        """
        if not start.load(layout).allows(time.time()):
            return False
        key = (os.getpid(), layout.spool)
        running = self._running.get(key)
        if running is not None:
            running.wanted = True
            if self._running.get(key) is running:  # else it has gone meanwhile, perhaps without a look at that
                return True
        mine = _Running()
        if self._running.setdefault(key, mine) is mine:
            try:
                _fork_guard()  # made by whoever comes first, and not in the thread
                _native("start_new_thread")(self._run, (layout, key, mine))
            except BaseException:
                self._running.pop(key, None)
                raise
        return True

    def leave(self) -> None:
        """Have the threads of this process leave, and wait for that a moment: one that was cut off in the middle of
        sending would look to the next flusher as if an event had killed it.
        """
        me = self._leaving = os.getpid()
        deadline = time.monotonic() + _LEAVE_WAIT
        while any(pid == me for pid, _ in list(self._running)) and time.monotonic() < deadline:
            time.sleep(0.005)

    def _is_leaving(self) -> bool:
        return self._leaving == os.getpid()

    def _run(self, layout: Layout, key: tuple[int, str], mine: _Running) -> None:
        try:
            with _fork_guard():
                lead = self._load()
        except Exception as error:
            del self._running[key]
            diagnostics.note("start", f"nothing sends events (they stay in the spool): {error!r}")
            with suppress(OSError):
                start.pause(layout, time.time() + start.MAX_WAIT)
            return
        while True:
            mine.wanted = False
            if start.load(layout).allows(time.time()):
                lead(layout, self._is_leaving)
            del self._running[key]
            # Whoever came while it was about to leave counted on it.
            if not mine.wanted or self._running.setdefault(key, mine) is not mine:
                return


class _Running:
    """One thread; ``wanted`` says that somebody has counted on it since it began to lead."""

    def __init__(self) -> None:
        self.wanted = False


def _native(name: str) -> Any:
    """What ``_thread`` has under ``name``, also where gevent has put a greenlet's version in its place.

    A greenlet that works without a pause would hold up all others of its thread. A native thread has a hub of its own,
    in which whatever gevent has patched works as it should.
    """
    gevent = sys.modules.get("gevent.monkey")
    return getattr(_thread, name) if gevent is None else gevent.get_original("_thread", name)


_guards: list[Any] = []


def _fork_guard() -> Any:
    """A lock that every fork of this process takes for its instant.

    Python's locks of modules that are being imported stay locked in a forked child for ever: one that was forked while
    the thread imported requests hung in its own ``import requests``, 12 times of 12.
    """
    if not _guards:
        guard = _native("RLock")()
        _guards.append(guard)
        if _guards[0] is guard and hasattr(os, "register_at_fork"):
            os.register_at_fork(before=guard.acquire, after_in_parent=guard.release, after_in_child=guard.release)
    return _guards[0]
