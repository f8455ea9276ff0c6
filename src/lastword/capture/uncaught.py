"""The hooks for exceptions that nobody catches: ``sys.excepthook`` and ``threading.excepthook``.

Each hook reports, then calls the one that was there before it. A hook that somebody else has put on top of ours cannot
be undone from below, so ``uninstall`` leaves it alone and turns ours into a mere link of the chain.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Optional

from lastword import diagnostics
from lastword.capture.safe_text import describe

#: Takes the exception, its traceback and the mechanism: ``sys.excepthook`` or ``threading.excepthook``.
Report = Callable[[BaseException, Optional[TracebackType], str], None]

_Hook = Callable[..., Any]
_Uncaught = tuple[Optional[BaseException], Optional[TracebackType]]


def install(report: Report) -> None:
    """Report uncaught exceptions from now on; the latest ``report`` wins, and each exception is reported once."""
    for slot in _slots:
        slot.install(report)


def uninstall() -> None:
    """Report no more, and put back what was there, where nobody has hooked in since."""
    for slot in _slots:
        slot.uninstall()


class _Link:
    """One hook of ours in one chain of hooks."""

    def __init__(self, mechanism: str, previous: _Hook, read: Callable[..., _Uncaught]) -> None:
        self.report: Optional[Report] = None
        self.previous = previous
        self._mechanism = mechanism
        self._read = read
        self.hook = self._hook  # one bound method, to be recognised by its identity

    def _hook(self, *arguments: Any) -> None:
        try:
            error, traceback = self._read(*arguments)
            if self.report is not None and error is not None:
                self.report(error, traceback, self._mechanism)
        except BaseException as own:  # the thread is ending anyway, and its own hook must still run
            diagnostics.note("uncaught", f"an uncaught exception was not reported: {describe(own)}")
        finally:
            self.previous(*arguments)


class _Slot:
    """A place where Python keeps a hook."""

    def __init__(self, owner: Any, mechanism: str, read: Callable[..., _Uncaught]) -> None:
        self._owner = owner
        self._mechanism = mechanism
        self._read = read
        self._link: Optional[_Link] = None

    def install(self, report: Report) -> None:
        if self._link is None or self._owner.excepthook is not self._link.hook:
            # A later hook may or may not call ours. Ours goes on top, and the one below falls silent for good.
            self._silence()
            self._link = _Link(self._mechanism, self._owner.excepthook, self._read)
            self._owner.excepthook = self._link.hook
        self._link.report = report

    def uninstall(self) -> None:
        if self._link is not None and self._owner.excepthook is self._link.hook:
            self._owner.excepthook = self._link.previous
        self._silence()

    def _silence(self) -> None:
        if self._link is not None:
            self._link.report = None
        self._link = None


def _from_interpreter(kind: type[BaseException], error: Any, traceback: Optional[TracebackType]) -> _Uncaught:
    return error, traceback


def _from_thread(arguments: threading.ExceptHookArgs) -> _Uncaught:
    """SystemExit ends a thread silently; it is no error."""
    error = arguments.exc_value
    return (None if issubclass(arguments.exc_type, SystemExit) else error), arguments.exc_traceback


_slots = (
    _Slot(sys, "sys.excepthook", _from_interpreter),
    _Slot(threading, "threading.excepthook", _from_thread),
)
