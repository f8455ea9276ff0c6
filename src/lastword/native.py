"""What Python itself has in ``_thread`` and ``time``, and a thread's stack that is large enough for us."""

from __future__ import annotations

import _thread
import sys
import time
from collections.abc import Callable
from typing import Any

#: The smallest stack that a thread of ours runs on, in bytes: ``requests`` overflows one of 32 KiB.
_STACK = 1 << 20

_MODULES = {"_thread": _thread, "time": time}


def native(module: str, name: str) -> Any:
    """What ``module`` has under ``name``, also where gevent has put a greenlet's version in its place.

    A greenlet that works without a pause would hold up all others of its thread. A native thread has a hub of its own,
    in which whatever gevent has patched works as it should.
    """
    gevent = sys.modules.get("gevent.monkey")
    return getattr(_MODULES[module], name) if gevent is None else gevent.get_original(module, name)


def start_on_own_stack(start: Callable[[], object]) -> None:
    """Call ``start``, which starts a thread, with room on that thread's stack, however small the program wants its own.

    The size is one for the whole process: it is set for an instant, and only where the program has set one.
    """
    stack_size = native("_thread", "stack_size")
    programs = stack_size()  # which sets the default, 0
    ours = max(programs, _STACK) if programs else 0
    stack_size(ours)
    try:
        start()
    finally:
        now = stack_size(programs)
        if now != ours:  # another thread of the program has set it meanwhile
            stack_size(now)
