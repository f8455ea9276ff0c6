"""Show objects by their own ``__repr__`` where the program allows it (``repr_of``): application code runs here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Optional, Union

from lastword.capture.bounded_repr import is_shown_by_content
from lastword.capture.safe_text import class_name, class_path, clean, exact
from lastword.interruption import anything
from lastword.nesting import Nesting

#: Seconds that these reprs may take for one event; later objects are shown by class and address. A running repr cannot
#: be stopped.
TIME_LIMIT = 0.010

#: Characters of a repr that are scrubbed, before it is cut to its final length.
_MAX_LOOKED_AT = 8192

_ancestors_of = type.__dict__["__mro__"].__get__

_inside = Nesting()


class OwnReprs:
    """The reprs of one event. Used only if the program named a class."""

    def __init__(self, allowed: tuple[Union[type, str], ...], scrub_text: Callable[[str], str]) -> None:
        self._allowed = allowed
        self._scrub_text = scrub_text
        self._left = TIME_LIMIT

    @_inside.counts
    def of(self, value: object, limit: int) -> Optional[str]:
        """Return the scrubbed repr of ``value`` in at most ``limit`` characters; None if not allowed or if it raises.

        It is not allowed either in a capture made while a ``__repr__`` called from here is running.
        """
        if self._left <= 0 or is_shown_by_content(type(value)) or _inside.level or not self._allows(type(value)):
            return None
        _inside.level = 1
        began = time.perf_counter()
        try:
            return clean(self._scrub_text(clean(repr(value), _MAX_LOOKED_AT)), limit)
        except anything():
            return None
        finally:
            self._left -= time.perf_counter() - began
            _inside.level = 0

    def _allows(self, kind: type) -> bool:
        ancestors: tuple[Any, ...] = _ancestors_of(kind)
        for one in self._allowed:
            for ancestor in ancestors:
                if ancestor is one if type(one) is not str else one in (class_name(ancestor), class_path(ancestor)):
                    return True
        return False


#: Seconds that plain reprs may take for one event: a program that asks for them has always paid for them.
PLAIN_TIME_LIMIT = 0.250


class PlainReprs(OwnReprs):
    """Shows every value by its ``repr``, cut at its end without a mark, until ``PLAIN_TIME_LIMIT`` is used up.

    A value whose repr raises is shown by its type alone.
    """

    def __init__(self) -> None:
        super().__init__((), str)
        self._left = PLAIN_TIME_LIMIT

    @_inside.counts
    def of(self, value: object, limit: int) -> Optional[str]:
        """Return the repr of ``value``, cut to ``limit`` characters. Raises any exception of the repr."""
        if self._left <= 0 or _inside.level:
            return None
        _inside.level = 1
        began = time.perf_counter()
        try:
            return _head(repr(value), limit)
        finally:
            self._left -= time.perf_counter() - began
            _inside.level = 0


def _head(text: str, limit: int) -> str:
    return clean(exact(text)[:limit], 6 * limit)[:limit]  # a lone surrogate takes six characters to show
