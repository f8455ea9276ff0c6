"""Python's own functions of ``_thread`` and ``time``, and threads with a large enough stack."""

from __future__ import annotations

import _thread
import sys
import time
from collections.abc import Callable
from typing import Any

#: The smallest stack of our threads, in bytes: ``requests`` overflows one of 32 KiB.
_STACK = 1 << 20

_MODULES = {"_thread": _thread, "time": time}


def native(module: str, name: str) -> Any:
    """Return Python's own ``name`` of ``module``, also where gevent has replaced it by a version for greenlets.

    A greenlet that works without a pause would block all others of its thread. A native thread has its own hub, in
    which everything that gevent has patched works as it should.
    """
    gevent = sys.modules.get("gevent.monkey")
    return getattr(_MODULES[module], name) if gevent is None else gevent.get_original(module, name)


def start_on_own_stack(start: Callable[[], object]) -> None:
    """Call ``start``, which starts a thread, so that the thread's stack is large enough for us.

    The stack size is a setting of the whole process: it is changed for an instant, and only if the program has set it.
    """
    stack_size = native("_thread", "stack_size")
    programs = stack_size()  # this call also sets the default, 0
    ours = max(programs, _STACK) if programs else 0
    stack_size(ours)
    try:
        start()
    finally:
        now = stack_size(programs)
        if now != ours:  # another thread of the program has set it meanwhile: restore that
            stack_size(now)
