"""What kind of object a call returns, as far as this is known before the call."""

from __future__ import annotations

import functools
from types import CodeType
from typing import Any

from lastword.interruption import anything

_ancestors_of = type.__dict__["__mro__"].__get__
_namespace_of = type.__dict__["__dict__"].__get__

# Flags of code objects, with the values of ``inspect``.
_GENERATOR, _COROUTINE, _ITERABLE_COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x100, 0x200

PLAIN, COROUTINE, GENERATOR, ASYNC_GENERATOR = "plain", "coroutine", "generator", "async generator"


def gives(function: Any) -> str:
    """Return ``coroutine``, ``generator`` or ``async generator`` if the called code has this flag; else ``plain``.

    Follows partials, methods and the ``__call__`` of objects. Ignores objects that the function only passes on: a
    lambda that returns a coroutine is plain.
    """
    while type(function) is functools.partial:
        function = function.func
    code = _code_of(function)
    if type(code) is not CodeType:
        code = _code_of(_call_of(type(function)))
    if type(code) is not CodeType:
        return PLAIN
    if code.co_flags & _ASYNC_GENERATOR:
        return ASYNC_GENERATOR
    if code.co_flags & (_COROUTINE | _ITERABLE_COROUTINE):
        return COROUTINE
    return GENERATOR if code.co_flags & _GENERATOR else PLAIN


def _code_of(function: Any) -> Any:
    try:
        return getattr(function, "__code__", None)
    except anything():  # an object with its own attribute access
        return None


def _call_of(kind: type) -> Any:
    namespaces = map(_namespace_of, _ancestors_of(kind))
    return next((namespace["__call__"] for namespace in namespaces if "__call__" in namespace), None)
