"""Find the context of the task or callback whose failure an asyncio event loop logs.

The exception of a task that was never retrieved is logged when the task is deleted: while another task runs, or none.
A failed callback is logged outside of its context. The loop passes the failed object to ``call_exception_handler``, so
we find it in the frame of that function, further out on the stack than the handler that logs.
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
_HANDLERS = frozenset(("default_exception_handler", "call_exception_handler"))

#: Calls between these functions and us. A capture that is nested deeper has little to do with the logged failure.
_MAX_CALLS = 20


def context_of_failure() -> Optional[Context]:
    """Return a copy of the context of the task or callback that failed; the copy can be entered in any context.

    The context is empty if the failure is of neither (a future), or the loop does not say. None if no loop is logging a
    failure.
    """
    # The search takes 1 to 3 % of a capture, so it is skipped where no loop runs, although a task may be deleted there.
    # It is not skipped during a garbage collection (if we know of it), which deletes tasks in unrelated threads.
    running_loop = getattr(sys.modules.get("asyncio.events"), "_get_running_loop", None)
    if running_loop is None or (running_loop() is None and not is_collecting()):
        return None
    failure = _failure_on_stack()
    return None if failure is None else _context_in(failure)


def context_of_asyncio() -> Context:
    """Return the same for a record of the logger ``asyncio``; empty also if the loop is not Python's own (uvloop).

    Such a loop does not show which object failed.
    """
    return _context_in(_failure_on_stack() or {})


def _context_in(failure: dict[str, Any]) -> Context:
    for key in ("task", "future", "handle"):
        failed: Any = dict.get(failure, key)
        if failed is not None:
            found = _context_of(failed)
            return Context() if found is None else found.copy()
    return Context()


def _failure_on_stack() -> Optional[dict[str, Any]]:
    frame: Optional[FrameType] = sys._getframe(1)
    for _ in range(_MAX_CALLS):
        if frame is None:
            return None
        if exact(frame.f_code.co_name) in _HANDLERS and dict.get(frame.f_globals, "__name__") == _MODULE:
            failure = frame.f_locals.get("context")
            return failure if type(failure) is dict else {}
        frame = frame.f_back
    return None


def _context_of(failed: Any) -> Optional[Context]:
    """Return the context of a task or of a handle; None for anything else."""
    try:
        known = failed.get_context() if hasattr(failed, "get_context") else None  # since Python 3.12
        if known is None:
            known = getattr(failed, "_context", None)  # of a handle, and of a task not implemented in C
        if known is None and isinstance(failed, sys.modules["asyncio.tasks"].Task):
            # A C task has no attribute for it, but reports it to the garbage collector, before its callbacks' contexts.
            known = next((one for one in gc.get_referents(failed) if type(one) is Context), None)
        return known if type(known) is Context else None
    except failures():  # an object of another event loop implementation
        return None
