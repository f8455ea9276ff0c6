"""The local variables of a frame, as texts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import islice
from types import FrameType
from typing import Any

from lastword.capture.bounded_repr import bounded_repr
from lastword.capture.safe_text import class_name, clean
from lastword.event import Variable

MAX_NAMES = 50
MAX_TEXT = 200
FILTERED = "[filtered]"

# A module's frame has all its globals for locals, perhaps thousands; 50 shown ones are among the first 200 unless
# there are 150 names with double underscores.
_MAX_LOOKED_AT = 200


def _function_locals_type() -> type:
    """What a function's ``f_locals`` is: a dict up to Python 3.12, since 3.13 a proxy with the methods of a dict."""
    return type(sys._getframe().f_locals)


_FUNCTION_LOCALS: Any = _function_locals_type()


def frame_variables(frame: FrameType, is_sensitive: Callable[[str], bool]) -> list[Variable]:
    """The locals of ``frame`` in order: at most 50 names, 200 characters each, names like ``__this__`` left out.

    The value of a sensitive name is not touched. Of locals kept in a mapping of the application's own (the body of a
    class with a ``__prepare__``) nothing is taken: reading it would run its code.
    """
    variables: list[Variable] = []
    for name, value in _items(frame.f_locals):
        if type(name) is not str or (name.startswith("__") and name.endswith("__")):
            continue
        variables.append(_variable(name, value, is_sensitive))
        if len(variables) == MAX_NAMES:
            break
    return variables


def _items(local_names: Any) -> list[tuple[object, object]]:
    if issubclass(type(local_names), dict):
        try:
            return list(islice(dict.items(local_names), _MAX_LOOKED_AT))
        except RuntimeError:  # a finalizer or another thread has changed it in between; hardly twice
            return list(islice(dict.items(local_names), _MAX_LOOKED_AT))
    if type(local_names) is _FUNCTION_LOCALS:
        return list(islice(local_names.items(), _MAX_LOOKED_AT))
    return []


def _variable(name: str, value: object, is_sensitive: Callable[[str], bool]) -> Variable:
    shown_name = clean(name, MAX_TEXT)
    try:
        if is_sensitive(name):
            return shown_name, "filtered", FILTERED
    except Exception:  # a rule that cannot be applied withholds
        return shown_name, "filtered", FILTERED
    try:
        return shown_name, "repr", bounded_repr(value, MAX_TEXT)
    except Exception:
        return shown_name, "failed", class_name(type(value))
