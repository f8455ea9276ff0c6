"""Bounded copies, in JSON's own types, of values that the program passes to lastword.

A copy is kept as JSON text: it cannot change, threads and copied contexts may share it, its size is known, and reading
it back for an event cannot fail.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from lastword.capture.bounded_repr import bounded_repr
from lastword.capture.budget import Room
from lastword.capture.safe_text import class_path, clean
from lastword.event_json import encode_value
from lastword.interruption import anything

MAX_KEY = 200  # characters
MAX_TEXT = 1024  # characters
MAX_ITEMS = 50  # of one mapping or list
MAX_DEPTH = 3
LEFT_OUT = "(left out)"

_MAX_LEVELS = 30  # of a value that a hook returned
_MAX_VALUES = 100_000

_CONTAINERS = frozenset((list, tuple, set, frozenset, dict, bytes, bytearray))
_QUOTES_AND_COMMA = 4


def mapping_json(mapping: Mapping[Any, Any], limit: int) -> str:
    """Return a copy of ``mapping`` as JSON of at most ``limit`` characters.

    It has the first 50 items on each of 3 levels, texts cut to 1,024 characters, and objects as their ``str``. An item
    that does not fit reads ``(left out)``. Raises any exception of the mapping.
    """
    copied = {text_of(key, MAX_KEY): _item(value, limit) for key, value in _items(mapping)}
    whole = encode_value(copied)
    return whole if len(whole) <= limit else encode_value(_fitting(copied, limit))


def value_json(value: Any, limit: int) -> str:
    """Return a copy of one value as JSON of at most ``limit`` characters, bounded like an item of ``mapping_json``."""
    whole = encode_value(_item(value, limit))
    return whole if len(whole) <= limit else encode_value(LEFT_OUT)


def as_json(value: Any) -> Any:
    """Return a copy in JSON's own types, other values as text; at most 100,000 values and 30 levels deep."""
    return _as_json(value, _MAX_LEVELS, Room(_MAX_VALUES))


def _as_json(value: Any, levels: int, room: Room) -> Any:
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return value
    if not (levels and room.take(1)):
        return LEFT_OUT
    if is_mapping(kind) or issubclass(kind, (list, tuple, set, frozenset)):
        try:
            return _container_as_json(value, levels - 1, room)
        except anything():
            return f"<unreadable {class_path(kind)}>"
    if issubclass(kind, int):
        number = int.__index__(value)  # with thousands of digits it could be neither written nor read
        return number if number.bit_length() <= 64 else bounded_repr(number, MAX_TEXT)
    if issubclass(kind, float) and math.isfinite(value):
        return float.__float__(value)
    return "".join((value,)) if issubclass(kind, str) else text_of(value, MAX_TEXT)


def _container_as_json(value: Any, levels: int, room: Room) -> Any:
    if is_mapping(type(value)):
        return {key if type(key) is str else text_of(key, MAX_KEY): _as_json(value[key], levels, room) for key in value}
    return [_as_json(item, levels, room) for item in value]


def named_items(value: Any) -> Any:
    """Return a namedtuple as a dict, so that it is scrubbed by its field names; any other value unchanged."""
    kind = type(value)
    if issubclass(kind, tuple) and kind is not tuple:
        try:
            names: Any = getattr(kind, "_fields", None)
        except anything():
            return value
        if type(names) is tuple and len(names) == tuple.__len__(value):
            return dict(zip(names, tuple.__iter__(value)))
    return value


def text_of(value: object, limit: int) -> str:
    """Return at most ``limit`` characters of the value's own ``str``: a UUID, a Decimal, a lazy text.

    Running ``str`` is allowed, because the caller passed the value to be shown. Python's own containers are excepted:
    their ``str`` may take for ever. Raises no Exception.
    """
    kind = type(value)
    try:
        if kind is str:
            return clean(value, limit)  # type: ignore[arg-type]
        return bounded_repr(value, limit) if kind in _CONTAINERS else clean(str(value), limit)
    except anything():
        return _unprintable(kind)


def is_mapping(kind: type) -> bool:
    """Return whether ``kind`` is a subclass of ``Mapping``; this may run code of its metaclass."""
    try:
        return kind is dict or issubclass(kind, Mapping)
    except anything():
        return False


def _unprintable(kind: type) -> str:
    return f"<unprintable {class_path(kind)}>"


def error_text(error: BaseException) -> str:
    """Return the class and the text of any error, for a diagnostic note."""
    return f"{class_path(type(error))}: {text_of(error, MAX_KEY)}"


def _fitting(copied: dict[str, Any], limit: int) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    left = limit
    for name, value in copied.items():
        cost = len(encode_value(name)) + _QUOTES_AND_COMMA
        shown = value if cost + len(encode_value(value)) <= left else LEFT_OUT
        left -= cost + len(encode_value(shown))
        if left < 0:
            break
        kept[name] = shown
    return kept


class _NoRoom(Exception):
    pass


def _item(value: Any, limit: int) -> Any:
    kind = type(value)
    if kind is str:
        return clean(value, MAX_TEXT)
    if kind is bool or value is None:
        return value
    try:
        return _copied(value, 1, Room(limit))
    except _NoRoom:
        return LEFT_OUT
    except anything():  # an exception from the program's mapping or list costs only this item
        return _unprintable(kind)


def _copied(value: Any, depth: int, room: Room) -> Any:
    """Copy ``value``; ``room`` stops the copy of a far too large value. The exact size is checked later."""
    kind = type(value)
    if value is None or kind is bool or (kind is int and value.bit_length() <= 64):
        return value
    if kind is float and math.isfinite(value):
        return value
    value = named_items(value)
    kind = type(value)
    is_list = issubclass(kind, (list, tuple, set, frozenset))
    if not is_list and (kind is str or not is_mapping(kind)):
        text = text_of(value, MAX_TEXT)
        _pay(room, len(text))
        return text
    if depth >= MAX_DEPTH:
        return LEFT_OUT
    if is_list:
        return [_copied(item, depth + 1, room) for item in islice(value, MAX_ITEMS)]
    copied = {}
    for key, item in _items(value):
        name = text_of(key, MAX_KEY)
        _pay(room, len(name))
        copied[name] = _copied(item, depth + 1, room)
    return copied


def _pay(room: Room, characters: int) -> None:
    if not room.take(characters):
        raise _NoRoom


def _items(mapping: Mapping[Any, Any]) -> Iterable[tuple[Any, Any]]:
    if type(mapping) is dict:
        return list(islice(mapping.items(), MAX_ITEMS))  # in one step, since another thread may be changing it
    return ((key, mapping[key]) for key in islice(mapping, MAX_ITEMS))
