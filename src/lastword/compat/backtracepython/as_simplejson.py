"""Copy a program's values into JSON types by the rules of ``simplejson``; later changes do not affect the copy.

Values that JSON cannot hold are shown as text; with one of these, ``backtracepython`` loses this report and all later
ones.
"""

from __future__ import annotations

import math
import sys
from typing import Any

from lastword.capture.budget import Room
from lastword.capture.json_copy import text_of
from lastword.capture.safe_text import class_path
from lastword.event_json import encode_text
from lastword.interruption import anything

MAX_DEPTH = 50
MAX_OBJECT_TEXT = 8192  # characters
LEFT_OUT = "(left out)"

_MOST_BITS = 4096  # a longer integer is not written in digits
_LITTLE = 16  # JSON characters around a value, or of a number
_MARK_ROOM = 60


def json_copy(value: Any, room: Room) -> Any:
    """Return a copy of ``value`` in JSON types, as large as ``room`` allows; a cut is marked."""
    return _copy(value, room, MAX_DEPTH)


def _copy(value: Any, room: Room, depth: int) -> Any:
    if not room.take(_LITTLE):
        return LEFT_OUT
    try:
        return _copy_of(value, type(value), room, depth)
    except RecursionError:
        raise
    except anything():  # for instance, the program's own list or number class
        return f"<unprintable {class_path(type(value))}>"


def _copy_of(value: Any, kind: type, room: Room, depth: int) -> Any:
    if value is None or kind is bool:
        return value
    if issubclass(kind, str):
        return _text("".join((value,)), room)
    if issubclass(kind, int):
        number = int.__add__(value, 0)
        bits = number.bit_length()
        return number if bits <= _MOST_BITS and room.take(bits // 3) else f"(an integer of {bits} bits)"
    if issubclass(kind, float):
        return float.__add__(value, 0.0) if math.isfinite(value) else None
    if issubclass(kind, (bytes, bytearray)):
        return _text(bytes(value).decode("utf-8", "backslashreplace"), room)
    if issubclass(kind, (dict, list, tuple, set, frozenset)):
        return _container(value, kind, room, depth - 1) if depth else LEFT_OUT
    if _is_decimal(kind):
        return float(value) if value.is_finite() else None
    return _text(text_of(value, MAX_OBJECT_TEXT), room)


def _container(value: Any, kind: type, room: Room, depth: int) -> Any:
    if issubclass(kind, dict):
        return _object(list(dict.items(value)), room, depth)
    if issubclass(kind, tuple) and type(getattr(kind, "_fields", None)) is tuple:
        return _object(list(zip(kind._fields, tuple.__iter__(value))), room, depth)  # type: ignore[attr-defined]
    copied = []
    items = list(value)
    for number, item in enumerate(items):
        if room.left < _LITTLE + _MARK_ROOM:
            copied.append(f"({len(items) - number} items left out)")
            break
        copied.append(_copy(item, room, depth))
    return copied


def _object(items: list[tuple[Any, Any]], room: Room, depth: int) -> dict[str, Any]:
    copied: dict[str, Any] = {}
    for key, value in items:
        name = _key(key)
        if not room.take(len(encode_text(name)) + _LITTLE):
            copied[LEFT_OUT] = f"{len(items) - len(copied)} items"
            break
        copied[name] = _copy(value, room, depth)
    return copied


def _key(key: Any) -> str:
    kind = type(key)
    if kind is str:
        return str(key)
    if key is None:
        return "null"
    if kind is bool:
        return "true" if key else "false"
    if issubclass(kind, bytes):
        return bytes(key).decode("utf-8", "backslashreplace")
    return text_of(key, MAX_OBJECT_TEXT)


def _text(text: str, room: Room) -> str:
    cost = len(encode_text(text))
    if room.take(cost):
        return text
    kept = max(0, int(len(text) * (room.left - _MARK_ROOM) / cost))
    room.take(room.left)
    return f"{text[:kept]}… ({len(text) - kept} characters left out)"


def _is_decimal(kind: type) -> bool:
    decimal: Any = sys.modules.get("decimal")  # a program that has a Decimal has imported it
    return decimal is not None and issubclass(kind, decimal.Decimal)
