"""How deep the running code is inside of lastword, which runs code of the program in some places.

That code may capture, log, or leave an object behind whose finalizer fails: we capture, and the same code runs again.
So there is an end to it. What is logged three levels deep is not heard. Captures twenty levels deep are refused, and
from then on all others within the outermost one, or a hook that is called several times in each would branch for ever.
Signal handlers nest too, in a storm of signals, which is why it is not fewer.

Levels are counted by thread, or by greenlet where gevent has taken the place of threads: nothing here awaits. Not by a
ContextVar: before 3.12 CPython collects garbage wherever memory is asked for, so in the midst of ``ContextVar.set`` as
well, and a finalizer that sets any variable of that context frees what the outer call is reading: the process dies of
a segmentation fault. That holds for the program's own variables too, so nothing sets one in a capture.

What a signal handler raises can come before a level is set back, or a lock is given back, whatever ``finally`` says. So
neither is believed: whether a function is still running is looked up on the stack.
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
    """The level of each thread; none is 0. A forked child begins anew.

    Each function that adds a level asks for it first, and is marked by ``counts``.
    """

    def __init__(self) -> None:
        self._levels: dict[int, int] = {}  # changed in single steps, by the thread whose entry it is
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


#: Captures and log records that this thread is in the middle of.
captures = Nesting()

_too_deep: dict[int, bool] = {}  # by thread: captures were refused since its outermost one began


class _Here(Exception):
    pass


def _caller_of_caller() -> Optional[FrameType]:
    """Of the function that calls this, where its own caller was called. ``sys._getframe`` would call audit hooks."""
    try:
        raise _Here
    except _Here as here:
        here_in: Any = here.__traceback__
        asking: Optional[FrameType] = here_in.tb_frame.f_back.f_back
        del here_in  # not the frame of this call, or it would hold itself
    return asking.f_back if asking is not None else None


def running(codes: set[int], frame: Optional[FrameType], most: int) -> int:
    """How many frames, from ``frame`` outwards, are of functions with these code objects; it stops at ``most``."""
    found = 0
    while frame is not None and found < most:
        found += id(frame.f_code) in codes
        frame = frame.f_back
    return found


class Turn:
    """A lock around some functions. A thread that is in one of them already (a signal handler interrupted it, or a
    finalizer) does not get it again; what one that is over has not given back, its thread takes over.
    """

    def __init__(self, *functions: Callable[..., Any]) -> None:
        self._lock = _thread.RLock()  # its owner is entered as it is taken, in one step
        self._codes = {id(function.__code__) for function in functions}

    def take(self, wait: float) -> bool:
        """To be called by one of the functions; waits at most ``wait`` seconds for other threads."""
        if self._lock._is_owned():  # type: ignore[attr-defined]
            return not running(self._codes, _caller_of_caller(), 1)
        return self._lock.acquire(True, wait)

    def give_back(self) -> None:
        self._lock.release()


def may_capture(before: int) -> bool:
    """Whether a capture may begin at the level ``before``."""
    if before >= MAX_CAPTURED:
        _too_deep[_this_thread()] = True
    return not (before and _this_thread() in _too_deep)


def leave(before: int) -> None:
    """Go back to the level ``before``."""
    captures.level = before
    if not before:
        _too_deep.pop(_this_thread(), None)


def _this_thread() -> int:
    return _thread.get_ident() << 32 | os.getpid()  # asked of the module each time: gevent exchanges it
