"""What is raised into our code from outside: a time limit (rq, Celery), Ctrl-C, a worker that is told to leave.

A signal handler runs between any two instructions, so within a capture too, and so does what another thread raises here
(``PyThreadState_SetAsyncExc``). It is meant for the program and must reach it: nothing of ours may take it for an error
of its own. So every ``except`` on the way of a capture names what it catches by ``failures``, and, where code of the
program is called (``__str__``, ``before_send``), by ``anything``; what they do not name goes on its way.

It is told by the traceback: a signal handler is given the frame that it interrupted, and stands in the traceback behind
that frame. What another thread raises has no handler: it is of a class of the program's and comes out of a frame of
ours, or of the standard library, where nothing raises such a thing.
"""

from __future__ import annotations

import os
import sys
from types import FrameType, TracebackType
from typing import Any, Optional, TypeVar, overload

#: The reason under which an event is counted whose capture was interrupted.
INTERRUPTED = "interrupted"

_OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep
_STDLIB = os.path.dirname(os.__file__) + os.sep
_INSTALLED = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)

_IMPORTLIB = "<frozen importlib."  # Python takes its frames out of tracebacks

_NAMEDTUPLE = "namedtuple_"  # module of what ``collections`` generates, without a file; those that we make are ours

_OPTIMIZED = 0x1  # flag of a function's code object: its locals are no module's globals

#: Modules of exceptions by which greenlets are ended, or limited in time.
_OF_GREENLETS = frozenset(("greenlet", "gevent.timeout", "eventlet.timeout"))

_Kind = TypeVar("_Kind", bound=Exception)

_traceback_of = BaseException.__dict__["__traceback__"].__get__
_arguments_of = BaseException.__dict__["args"].__get__
_ancestors_of = type.__dict__["__mro__"].__get__
_module_of = type.__dict__["__module__"].__get__


@overload
def failures() -> tuple[type[Exception], ...]: ...


@overload
def failures(*kinds: type[_Kind]) -> tuple[type[_Kind], ...]: ...


def failures(*kinds: type[Exception]) -> tuple[type[Exception], ...]:
    """For an ``except`` clause: ``kinds`` (Exception, where there are none), but nothing for an interruption."""
    error = sys.exc_info()[1]
    if type(error) is RecursionError or not _is_interruption(error, calls_program=False):
        return kinds or (Exception,)
    return ()


def anything() -> tuple[type[BaseException], ...]:
    """For an ``except`` clause around code of the program's: all that it raises, SystemExit too; no interruption."""
    error = sys.exc_info()[1]
    if type(error) is RecursionError or not _is_interruption(error, calls_program=True):
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


def _is_interruption(error: Optional[BaseException], *, calls_program: bool) -> bool:
    kind = type(error)
    if issubclass(kind, KeyboardInterrupt):
        return True  # Python's own handler is no function of Python
    if calls_program and any(_module_of(ancestor) in _OF_GREENLETS for ancestor in _ancestors_of(kind)):
        return True
    entry: Optional[TracebackType] = _traceback_of(error)
    if entry is None:
        return False
    # By C code of the program's, which knows no classes of its main module.
    is_called_here = calls_program and entry.tb_next is None and _module_of(kind) != "__main__"
    while entry.tb_next is not None:
        interrupted, entry = entry.tb_frame, entry.tb_next
        if _was_given(entry.tb_frame, interrupted):
            return True
    return not is_called_here and _comes_from_nowhere(kind, error, _file_of(entry.tb_frame))


def _was_given(frame: FrameType, interrupted: FrameType) -> bool:
    """Whether ``frame``, which has ended, is that of a handler that interrupted the other one."""
    code = frame.f_code
    if not code.co_flags & _OPTIMIZED or code.co_filename.startswith(_OWN):
        return False
    values = list(frame.f_locals.values())
    for value in [*values, *(part for several in values if type(several) is tuple for part in several)]:
        if value is interrupted or (type(value) is FrameType and value.f_code.co_filename.startswith(_IMPORTLIB)):
            return True
    return False


def _file_of(frame: FrameType) -> str:
    name: Any = dict.get(frame.f_globals, "__name__")
    if type(name) is str and name.startswith((_NAMEDTUPLE, "lastword.")):
        return _OWN
    return frame.f_code.co_filename


def _comes_from_nowhere(kind: type, error: Any, file: str) -> bool:
    if not issubclass(kind, Exception):
        return file.startswith(_OWN)
    if not file.startswith(_OWN) and not _is_of_stdlib(file):
        return False
    if kind is TimeoutError:
        return not _arguments_of(error)  # that of a system call has its number
    module = _module_of(kind)
    if module == "__main__":
        return True
    where = getattr(sys.modules.get(module), "__file__", None) if type(module) is str else None
    return type(where) is str and not where.startswith(_OWN) and not _is_of_stdlib(where)


def _is_of_stdlib(file: str) -> bool:
    if file.startswith("<frozen "):
        return True
    return file.startswith(_STDLIB) and not any(part in file for part in _INSTALLED)
