"""Count and limit how deep captures nest in each other.

Lastword runs code of the program in some places. That code may capture, log, or leave an object whose finalizer fails:
we capture, and the same code runs again. So nesting has limits. Log records three levels deep are ignored. Captures
twenty levels deep are refused, and from then on all others within the outermost one, because a hook that is called
several times in each capture would branch for ever. The limit is not lower because signal handlers nest too, in a
storm of signals.

Levels are counted per thread, or per greenlet where gevent has replaced threads: nothing here awaits. They are not in a
ContextVar: before 3.12 CPython collects garbage at any allocation, so also within ``ContextVar.set``, and a finalizer
that sets any variable of that context frees the data that the outer call is reading: the process dies of a segmentation
fault. This is true of the program's own variables too, so nothing sets one in a capture.

An exception raised by a signal handler can prevent a level from being reset, or a lock from being released, in spite of
``finally``. So neither is trusted: the stack shows whether a function is still running.
"""

from __future__ import annotations

import _thread
import os
from collections.abc import Callable
from types import FrameType
from typing import Any, Optional, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])

MAX_LOGGED = 3
MAX_CAPTURED = 20


class Nesting:
    """The level of each thread, 0 by default. A forked child starts at 0.

    Each function that adds a level reads the level first, and is decorated with ``counts``.
    """

    def __init__(self) -> None:
        self._levels: dict[int, int] = {}  # each entry is changed in atomic steps, by its own thread
        self._counted: set[int] = set()  # addresses of code objects

    def counts(self, function: _Function) -> _Function:
        self._counted.add(id(function.__code__))
        return function

    @property
    def level(self) -> int:
        level = self._levels.get(_this_thread(), 0)
        if not level or not self._counted:
            return level
        return running(self._counted, _caller_of_caller(), level)

    @level.setter
    def level(self, level: int) -> None:
        if level:
            self._levels[_this_thread()] = level
        else:
            self._levels.pop(_this_thread(), None)


#: Captures and log records that this thread is processing.
captures = Nesting()

_too_deep: dict[int, bool] = {}  # by thread: captures were refused since its outermost one began


class _Here(Exception):
    pass


def _caller_of_caller() -> Optional[FrameType]:
    """Return the frame of the caller's caller's caller, without ``sys._getframe``, which would call audit hooks."""
    try:
        raise _Here
    except _Here as here:
        here_in: Any = here.__traceback__
        asking: Optional[FrameType] = here_in.tb_frame.f_back.f_back
        del here_in  # or this frame would hold a reference to itself
    return asking.f_back if asking is not None else None


def running(codes: set[int], frame: Optional[FrameType], most: int) -> int:
    """Count the frames, from ``frame`` outwards, that run one of these code objects, up to ``most``."""
    found = 0
    while frame is not None and found < most:
        found += id(frame.f_code) in codes
        frame = frame.f_back
    return found


class Turn:
    """A lock around some functions.

    A thread that is already in one of them (interrupted by a signal handler or a finalizer) cannot take it again. If a
    function ended without releasing it, its thread can take it.
    """

    def __init__(self, *functions: Callable[..., Any]) -> None:
        self._lock = _thread.RLock()  # taking it and setting its owner is one step
        self._codes = {id(function.__code__) for function in functions}

    def take(self, wait: float) -> bool:
        """Take the lock, on behalf of one of the functions; wait at most ``wait`` seconds for other threads."""
        if self._lock._is_owned():  # type: ignore[attr-defined]
            return not running(self._codes, _caller_of_caller(), 1)
        return self._lock.acquire(True, wait)

    def give_back(self) -> None:
        self._lock.release()


def may_capture(before: int) -> bool:
    """Return whether a capture may begin at the level ``before``."""
    if before >= MAX_CAPTURED:
        _too_deep[_this_thread()] = True
    return not (before and _this_thread() in _too_deep)


def leave(before: int) -> None:
    """Go back to the level ``before``."""
    captures.level = before
    if not before:
        _too_deep.pop(_this_thread(), None)


def _this_thread() -> int:
    return _thread.get_ident() << 32 | os.getpid()  # looked up in the module each time: gevent replaces it
