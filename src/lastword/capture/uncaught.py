"""The hooks for exceptions that nobody catches.

``sys.excepthook`` for what ends the program, ``threading.excepthook`` for what ends a thread, and
``sys.unraisablehook`` for what goes nowhere: out of a finalizer, a callback of C. Each reports, then calls the one that
was there before it. Those of asyncio are heard of by its logger: see ``log_records``.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Optional

from lastword import diagnostics
from lastword.capture.hook_slot import Hook, HookSlot
from lastword.capture.safe_text import describe

EXCEPTHOOK, THREADING, UNRAISABLE = "sys.excepthook", "threading.excepthook", "sys.unraisablehook"

#: Takes the exception, its traceback and the mechanism, which is one of the above.
Report = Callable[[BaseException, Optional[TracebackType], str], None]

_Uncaught = tuple[Optional[BaseException], Optional[TracebackType]]


def install(report: Report) -> None:
    """Report uncaught exceptions from now on; the latest ``report`` wins, and each exception is reported once."""
    for slot, mechanism, read in _slots:
        slot.install(_listener(report, mechanism, read))


def uninstall() -> None:
    """Report no more, and put back what was there, where nobody has hooked in since."""
    for slot, _, _ in _slots:
        slot.uninstall()


def _listener(report: Report, mechanism: str, read: Callable[..., _Uncaught]) -> Hook:
    def listen(*arguments: Any) -> None:
        try:
            error, traceback = read(*arguments)
            if error is not None:
                report(error, traceback, mechanism)
        except BaseException as own:  # the thread is ending anyway, and its own hook must still run
            diagnostics.note("uncaught", f"an uncaught exception was not reported: {describe(own)}")

    return listen


def _from_interpreter(kind: type[BaseException], error: Any, traceback: Optional[TracebackType]) -> _Uncaught:
    return error, traceback


def _from_thread(arguments: threading.ExceptHookArgs) -> _Uncaught:
    """SystemExit ends a thread silently; it is no error."""
    error = arguments.exc_value
    return (None if issubclass(arguments.exc_type, SystemExit) else error), arguments.exc_traceback


def _from_nowhere(arguments: Any) -> _Uncaught:
    """Not the object that it came out of, which may be about to go."""
    return arguments.exc_value, arguments.exc_traceback


_slots = (
    (HookSlot(sys, "excepthook"), EXCEPTHOOK, _from_interpreter),
    (HookSlot(threading, "excepthook"), THREADING, _from_thread),
    (HookSlot(sys, "unraisablehook"), UNRAISABLE, _from_nowhere),
)
