"""Values out of files, checked for type and range before anything else sees them.

A file of the spool may have been damaged, edited, restored, or written by another version. So every reader of a format
takes its JSON from ``json_value``, and each value in it by one of the functions below it. All of them raise ValueError
and nothing else, whatever they are given.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from lastword.foreign_text import one_line

#: The largest number that the system takes for an offset or a size.
LARGEST = 2**63 - 1

#: Unix seconds: the end of the year 9999, the last moment that can be shown as a date.
LATEST = 253_402_300_799.0

#: Digits of a whole number that a double can hold. What has more is read as its text: converting thousands of digits
#: takes time that grows with their square, or raises.
_MOST_DIGITS = 300

#: Levels of lists and objects in each other. Events have no more than 40 (``capture/json_copy.py``). How many a decoder
#: can read depends on the Python, the stack and, in PyPy, on what was compiled so far; whoever then walks through it or
#: encodes it may end in RecursionError.
_MOST_LEVELS = 100
_ITERATE: dict[type, Callable[[Any], Iterable[Any]]] = {
    dict: dict.values,
    list: list.__iter__,
    tuple: tuple.__iter__,
}
_NESTED = (dict, list, tuple)

_LONGEST_NAME = 255

_LOOKED_AT = 1 << 16  # characters


def _whole_number(digits: str) -> Any:
    return int(digits) if len(digits) <= _MOST_DIGITS else digits


def _broken_number(digits: str) -> Any:
    value = float(digits)
    return value if math.isfinite(value) else digits


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


_decode = json.JSONDecoder(parse_float=_broken_number, parse_constant=_no_number).decode
_decode_slowly = json.JSONDecoder(parse_int=_whole_number, parse_float=_broken_number, parse_constant=_no_number).decode

# To hand each whole number of an event to a function of ours takes half as long again as to read the event. So that is
# done only where one may have too many digits: it shows ten of them in a row where every thirtieth byte is looked at.
_SHOWN = 10
_shows_many_digits = re.compile(rb"[0-9]{%d}" % _SHOWN).search


def json_value(content: bytes) -> Any:
    """The value of a JSON text in ASCII. Every number in it fits into a double; a larger one is the text of its digits.

    Raises ValueError for anything else, NaN, infinities and what is nested more than 100 levels deep included.
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
    """Whether ``value``, whose JSON is ``text``, could not be read back, since it has too many levels. Asks no object
    of a class derived from list, tuple or dict.
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
    """``value`` if it is a whole number of that range."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"a {type(value).__name__} is no whole number from {least} to {most}")
    return value


def count(value: object) -> int:
    """``value`` if it is a whole number. Below 0 too: some counts are taken off where they were added. What is too much
    counts as the most that there is, so that sums of counts can always be read back.
    """
    if type(value) is not int:
        raise ValueError(f"a {type(value).__name__} is no count")
    return max(-LARGEST, min(value, LARGEST))


def number(value: object, least: float, most: float) -> float:
    """``value``, as it is, if it is a number of that range; NaN is in none."""
    if (type(value) is not float and type(value) is not int) or not least <= value <= most:
        raise ValueError(f"a {type(value).__name__} is no number from {least:g} to {most:g}")
    return value


def seconds(value: object) -> float:
    """``value`` if it is a time in Unix seconds that can be shown as a date, or as long a time."""
    return float(number(value, -LATEST, LATEST))


def flag(value: object) -> bool:
    """``value`` if it is true or false."""
    if type(value) is not bool:
        raise ValueError(f"a {type(value).__name__} is no bool")
    return value


def text(value: object, most: int) -> str:
    """The first ``most`` characters of ``value``, if it is a text."""
    if type(value) is not str:
        raise ValueError(f"a {type(value).__name__} is no text")
    return value[:most]


def told(value: object, most: int) -> str:
    """``value``, if it is a text, as one line for people of at most ``most`` characters."""
    return one_line(text(value, _LOOKED_AT), most)


def name(value: object) -> str:
    """``value`` if a file in some directory can be called so."""
    if type(value) is not str or not 0 < len(value) <= _LONGEST_NAME or value in (".", ".."):
        raise ValueError(f"a {type(value).__name__} is no name of a file")
    if "/" in value or "\0" in value:
        raise ValueError("it is a path, not the name of a file")
    return value


def mapping(value: object) -> dict[str, Any]:
    """``value`` if it is a JSON object."""
    if type(value) is not dict:
        raise ValueError(f"a {type(value).__name__} is no JSON object")
    return value


def items(value: object) -> list[Any]:
    """``value`` if it is a JSON array."""
    if type(value) is not list:
        raise ValueError(f"a {type(value).__name__} is no JSON array")
    return value
