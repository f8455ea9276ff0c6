"""Whose failure it is that an event loop of asyncio tells of.

A task whose exception nobody asked for is told of when it goes: while another one runs, or no one at all. A callback
that failed is told of outside of its context. What the loop knows of them it hands to ``call_exception_handler``, and
that is where it is found: in the frame of that function, below whoever is told.
"""

from __future__ import annotations

import gc
import sys
from contextvars import Context
from types import FrameType
from typing import Any, Optional

from lastword.capture.safe_text import exact
from lastword.interruption import failures
from lastword.scope.breadcrumbs import is_collecting

_MODULE = "asyncio.base_events"
_TELL = frozenset(("default_exception_handler", "call_exception_handler"))

#: Calls between them and us. What is captured further below has little to do with what was told.
_MAX_CALLS = 20


def context_of_failure() -> Optional[Context]:
    """A copy of the context of the task or callback that failed, which may be entered wherever that is; an empty one
    where the failure is of neither (a future), or no loop says. None where no loop is telling of anything.
    """
    # Looking costs 1 to 3 % of a capture, so it is left where no loop runs, though a task may go there, too; not while
    # garbage is collected, as far as that is known, for that is where tasks go in threads of others.
    running_loop = getattr(sys.modules.get("asyncio.events"), "_get_running_loop", None)
    if running_loop is None or (running_loop() is None and not is_collecting()):
        return None
    told = _told()
    return None if told is None else _context_in(told)


def context_of_asyncio() -> Context:
    """The same for what the logger ``asyncio`` says: empty also where the loop is not Python's own (uvloop), and nobody
    knows what it tells of.
    """
    return _context_in(_told() or {})


def _context_in(told: dict[str, Any]) -> Context:
    for key in ("task", "future", "handle"):
        failed: Any = dict.get(told, key)
        if failed is not None:
            found = _context_of(failed)
            return Context() if found is None else found.copy()
    return Context()


def _told() -> Optional[dict[str, Any]]:
    frame: Optional[FrameType] = sys._getframe(1)
    for _ in range(_MAX_CALLS):
        if frame is None:
            return None
        if exact(frame.f_code.co_name) in _TELL and dict.get(frame.f_globals, "__name__") == _MODULE:
            told = frame.f_locals.get("context")
            return told if type(told) is dict else {}
        frame = frame.f_back
    return None


def _context_of(failed: Any) -> Optional[Context]:
    """That of a task or of a handle; None of anything else."""
    try:
        known = failed.get_context() if hasattr(failed, "get_context") else None  # since Python 3.12
        if known is None:
            known = getattr(failed, "_context", None)  # of a handle, and of a task that is not C
        if known is None and isinstance(failed, sys.modules["asyncio.tasks"].Task):
            # It has no attribute for it, but tells the garbage collector of it, before those of its callbacks.
            known = next((one for one in gc.get_referents(failed) if type(one) is Context), None)
        return known if type(known) is Context else None
    except failures():  # an object of another kind of loop
        return None
