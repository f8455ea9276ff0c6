"""Interruptions: exceptions raised into our code from outside, by a time limit (rq, Celery), Ctrl-C, a worker shutdown.

A signal handler runs between any two instructions, so also within a capture; exceptions raised by another thread
(``PyThreadState_SetAsyncExc``) arrive there too. An interruption is meant for the program and must reach it: our code
must not treat it as its own error. So every ``except`` on the way of a capture gets its classes from ``failures`` or,
around calls of the program's code (``__str__``, ``before_send``), from ``anything``; all other exceptions propagate.
Exceptions that the program's own code raises, even SystemExit and KeyboardInterrupt, are not interruptions, wherever
that code was called.

The traceback shows an interruption: a signal handler gets the frame that it interrupted, and its own frame follows that
frame in the traceback. An exception raised by another thread has no handler: its class is the program's, and it comes
out of a frame of ours or of the standard library, which raise no exception of this class. Ctrl-C by itself has no
handler either: it comes between two instructions, or out of a call, and never out of a ``raise``.
"""

from __future__ import annotations

import os
import sys
from opcode import opmap
from types import FrameType, ModuleType, TracebackType
from typing import Any, Optional, TypeVar, overload

_OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep
_STDLIB = os.path.dirname(os.__file__) + os.sep
_INSTALLED = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)

_IMPORTLIB = "<frozen importlib."  # Python removes its frames from tracebacks

_NAMEDTUPLE = "namedtuple_"  # module of code that ``collections`` generates, without a file; it counts as ours

_RAISE = bytes((opmap["RAISE_VARARGS"],))

_OPTIMIZED = 0x1  # flag of a function's code object: its locals are not a module's globals

#: Modules of the exceptions that end greenlets, or limit their time.
_OF_GREENLETS = frozenset(("greenlet", "gevent.timeout", "eventlet.timeout"))

_Kind = TypeVar("_Kind", bound=Exception)

_traceback_of = BaseException.__dict__["__traceback__"].__get__
_arguments_of = BaseException.__dict__["args"].__get__
_ancestors_of = type.__dict__["__mro__"].__get__
_read_module = type.__dict__["__module__"].__get__
_dict_of: Any = vars(ModuleType)["__dict__"].__get__


@overload
def failures() -> tuple[type[BaseException], ...]: ...


@overload
def failures(*kinds: type[_Kind]) -> tuple[type[_Kind], ...]: ...


def failures(*kinds: type[Exception]) -> tuple[type[BaseException], ...]:
    """Return the classes for an ``except`` clause: ``kinds``, but none for an interruption.

    Without ``kinds``: every Exception, and any other exception that the program's code has raised meanwhile.
    """
    error = sys.exc_info()[1]
    if type(error) is RecursionError or not _is_interruption(error, is_called_here=False):
        return kinds or (BaseException,)
    return ()


def anything() -> tuple[type[BaseException], ...]:
    """Return the classes for an ``except`` clause around a call of the program's code, which may be written in C.

    The clause catches all that this code raises, even SystemExit, but no interruption.
    """
    error = sys.exc_info()[1]
    if type(error) is RecursionError or not _is_interruption(error, is_called_here=True):
        return (BaseException,)
    return ()


class suppressed:  # noqa: N801 (named like contextlib.suppress)
    """``contextlib.suppress`` for ``failures`` of these kinds."""

    def __init__(self, *kinds: type[Exception]) -> None:
        self._kinds = kinds

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Optional[type[BaseException]], *_: object) -> bool:
        return kind is not None and issubclass(kind, failures(*self._kinds))


def _is_interruption(error: Optional[BaseException], *, is_called_here: bool) -> bool:
    """Return whether ``error`` is an interruption.

    ``is_called_here``: the frame with the ``except`` clause itself calls code of the program.
    """
    kind = type(error)
    is_error = issubclass(kind, Exception)
    if not is_error and any(_module_of(ancestor) in _OF_GREENLETS for ancestor in _ancestors_of(kind)):
        return True
    entry: Optional[TracebackType] = _traceback_of(error)
    if entry is None:
        return False
    # Raised by the program's C code, which knows no classes of its main module.
    is_of_c = is_called_here and entry.tb_next is None and _module_of(kind) != "__main__"
    has_run_program = _is_of_program(_file_of(entry.tb_frame))
    while entry.tb_next is not None:
        interrupted, entry = entry.tb_frame, entry.tb_next
        if _is_handler_of(entry.tb_frame, interrupted):
            return True
        has_run_program = has_run_program or _is_of_program(_file_of(entry.tb_frame))
    if issubclass(kind, KeyboardInterrupt):
        return not (has_run_program and _is_of_raise(entry))
    if is_of_c:
        return False
    if not is_error:
        return not has_run_program
    return _was_raised_from_outside(kind, error, _file_of(entry.tb_frame))


def _module_of(kind: type) -> str:
    try:
        name = _read_module(kind)
    except AttributeError:  # the program has deleted ``__module__``
        return ""
    return name if type(name) is str else ""


def _is_of_raise(entry: TracebackType) -> bool:
    """Return whether a ``raise`` statement raised the exception: an interruption comes between two instructions."""
    return entry.tb_frame.f_code.co_code[entry.tb_lasti : entry.tb_lasti + 1] == _RAISE


def _is_handler_of(frame: FrameType, interrupted: FrameType) -> bool:
    """Return whether ``frame``, which has ended, belongs to a signal handler that interrupted ``interrupted``."""
    code = frame.f_code
    if not code.co_flags & _OPTIMIZED or str.startswith(code.co_filename, _OWN):
        return False
    values = list(frame.f_locals.values())
    for value in [*values, *(part for several in values if type(several) is tuple for part in several)]:
        if value is interrupted or (type(value) is FrameType and str.startswith(value.f_code.co_filename, _IMPORTLIB)):
            return True
    return False


def _file_of(frame: FrameType) -> str:
    name: Any = dict.get(frame.f_globals, "__name__")
    if type(name) is str and name.startswith((_NAMEDTUPLE, "lastword.")):
        return _OWN
    return "".join((frame.f_code.co_filename,))  # a plain str, also if it is of a subclass


def _is_of_program(file: str) -> bool:
    """Return whether ``file`` is neither of lastword nor of the standard library."""
    if file.startswith((_OWN, "<frozen ")):
        return False
    return not file.startswith(_STDLIB) or any(part in file for part in _INSTALLED)


def _was_raised_from_outside(kind: type, error: Any, file: str) -> bool:
    if _is_of_program(file):
        return False
    if kind is TimeoutError:
        return not _arguments_of(error)  # a system call's TimeoutError has an errno
    module = _module_of(kind)
    if module == "__main__":
        return True
    loaded = sys.modules.get(module)
    where = dict.get(_dict_of(loaded), "__file__") if issubclass(type(loaded), ModuleType) else None
    return type(where) is str and _is_of_program(where)
