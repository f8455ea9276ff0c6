"""The hooks for uncaught exceptions.

``sys.excepthook`` for exceptions that end the program, ``threading.excepthook`` for those that end a thread, and
``sys.unraisablehook`` for those that cannot propagate: from a finalizer or a C callback. Each hook reports, then calls
the one that was there before it. Uncaught exceptions in asyncio arrive through its logger: see ``log_records``.

A hook that is installed above ours may not call ours. The interpreter keeps the exception that ended the program until
its end, so ``look_back`` must be called there. Errors in code typed into a console are not the program's failures.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Optional

from lastword import diagnostics
from lastword.capture.safe_text import describe
from lastword.hooks.slot import Hook, HookSlot

EXCEPTHOOK, THREADING, UNRAISABLE = "sys.excepthook", "threading.excepthook", "sys.unraisablehook"

#: Takes the exception, its traceback and the mechanism, one of the names above.
Report = Callable[[BaseException, Optional[TracebackType], str], None]

_Uncaught = tuple[Optional[BaseException], Optional[TracebackType]]

_traceback_of = BaseException.__dict__["__traceback__"].__get__
_file_of_syntax_error = SyntaxError.__dict__["filename"].__get__

_OWN = os.path.dirname(__file__) + os.sep  # the frames between a hook and here

#: A SyntaxError's file, the frame of the module ``code``, and the frame of the typed code.
_FRAMES_OF_CONSOLE = 3

_report: Optional[Report] = None
_heard = 0  # the address of the last exception passed to sys.excepthook


def install(report: Report) -> None:
    """Report uncaught exceptions from now on; the latest ``report`` wins, and each exception is reported once."""
    global _report
    _report = report
    for slot, mechanism, read in _slots:
        slot.install(_listener(report, mechanism, read))


def uninstall() -> None:
    """Stop reporting, and restore the previous hooks where no other hook was installed since."""
    global _report
    _report = None
    for slot, _, _ in _slots:
        slot.uninstall()


def look_back() -> None:
    """Report the exception that ended the program if none of our hooks was called with it. Raises nothing.

    Consoles, debuggers, test runners and Tk also set ``sys.last_exc``. Their exceptions did not leave the outermost
    frame, because a caller caught them; the exception that ends the program has left the last frame of its thread.
    """
    report = _report
    error: Any = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    if report is None or id(error) == _heard or not issubclass(type(error), BaseException):
        return
    outermost = _traceback_of(error)
    if outermost is not None and outermost.tb_frame.f_back is None:
        _listener(report, EXCEPTHOOK, _from_interpreter)(type(error), error, None)


def _listener(report: Report, mechanism: str, read: Callable[..., _Uncaught]) -> Hook:
    def listen(*arguments: Any) -> None:
        try:
            error, traceback = read(*arguments)
            if error is not None:
                report(error, traceback, mechanism)
        except BaseException as own:  # the thread is ending anyway, and the previous hook must still run
            diagnostics.note("uncaught", f"an uncaught exception was not reported: {describe(own)}")

    return listen


def _from_interpreter(kind: type[BaseException], error: Any, traceback: Optional[TracebackType]) -> _Uncaught:
    global _heard
    if _is_printed_by_its_handler(error, traceback):
        return None, traceback
    _heard = id(error)
    return (None if _was_typed(error, traceback) else error), traceback


def _is_printed_by_its_handler(error: Any, traceback: Optional[TracebackType]) -> bool:
    """Return whether a function that caught ``error`` calls ``sys.__excepthook__`` to print it, and goes on.

    A call of ``sys.excepthook`` does not count: it may be made for the hooks, as older ``threading`` did.
    """
    if traceback is None or sys.exc_info()[1] is not error:
        return False
    frame, caller = traceback.tb_frame, sys._getframe()
    while caller.f_back is not None and str.startswith(caller.f_code.co_filename, _OWN):
        caller = caller.f_back
    names = frame.f_code.co_names
    return caller is frame and "__excepthook__" in names and "excepthook" not in names


def _was_typed(error: Any, traceback: Optional[TracebackType]) -> bool:
    """Return whether it comes from code typed at a prompt, of the interpreter or of the module ``code``."""
    files = [_file_of_syntax_error(error)] if issubclass(type(error), SyntaxError) else []
    while traceback is not None and len(files) < _FRAMES_OF_CONSOLE:
        files.append(traceback.tb_frame.f_code.co_filename)
        traceback = traceback.tb_next
    prompts = ("<console>", "<python-input-", *(("<stdin",) if hasattr(sys, "ps1") else ()))
    return any(type(file) is str and file.startswith(prompts) for file in files)


def _from_thread(arguments: threading.ExceptHookArgs) -> _Uncaught:
    """Return the exception of a thread; None for SystemExit, which ends a thread silently and is no error."""
    error = arguments.exc_value
    return (None if issubclass(arguments.exc_type, SystemExit) else error), arguments.exc_traceback


def _from_unraisable(arguments: Any) -> _Uncaught:
    """Return the unraisable exception, but not its object, which may be about to be deleted."""
    return arguments.exc_value, arguments.exc_traceback


_slots = (
    (HookSlot(sys, "excepthook", own="__excepthook__"), EXCEPTHOOK, _from_interpreter),
    (HookSlot(threading, "excepthook", own="__excepthook__"), THREADING, _from_thread),
    (HookSlot(sys, "unraisablehook", own="__unraisablehook__"), UNRAISABLE, _from_unraisable),
)
