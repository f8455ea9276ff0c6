"""Checks of type and range for values read from files, made before any other code uses the values.

A file of the spool may have been damaged, edited, restored, or written by another version. So every reader of a format
parses its JSON with ``json_value`` and checks each value in it with one of the functions below ``json_value``. All of
them raise only ValueError, for any input.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from lastword.foreign_text import one_line

#: The largest offset or size that the system accepts.
LARGEST = 2**63 - 1

#: The end of the year 9999, in Unix seconds: the last moment that can be shown as a date.
LATEST = 253_402_300_799.0

#: Digits of a whole number that a double can hold. A longer number is read as text: converting thousands of digits
#: takes quadratic time, or raises.
_MOST_DIGITS = 300

#: Levels of nested lists and objects. Events have at most 40 (``capture/json_copy.py``). How many levels a decoder can
#: read depends on the Python, the stack and, in PyPy, on the code compiled so far; code that then walks through the
#: value or encodes it may raise RecursionError.
_MOST_LEVELS = 100
_ITERATE: dict[type, Callable[[Any], Iterable[Any]]] = {dict: dict.values, list: list.__iter__, tuple: tuple.__iter__}
_NESTED = (dict, list, tuple)

_LONGEST_NAME = 255

_MOST_READ = 1 << 16  # characters


def _whole_number(digits: str) -> Any:
    return int(digits) if len(digits) <= _MOST_DIGITS else digits


def _broken_number(digits: str) -> Any:
    value = float(digits)
    return value if math.isfinite(value) else digits


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


_decode = json.JSONDecoder(parse_float=_broken_number, parse_constant=_no_number).decode
_decode_slowly = json.JSONDecoder(parse_int=_whole_number, parse_float=_broken_number, parse_constant=_no_number).decode

# Calling our function for each whole number makes reading an event take half as long again. So this is done only where
# a number may have too many digits: such a number shows ten digits in a row when every thirtieth byte is sampled.
_SHOWN = 10
_shows_many_digits = re.compile(rb"[0-9]{%d}" % _SHOWN).search


def json_value(content: bytes) -> Any:
    """Return the value of a JSON text in ASCII. Every number in it fits into a double; a larger one becomes a str.

    Raises ValueError for anything else, including NaN, infinities and values nested more than 100 levels deep.
    """
    try:
        decode = _decode_slowly if _shows_many_digits(content[:: _MOST_DIGITS // _SHOWN]) else _decode
        value = decode(content.decode("ascii"))
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if is_too_deep(value, content):
        raise ValueError("it is nested too deep")
    return value


def is_too_deep(value: Any, text: bytes) -> bool:
    """Return whether ``value``, whose JSON is ``text``, has too many levels to be read back.

    Calls no method of a class derived from list, tuple or dict.
    """
    if text.count(b"[") + text.count(b"{") <= _MOST_LEVELS:
        return False
    level: list[Any] = [[value]]
    for _ in range(_MOST_LEVELS + 1):
        level = [inner for outer in level for inner in _members(outer) if issubclass(type(inner), _NESTED)]
        if not level:
            return False
    return True


def _members(value: Any) -> Iterable[Any]:
    kind = type(value)
    if kind is dict or kind is list:
        return value.values() if kind is dict else value  # type: ignore[no-any-return]
    return next(iterate(value) for base, iterate in _ITERATE.items() if issubclass(kind, base))


def integer(value: object, least: int = 0, most: int = LARGEST) -> int:
    """Return ``value`` if it is a whole number in this range."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"a {type(value).__name__} is no whole number from {least} to {most}")
    return value


def count(value: object) -> int:
    """Return ``value`` if it is a whole number, limited to ±LARGEST so that sums of counts can always be read back.

    It may be below 0: some counts are subtracted where they were added.
    """
    if type(value) is not int:
        raise ValueError(f"a {type(value).__name__} is no count")
    return max(-LARGEST, min(value, LARGEST))


def number(value: object, least: float, most: float) -> float:
    """Return ``value`` unchanged if it is a number in this range; NaN is in no range."""
    if (type(value) is not float and type(value) is not int) or not least <= value <= most:
        raise ValueError(f"a {type(value).__name__} is no number from {least:g} to {most:g}")
    return value


def seconds(value: object) -> float:
    """Return ``value`` if it is a time in Unix seconds that can be shown as a date, or a duration no longer."""
    return float(number(value, -LATEST, LATEST))


def flag(value: object) -> bool:
    """Return ``value`` if it is true or false."""
    if type(value) is not bool:
        raise ValueError(f"a {type(value).__name__} is no bool")
    return value


def text(value: object, most: int) -> str:
    """Return the first ``most`` characters of ``value`` if it is a str."""
    if type(value) is not str:
        raise ValueError(f"a {type(value).__name__} is no text")
    return value[:most]


def line(value: object, most: int) -> str:
    """Return ``value``, if it is a str, as one printable line of at most ``most`` characters."""
    return one_line(text(value, _MOST_READ), most)


def name(value: object) -> str:
    """Return ``value`` if it is a valid file name (not a path)."""
    if type(value) is not str or not 0 < len(value) <= _LONGEST_NAME or value in (".", ".."):
        raise ValueError(f"a {type(value).__name__} is no name of a file")
    if "/" in value or "\0" in value:
        raise ValueError("it is a path, not the name of a file")
    return value


def mapping(value: object) -> dict[str, Any]:
    """Return ``value`` if it is a JSON object."""
    if type(value) is not dict:
        raise ValueError(f"a {type(value).__name__} is no JSON object")
    return value


def items(value: object) -> list[Any]:
    """Return ``value`` if it is a JSON array."""
    if type(value) is not list:
        raise ValueError(f"a {type(value).__name__} is no JSON array")
    return value
