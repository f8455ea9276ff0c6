"""Which exceptions were reported already, so that one that is logged and then ends its thread is reported once.

What is remembered hangs on the exception and goes with it: by a weak reference, or, as the classes of the interpreter
itself allow none, in the exception's own ``__dict__``. There it consists of builtins alone, for it is pickled with the
exception. It never touches the ``__dict__`` of other classes, which may have ideas of their own about their state.

A mark holds for a minute, in the process that made it: some programs keep one exception and raise it again and again.
"""

from __future__ import annotations

import os
import time
import weakref
from typing import Any, Optional

from lastword.capture.safe_text import is_builtin_class

#: So many seconds a mark holds.
MEMORY = 60.0

_KEY = "__lastword__"

#: pid, time (monotonic), mechanism, event id or None where the event was refused.
Mark = tuple[int, float, str, Optional[str]]

#: The ``__dict__`` of an exception. A class of the application may have a property of that name.
dict_of = BaseException.__dict__["__dict__"].__get__

_marks: dict[int, _MarkedReference] = {}  # by the exception's address, which is its own as long as it lives


class _MarkedReference(weakref.ref):  # type: ignore[type-arg]
    """Goes from the table with its exception."""

    __slots__ = ("address", "mark")
    address: int
    mark: Mark


def mark(error: BaseException, mechanism: str, event_id: Optional[str]) -> None:
    """Remember that ``mechanism`` reported ``error`` as ``event_id``; None where it was refused. Raises nothing."""
    new: Mark = (os.getpid(), time.monotonic(), mechanism, event_id)
    if is_builtin_class(type(error)):
        dict.__setitem__(dict_of(error), _KEY, new)
        return
    known = _reference_to(error)
    if known is not None:
        known.mark = new
        return
    try:
        reference = _MarkedReference(error, _forget)
    except TypeError:  # a class with __slots__: reported twice, for one with a __setstate__ of its own (as dataclasses
        # have) would take our key for one of its fields
        return
    reference.address, reference.mark = id(error), new
    _marks[reference.address] = reference


def event_of(error: BaseException) -> Optional[tuple[str, Optional[str]]]:
    """Who reported ``error``, and the event's id (None: it was refused). None where nobody did, or long ago."""
    known: Any
    if is_builtin_class(type(error)):
        known = dict.get(dict_of(error), _KEY)
    else:
        reference = _reference_to(error)
        known = None if reference is None else reference.mark
    if type(known) is not tuple or known[0] != os.getpid() or time.monotonic() - known[1] > MEMORY:
        return None
    return known[2], known[3]


def _reference_to(error: BaseException) -> Optional[_MarkedReference]:
    reference = _marks.get(id(error))
    return reference if reference is not None and reference() is error else None


def _forget(gone: _MarkedReference) -> None:
    if _marks.get(gone.address) is gone:
        _marks.pop(gone.address, None)
