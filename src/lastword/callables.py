"""What calling something gives, as far as that can be told before it is called."""

from __future__ import annotations

import functools
from types import CodeType
from typing import Any

# Flags of code objects, as ``inspect`` has them.
_GENERATOR, _COROUTINE, _ITERABLE_COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x100, 0x200

PLAIN, COROUTINE, GENERATOR, ASYNC_GENERATOR = "plain", "coroutine", "generator", "async generator"


def gives(function: Any) -> str:
    """``coroutine``, ``generator`` or ``async generator``, where the code that a call runs says so; else ``plain``.

    Looks through partials and methods, and at the ``__call__`` of objects. Not at what a function returns that somebody
    else has made: a lambda is plain.
    """
    while type(function) is functools.partial:
        function = function.func
    code = getattr(function, "__code__", None)
    if type(code) is not CodeType:
        code = getattr(_call_of(type(function)), "__code__", None)
    if type(code) is not CodeType:
        return PLAIN
    if code.co_flags & _ASYNC_GENERATOR:
        return ASYNC_GENERATOR
    if code.co_flags & (_COROUTINE | _ITERABLE_COROUTINE):
        return COROUTINE
    return GENERATOR if code.co_flags & _GENERATOR else PLAIN


def _call_of(kind: type) -> Any:
    return next((vars(one)["__call__"] for one in kind.__mro__ if "__call__" in vars(one)), None)
