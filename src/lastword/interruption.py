"""What is raised into our code from outside: a time limit (rq, Celery), Ctrl-C, a worker that is told to leave.

A signal handler runs between any two instructions, so within a capture too, and so does what another thread raises here
(``PyThreadState_SetAsyncExc``). It is meant for the program and must reach it: nothing of ours may take it for an error
of its own. So every ``except`` on the way of a capture names what it catches by ``failures``, and, where code of the
program is called (``__str__``, ``before_send``), by ``anything``; what they do not name goes on its way. What code of
the program raises itself, SystemExit and KeyboardInterrupt too, is no interruption, wherever that code was called.

It is told by the traceback: a signal handler is given the frame that it interrupted, and stands in the traceback behind
that frame. What another thread raises has no handler: it is of a class of the program's and comes out of a frame of
ours, or of the standard library, where nothing raises such a thing. Ctrl-C has none either, by itself: it comes between
two instructions, or out of a call, and never out of a ``raise``.
"""

from __future__ import annotations

import os
import sys
from opcode import opmap
from types import FrameType, ModuleType, TracebackType
from typing import Any, Optional, TypeVar, overload

#: The reason under which an event is counted whose capture was interrupted.
INTERRUPTED = "interrupted"

_OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep
_STDLIB = os.path.dirname(os.__file__) + os.sep
_INSTALLED = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)

_IMPORTLIB = "<frozen importlib."  # Python takes its frames out of tracebacks

_NAMEDTUPLE = "namedtuple_"  # module of what ``collections`` generates, without a file; those that we make are ours

_RAISE = bytes((opmap["RAISE_VARARGS"],))

_OPTIMIZED = 0x1  # flag of a function's code object: its locals are no module's globals

#: Modules of exceptions by which greenlets are ended, or limited in time.
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
    """For an ``except`` clause: ``kinds``, but nothing for an interruption. Where there are none, every Exception, and
    whatever else code of the program raises that has come to run.
    """
    error = sys.exc_info()[1]
    if type(error) is RecursionError or not _is_interruption(error, is_called_here=False):
        return kinds or (BaseException,)
    return ()


def anything() -> tuple[type[BaseException], ...]:
    """For an ``except`` clause around a call of code of the program's, which may be written in C: all that it raises,
    SystemExit too; no interruption.
    """
    error = sys.exc_info()[1]
    if type(error) is RecursionError or not _is_interruption(error, is_called_here=True):
        return (BaseException,)
    return ()


class suppressed:  # noqa: N801 (as contextlib has it)
    """``contextlib.suppress`` for ``failures`` of these kinds."""

    def __init__(self, *kinds: type[Exception]) -> None:
        self._kinds = kinds

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Optional[type[BaseException]], *_: object) -> bool:
        return kind is not None and issubclass(kind, failures(*self._kinds))


def _is_interruption(error: Optional[BaseException], *, is_called_here: bool) -> bool:
    """``is_called_here``: the frame that asks calls code of the program itself."""
    kind = type(error)
    is_error = issubclass(kind, Exception)
    if not is_error and any(_module_of(ancestor) in _OF_GREENLETS for ancestor in _ancestors_of(kind)):
        return True
    entry: Optional[TracebackType] = _traceback_of(error)
    if entry is None:
        return False
    # By C code of the program's, which knows no classes of its main module.
    is_of_c = is_called_here and entry.tb_next is None and _module_of(kind) != "__main__"
    has_run_program = _is_of_program(entry.tb_frame)
    while entry.tb_next is not None:
        interrupted, entry = entry.tb_frame, entry.tb_next
        if _was_given(entry.tb_frame, interrupted):
            return True
        has_run_program = has_run_program or _is_of_program(entry.tb_frame)
    if issubclass(kind, KeyboardInterrupt):
        return not (has_run_program and _is_of_raise(entry))
    if is_of_c:
        return False
    if not is_error:
        return not has_run_program
    return _comes_from_nowhere(kind, error, _file_of(entry.tb_frame))


def _module_of(kind: type) -> str:
    try:
        name = _read_module(kind)
    except AttributeError:  # the program has deleted it
        return ""
    return name if type(name) is str else ""


def _is_of_raise(entry: TracebackType) -> bool:
    """Whether it was raised there by a statement: what comes from outside does so between two instructions."""
    return entry.tb_frame.f_code.co_code[entry.tb_lasti : entry.tb_lasti + 1] == _RAISE


def _was_given(frame: FrameType, interrupted: FrameType) -> bool:
    """Whether ``frame``, which has ended, is that of a handler that interrupted the other one."""
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
    return "".join((frame.f_code.co_filename,))  # of a subclass, the text itself


def _is_of_program(frame: FrameType) -> bool:
    file = _file_of(frame)
    return not file.startswith(_OWN) and not _is_of_stdlib(file)


def _comes_from_nowhere(kind: type, error: Any, file: str) -> bool:
    if not file.startswith(_OWN) and not _is_of_stdlib(file):
        return False
    if kind is TimeoutError:
        return not _arguments_of(error)  # that of a system call has its number
    module = _module_of(kind)
    if module == "__main__":
        return True
    loaded = sys.modules.get(module)
    where = dict.get(_dict_of(loaded), "__file__") if issubclass(type(loaded), ModuleType) else None
    return type(where) is str and not where.startswith(_OWN) and not _is_of_stdlib(where)


def _is_of_stdlib(file: str) -> bool:
    if file.startswith("<frozen "):
        return True
    return file.startswith(_STDLIB) and not any(part in file for part in _INSTALLED)
