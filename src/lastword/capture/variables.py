"""The local variables of a frame, as texts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import islice
from types import CodeType, FrameType
from typing import Any, NamedTuple, Optional

from lastword.capture.bounded_repr import MAX_TEXT, BoundedRepr
from lastword.capture.own_repr import OwnReprs
from lastword.capture.safe_text import class_name, clean
from lastword.capture.source import CO_OPTIMIZED
from lastword.event import FILTERED, Mark
from lastword.event_json import encode_text
from lastword.interruption import anything, failures

MAX_NAMES = 50

# A module's frame has all its globals for locals, perhaps thousands; 50 shown ones are among the first 200 unless
# there are 150 names with double underscores.
_MAX_LOOKED_AT = 200

_MAX_KNOWN = 2048

#: Who refers to the dict that ``f_locals`` of a function has made, up to Python 3.12, and that stays in the frame: the
#: frame, our variable, and the argument of ``getrefcount``. Any more: the program, by ``locals()``, or a debugger.
_REFERENCES = 3


def _function_locals_type() -> type:
    """What a function's ``f_locals`` is: a dict up to Python 3.12, since 3.13 a proxy with the methods of a dict."""
    return type(sys._getframe().f_locals)


_FUNCTION_LOCALS: Any = _function_locals_type()

#: None where no dict stays, and on PyPy, which counts no references: there nothing goes before garbage is collected.
_getrefcount: Optional[Callable[[object], int]] = (
    getattr(sys, "getrefcount", None) if _FUNCTION_LOCALS is dict else None
)


#: The variables of one frame as JSON, and those of their texts in which a secret could stand.
Variables = tuple[str, list[str]]

NO_VARIABLES: Variables = ("[]", [])


class _Names(NamedTuple):
    """What of a frame's names is shown, and how: the same each time that its function runs."""

    taken: list[int]  # their places among the locals
    shown: list[str]
    marks: list[Mark]
    is_all: bool  # every local is taken, and shown by its repr
    json: str  # of all of them, with a %s for each text


class VariableReader:
    """Reads the variables of frames; remembers their names, which come again and again."""

    def __init__(self, is_sensitive: Callable[[str], bool]) -> None:
        self._is_sensitive = is_sensitive
        self._repr = BoundedRepr(is_sensitive)
        self._known: dict[tuple[str, ...], _Names] = {}

    def read(
        self, frame: FrameType, own_reprs: Optional[OwnReprs] = None, removable: Optional[frozenset[str]] = None
    ) -> Variables:
        """The locals of ``frame`` in order: at most 50 names, 200 characters each, names like ``__this__`` left out.

        The value of a sensitive name is not touched. Of locals kept in a mapping of the application's own (the body of
        a class with a ``__prepare__``) nothing is taken: reading it would run its code. ``own_reprs``: of the objects
        that are shown by their own ``__repr__``, if any are; what containers hold is not asked. ``removable``: the
        variables that the frame's code has places for (``names_in``); None where ``is_traced``.
        """
        keys, values = _locals_of(frame, removable)
        names = self._known.get(keys) or self._learn(keys)
        if names.is_all and own_reprs is None:
            try:
                texts, may_have_secrets = self._repr.of_each(values)
                return names.json % tuple(map(encode_text, texts)), may_have_secrets
            except failures():
                pass
        return self._shown(names, values if names.is_all else [values[place] for place in names.taken], own_reprs)

    def _learn(self, keys: tuple[str, ...]) -> _Names:
        taken = [place for place, key in enumerate(keys) if not (key.startswith("__") and key.endswith("__"))]
        del taken[MAX_NAMES:]
        marks: list[Mark] = ["filtered" if self._is_secret(keys[place]) else "repr" for place in taken]
        shown = [clean(keys[place], MAX_TEXT) for place in taken]
        is_all = len(taken) == len(keys) and "filtered" not in marks
        names = _Names(taken, shown, marks, is_all, json=_template(shown, marks))
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[keys] = names
        return names

    def _is_secret(self, key: str) -> bool:
        try:
            return self._is_sensitive(key)
        except failures():  # a rule that cannot be applied withholds
            return True

    def _shown(self, names: _Names, values: Sequence[object], own_reprs: Optional[OwnReprs]) -> Variables:
        marks, template = names.marks, names.json
        try:
            if own_reprs is not None:
                raise ValueError("each has to be looked at for itself")
            shown, may_have_secrets = self._repr.of_each(
                [value for mark, value in zip(marks, values) if mark == "repr"]
            )
            remaining = iter(shown)
            texts = [next(remaining) if mark == "repr" else FILTERED for mark in marks]
        except failures():
            marks = marks.copy()
            texts = [self._text_and_mark(place, value, marks, own_reprs) for place, value in enumerate(values)]
            may_have_secrets, template = texts, _template(names.shown, marks)
        return template % tuple(map(encode_text, texts)), may_have_secrets

    def _text_and_mark(self, place: int, value: object, marks: list[Mark], own_reprs: Optional[OwnReprs]) -> str:
        """One of the texts, where not all can be shown alike; marks what cannot be shown."""
        if marks[place] == "filtered":
            return FILTERED
        try:
            own = own_reprs.of(value, MAX_TEXT) if own_reprs is not None else None
            return self._repr.of(value, MAX_TEXT) if own is None else own
        except anything():
            marks[place] = "failed"
            return class_name(type(value))


def _template(shown: list[str], marks: list[Mark]) -> str:
    rows = [f'[{encode_text(name)},"{mark}",'.replace("%", "%%") + "%s]" for name, mark in zip(shown, marks)]
    return f"[{','.join(rows)}]"


def names_in(code: CodeType) -> frozenset[str]:
    """Those of the variables that the code of a function has places for."""
    return frozenset(code.co_varnames + code.co_cellvars + code.co_freevars)


def is_traced() -> bool:
    """Whether this thread may be in a trace function, behind which Python puts the values that are in the dict of
    ``f_locals`` back into the variables, up to 3.12: what is not in it any more, the program would miss.
    """
    return sys.gettrace() is not None or sys.getprofile() is not None


def _locals_of(frame: FrameType, removable: Optional[frozenset[str]]) -> tuple[tuple[str, ...], Sequence[object]]:
    local_names: Any = frame.f_locals
    if frame.f_code.co_flags & CO_OPTIMIZED and type(local_names) is _FUNCTION_LOCALS:
        # A copy, since another thread that asks for the same may change it. A function's names are plain texts.
        copied = local_names.copy()
        keys = tuple(copied)
        if _getrefcount is not None:
            if _getrefcount(local_names) > _REFERENCES:
                _untie(local_names, copied)
            elif removable is not None and frame.f_trace is None:
                _empty(local_names, keys, removable)
        local_names = copied
        if len(keys) <= _MAX_LOOKED_AT:
            return keys, [*copied.values()]
    items = [item for item in _items(local_names) if type(item[0]) is str]
    keys, values = zip(*items) if items else ((), ())
    return keys, values


def _empty(local_names: dict[str, object], keys: tuple[str, ...], removable: frozenset[str]) -> None:
    """Take out of the dict that stays in a frame what reading it has put there.

    Left, it keeps all variables alive as long as the frame, and the frame, where a variable holds the exception, until
    garbage is collected. Other names, which ``exec`` has put there, exist nowhere else. Whoever asks next finds it
    filled again.
    """
    if removable.issuperset(keys):
        local_names.clear()
        return
    for name in removable:
        local_names.pop(name, None)


def _untie(local_names: dict[str, object], copied: dict[str, object]) -> None:
    """A dict that the program has from ``locals()`` keeps what it has, and what reading it has brought up to date; but
    not itself, by the variable that it is in, or it would be there until garbage is collected.
    """
    for name, value in copied.items():
        if value is local_names:
            local_names.pop(name, None)


def _items(local_names: Any) -> list[tuple[Any, object]]:
    if issubclass(type(local_names), dict):
        try:
            return list(islice(dict.items(local_names), _MAX_LOOKED_AT))
        except failures(RuntimeError):  # a finalizer or another thread has changed it in between; hardly twice
            return list(islice(dict.items(local_names), _MAX_LOOKED_AT))
    return []
