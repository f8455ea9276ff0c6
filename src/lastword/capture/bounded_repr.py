"""A repr that runs no application code and costs the same for 50 bytes as for 50 MB.

Only exact builtin types are shown by their content; a subclass may have overridden anything, so it is shown, like
every other object, by its class and address. ``repr(x)`` of a Django QuerySet would query the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from lastword.capture.safe_text import ELLIPSIS, class_path, clean

MAX_DEPTH = 4
_MAX_INT_BITS = 512  # about 154 digits; repr of an int costs the square of its length and fails at 4,300 digits

_module_dict: Callable[[ModuleType], dict[str, Any]] = vars(ModuleType)["__dict__"].__get__

_Writer = Callable[[Any, int, int], str]

#: Types whose repr is C code, short, and ASCII.
_PLAIN = frozenset((type(None), bool, float, complex, type(Ellipsis), type(NotImplemented)))


def bounded_repr(value: object, limit: int) -> str:
    """``value`` in at most ``limit`` characters; what was cut shows as ``…``.

    Raises what the interpreter raises: RuntimeError when another thread changes a set or dict meanwhile,
    RecursionError when the stack is full.
    """
    if type(value) in _PLAIN:
        return repr(value)
    return clean(_write(value, limit, 0), limit)


def _write(value: object, limit: int, depth: int) -> str:
    kind = type(value)
    if kind in _PLAIN:
        return repr(value)
    writer = _WRITERS.get(kind)
    return _object(value) if writer is None else writer(value, limit, depth)


def _object(value: object) -> str:
    return f"<{class_path(type(value))} object at 0x{id(value):x}>"


def _int(value: int, limit: int, depth: int) -> str:
    bits = value.bit_length()
    return repr(value) if bits <= _MAX_INT_BITS else f"<int of {bits} bits>"


def _sliced(value: Any, limit: int, depth: int) -> str:
    if len(value) <= limit:
        return repr(value)
    # Cut before repr: a long text is not copied, let alone escaped, for the sake of its beginning.
    return repr(value[:limit])[: limit - 1] + ELLIPSIS


def _listed(opening: str, values: Iterable[object], closing: str, limit: int, depth: int) -> str:
    """The members between brackets, as far as ``limit`` characters reach: later ones are never looked at."""
    if depth >= MAX_DEPTH:
        return opening + ELLIPSIS + closing
    text = opening
    # A snapshot in one C call, since another thread may be changing the container. A member takes two characters
    # at least, so more than ``limit`` of them are never shown.
    for value in list(islice(values, limit)):
        text += _write(value, limit, depth + 1) + ", "
        if len(text) > limit:
            return text[: limit - 1] + ELLIPSIS
    return text[:-2] + closing


def _list(value: list[object], limit: int, depth: int) -> str:
    return _listed("[", value, "]", limit, depth) if value else "[]"


def _tuple(value: tuple[object, ...], limit: int, depth: int) -> str:
    return _listed("(", value, ",)" if len(value) == 1 else ")", limit, depth) if value else "()"


def _set(value: set[object], limit: int, depth: int) -> str:
    return _listed("{", value, "}", limit, depth) if value else "set()"


def _frozenset(value: frozenset[object], limit: int, depth: int) -> str:
    return _listed("frozenset({", value, "})", limit, depth) if value else "frozenset()"


def _dict(value: dict[object, object], limit: int, depth: int) -> str:
    if depth >= MAX_DEPTH and value:
        return "{" + ELLIPSIS + "}"
    text = "{"
    for key, item in list(islice(value.items(), limit)):
        text += f"{_write(key, limit, depth + 1)}: {_write(item, limit, depth + 1)}, "
        if len(text) > limit:
            return text[: limit - 1] + ELLIPSIS
    return (text[:-2] if value else text) + "}"


def _class(value: type, limit: int, depth: int) -> str:
    return f"<class '{class_path(value)}'>"


def _function(value: Any, limit: int, depth: int) -> str:
    return f"<function {clean(value.__qualname__, limit)}>"


def _module(value: ModuleType, limit: int, depth: int) -> str:
    # Through the dict, for a missing attribute of a module is asked from the module's own __getattr__.
    name = _module_dict(value).get("__name__")
    return f"<module '{clean(name, limit)}'>" if type(name) is str else _object(value)


_WRITERS: dict[type, _Writer] = {
    int: _int,
    **dict.fromkeys((str, bytes, bytearray), _sliced),
    list: _list,
    tuple: _tuple,
    set: _set,
    frozenset: _frozenset,
    dict: _dict,
    type: _class,
    **dict.fromkeys((FunctionType, BuiltinFunctionType), _function),
    ModuleType: _module,
}
