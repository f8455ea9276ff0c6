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

# The locals of a module's frame are all its globals, perhaps thousands; the 50 to show are among the first 200 unless
# 150 of those are names with double underscores.
_MAX_LOOKED_AT = 200

_MAX_KNOWN = 2048

#: References to the dict that ``f_locals`` makes for a function and that stays in the frame, up to Python 3.12: by the
#: frame, our variable, and the argument of ``getrefcount``. With more, the program (``locals()``) or a debugger has it.
_REFERENCES = 3


#: The type of a function's ``f_locals``: dict up to Python 3.12, then a proxy with a dict's methods.
_FUNCTION_LOCALS: Any = (lambda: type(sys._getframe().f_locals))()

#: None if no dict stays, and on PyPy, which counts no references: it frees nothing before garbage collection anyway.
_getrefcount: Optional[Callable[[object], int]] = (
    getattr(sys, "getrefcount", None) if _FUNCTION_LOCALS is dict else None
)


#: The variables of one frame as JSON, and those of their texts that could contain a secret.
Variables = tuple[str, list[str]]

NO_VARIABLES: Variables = ("[]", [])


class _Names(NamedTuple):
    """Which names of a frame are shown, and how: the same each time its function runs."""

    taken: list[int]  # their positions among the locals
    shown: list[str]
    marks: list[Mark]
    is_all: bool  # every local is taken and shown by its repr
    json: str  # of all shown names, with a %s for each text


class VariableReader:
    """Reads the variables of frames; remembers their names, because the same frames recur."""

    def __init__(self, is_sensitive: Callable[[str], bool]) -> None:
        self._is_sensitive = is_sensitive
        self._repr = BoundedRepr(is_sensitive)
        self._known: dict[tuple[str, ...], _Names] = {}

    def read(
        self, frame: FrameType, own_reprs: Optional[OwnReprs] = None, removable: Optional[frozenset[str]] = None
    ) -> Variables:
        """Return the locals of ``frame`` in order: at most 50 names, 200 characters each, no names like ``__this__``.

        The value of a sensitive name is not read. Locals in an application's own mapping (the body of a class with a
        ``__prepare__``) are left out: reading them would run its code.

        ``own_reprs`` shows objects by their own ``__repr__``, but not the members of containers. ``removable``: the
        variables of the frame's code (``names_in``), which may be removed from the dict of ``f_locals``; None if
        ``is_traced``.
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
        except failures():  # if the rule fails, the value is withheld
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
        """Return the text of one value, when values are read one by one; mark a value that cannot be shown."""
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
    """Return the names of a function's variables: local, cell and free."""
    return frozenset(code.co_varnames + code.co_cellvars + code.co_freevars)


def is_traced() -> bool:
    """Return whether this thread may be in a trace function.

    After a trace function, Python up to 3.12 copies the dict of ``f_locals`` back into the variables: the program would
    lose the variables removed from the dict.
    """
    return sys.gettrace() is not None or sys.getprofile() is not None


def _locals_of(frame: FrameType, removable: Optional[frozenset[str]]) -> tuple[tuple[str, ...], Sequence[object]]:
    local_names: Any = frame.f_locals
    if frame.f_code.co_flags & CO_OPTIMIZED and type(local_names) is _FUNCTION_LOCALS:
        # A copy, because another thread that reads ``f_locals`` may change it. A function's names are plain texts.
        copied = local_names.copy()
        keys = tuple(copied)
        if _getrefcount is not None:
            if _getrefcount(local_names) > _REFERENCES:
                _remove_itself(local_names, copied)
            elif removable is not None and frame.f_trace is None:
                _remove_variables(local_names, keys, removable)
        local_names = copied
        if len(keys) <= _MAX_LOOKED_AT:
            return keys, [*copied.values()]
    items = [item for item in _items(local_names) if type(item[0]) is str]
    keys, values = zip(*items) if items else ((), ())
    return keys, values


def _remove_variables(local_names: dict[str, object], keys: tuple[str, ...], removable: frozenset[str]) -> None:
    """Remove the variables that reading ``f_locals`` put into the dict that stays in the frame.

    Otherwise the dict keeps all variables alive as long as the frame, and, if a variable holds the exception, the frame
    until garbage collection. Other names, put there by ``exec``, exist nowhere else and stay. The next read of
    ``f_locals`` fills the dict again.
    """
    if removable.issuperset(keys):
        local_names.clear()
        return
    for name in removable:
        local_names.pop(name, None)


def _remove_itself(local_names: dict[str, object], copied: dict[str, object]) -> None:
    """Remove from a dict that the program got from ``locals()`` the variable that holds the dict itself.

    With that reference to itself it would live until garbage collection. It keeps its other entries, with the values
    that reading ``f_locals`` updated.
    """
    for name, value in copied.items():
        if value is local_names:
            local_names.pop(name, None)


def _items(local_names: Any) -> list[tuple[Any, object]]:
    if issubclass(type(local_names), dict):
        try:
            return list(islice(dict.items(local_names), _MAX_LOOKED_AT))
        except failures(RuntimeError):  # a finalizer or another thread changed it meanwhile; hardly twice
            return list(islice(dict.items(local_names), _MAX_LOOKED_AT))
    return []
