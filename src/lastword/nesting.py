"""How deep the running code is inside of lastword, which runs code of the program in some places.

That code may capture, log, or leave an object behind whose finalizer fails: we capture, and the same code runs again.
So there is an end to it. What is logged three levels deep is not heard. Captures twenty levels deep are refused, and
from then on all others within the outermost one, or a hook that is called several times in each would branch for ever.
Signal handlers nest too, in a storm of signals, which is why it is not fewer.

Levels are counted by thread, or by greenlet where gevent has taken the place of threads: nothing here awaits. Not by a
ContextVar: before 3.12 CPython collects garbage wherever memory is asked for, so in the midst of ``ContextVar.set`` as
well, and a finalizer that sets any variable of that context frees what the outer call is reading: the process dies of
a segmentation fault. That holds for the program's own variables too, so nothing sets one in a capture.
"""

from __future__ import annotations

import _thread
import os

MAX_LOGGED = 3
MAX_CAPTURED = 20


class Nesting:
    """The level of each thread; none is 0. A forked child begins anew."""

    def __init__(self) -> None:
        self._levels: dict[int, int] = {}  # changed in single steps, by the thread whose entry it is

    @property
    def level(self) -> int:
        return self._levels.get(_this_thread(), 0)

    @level.setter
    def level(self, level: int) -> None:
        if level:
            self._levels[_this_thread()] = level
        else:
            self._levels.pop(_this_thread(), None)


#: Captures and log records that this thread is in the middle of.
captures = Nesting()

_too_deep = Nesting()


def may_capture(before: int) -> bool:
    """Whether a capture may begin at the level ``before``."""
    if before >= MAX_CAPTURED:
        _too_deep.level = 1
    return not (before and _too_deep.level)


def leave(before: int) -> None:
    """Go back to the level ``before``."""
    captures.level = before
    if not before:
        _too_deep.level = 0


def _this_thread() -> int:
    return _thread.get_ident() << 32 | os.getpid()  # asked of the module each time: gevent exchanges it
