"""The shape of an Event: makes an event out of a hook's result, as far as that is possible without guessing.

A hook is written against one version of the event and removes values that must not become known. So a missing field or
None counts as empty, a tag that is None as no tag, and where a text belongs, a value that is neither a text nor a
container (a number, a date) as its text. Everything else that does not fit, including a number out of range, is left
out and reported (``mended``), because the flusher must be able to rely on every field. The original value is never
restored: the hook may have meant to remove it.

Nothing here asks an object of the program for its type, because its class may raise.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import chain
from numbers import Number
from typing import Any, Literal, Optional, Union, get_args, get_origin, get_type_hints

from lastword import checked
from lastword.event import Level, level_from
from lastword.interruption import anything, failures

#: Takes a value and returns it in the required form, None as an empty value; raises Misfit.
Fit = Callable[[Any], Any]

#: Parts that are mended one by one; a later part that does not fit is removed with its whole field of the event.
_MOST_MENDED = 20
_MOST_PROBLEMS = 100

_LONGEST_KEY = 60


class Misfit(Exception):
    """Says which part does not fit, and why, without its value. ``instead`` may replace it; None: nothing may."""

    def __init__(self, problem: str, instead: Any = None) -> None:
        super().__init__(problem)
        self._problem = problem
        self.instead = instead
        self.path: list[Any] = []

    def inside(self, key: Any) -> Misfit:
        self.path.insert(0, key)
        return self

    def __str__(self) -> str:
        return f"event{''.join(map(_shown, self.path))} {self._problem}"


def _shown(key: Any) -> str:
    return f"[{key[:_LONGEST_KEY]!r}]" if type(key) is str else f"[{key}]" if type(key) is int else "[…]"


def mended(fit: Fit, value: dict[Any, Any], instead: dict[str, Any]) -> tuple[Any, list[str]]:
    """Return ``value`` made to fit, and a sentence for each part left out or replaced. Fields that do not fit get their
    value in ``instead``. ``value`` stays unchanged. Raises Misfit if it cannot be made to fit.
    """
    problems: list[str] = []
    fitted, misfit = _tried(fit, value)
    while misfit is not None:
        path = misfit.path
        if not path or len(problems) >= _MOST_PROBLEMS:
            raise misfit
        problems.append(str(misfit))
        if len(problems) > _MOST_MENDED:
            value = _with(value, path[:1], instead.get(path[0]))
        else:
            value = _with(
                value, path, instead.get(path[0]) if len(path) == 1 and path[0] in instead else misfit.instead
            )
        fitted, misfit = _tried(fit, value)
    return fitted, problems


def _tried(fit: Fit, value: Any) -> tuple[Any, Optional[Misfit]]:
    try:
        return fit(value), None
    except Misfit as misfit:
        return None, misfit


def _with(value: Any, path: list[Any], instead: Any) -> Any:
    """Return a copy with ``instead`` at this path. An ``instead`` of None removes that part or, if it is not there, the
    part that would contain it.
    """
    key, *rest = path
    if _is(value, dict):
        copy: dict[Any, Any] = dict(dict.items(value))
        inner = _with(copy[key], rest, instead) if rest and key in copy else instead
        copy.pop(key, None)
        return copy if inner is None else {**copy, key: inner}
    found = _listed(value)
    if found is None or not 0 <= key < len(found):
        return None
    inner = _with(found[key], rest, instead) if rest else instead
    return found[:key] + ([] if inner is None else [inner]) + found[key + 1 :]


def _is(value: Any, *kinds: type) -> bool:
    return issubclass(type(value), kinds)


def _listed(value: Any) -> Any:
    """Return the items of a list, tuple or set, bypassing its own class's ``__iter__``; None for any other value."""
    for kind in (list, tuple, set, frozenset):
        if _is(value, kind):
            return list(kind.__iter__(value))
    return None


def shape_of(hint: Any) -> Fit:
    """Return the Fit for a type hint: a TypedDict, list, dict, tuple, Optional, Literal, scalar or Any."""
    if hint is Any:
        return lambda value: value
    if hint == Level:
        return _level
    if hint in _SCALARS:
        return _SCALARS[hint]
    if hasattr(hint, "__required_keys__"):
        return _typed_dict(get_type_hints(hint))
    build = _GENERICS[get_origin(hint)]
    return build(*get_args(hint))


def _wrong(value: Any, wanted: str) -> Misfit:
    return Misfit("is missing" if value is None else f"is a {type(value).__name__}, not a {wanted}")


def _text(value: Any) -> Any:
    if type(value) is str:
        return value
    if value is None:
        return ""
    if _is(value, str):
        return str.__str__(value)
    if _is(value, dict, list, tuple, set, frozenset):
        raise _wrong(value, "text")
    try:
        return "".join((str(value),))  # a plain str, not a subclass from the program
    except anything():
        raise _wrong(value, "text") from None


def _level(value: Any) -> Any:
    if value is None:
        raise Misfit(f"is none of {', '.join(get_args(Level))}", instead="error")
    return level_from(value, "error", "an event of before_send")


def _bool(value: Any) -> Any:
    if value is None or type(value) is bool:
        return bool(value)
    raise _wrong(value, "bool")


def _integer(value: Any) -> Any:
    """Return an integer; also accepts values with ``__index__``, for example numpy's."""
    if value is None:
        return 0
    try:
        number = value if type(value) is int else int(operator.index(value))
    except anything():
        raise _wrong(value, "whole number") from None
    if not -checked.LARGEST <= number <= checked.LARGEST:
        raise Misfit("is out of range")
    return number


def _number(value: Any) -> Any:
    """Return seconds, 0 or more; also accepts a Decimal or the like, and a time as a datetime."""
    if value is None:
        return 0.0
    try:
        number = value
        if _is(value, datetime):
            number = value.timestamp()
        elif type(value) not in (float, int, bool) and _is(value, Number):
            number = float(value)
    except anything():
        raise _wrong(value, "number") from None
    if type(number) not in (float, int):
        raise _wrong(value, "number")
    try:
        return checked.number(number, 0, checked.LATEST)
    except failures(ValueError):
        raise Misfit("is out of range") from None


def _as_dict(value: Any) -> dict[Any, Any]:
    if type(value) is dict:
        return value
    if _is(value, dict):
        return dict(dict.items(value))  # `dict.copy` calls a class's own `keys`
    try:
        if _is(value, Mapping):
            return dict(value)
    except anything():
        pass
    raise _wrong(value, "dict")


def _typed_dict(hints: dict[str, Any]) -> Fit:
    fields = [(name, shape_of(hint)) for name, hint in hints.items()]

    def fit(value: Any) -> Any:
        value = {} if value is None else _as_dict(value)
        found = value.get
        try:
            return {**value, **{name: fit_field(found(name)) for name, fit_field in fields}}
        except Misfit:
            raise _located((name, fit_field, found(name)) for name, fit_field in fields) from None

    return fit


def _list(item: Any) -> Fit:
    fit_item = shape_of(item)

    def fit(value: Any) -> Any:
        if value is None:
            return []
        items = _listed(value)
        if items is None:
            raise _wrong(value, "list")
        try:
            return [fit_item(one) for one in items]
        except Misfit:
            raise _located((index, fit_item, one) for index, one in enumerate(items)) from None

    return fit


def _dict(key: Any, item: Any) -> Fit:
    fit_key, fit_item = shape_of(key), shape_of(item)

    def fit(value: Any) -> Any:
        if value is None:
            return {}
        value = _as_dict(value)
        kept = value if item is Any else {name: one for name, one in value.items() if one is not None}
        try:
            return {fit_key(name): fit_item(one) for name, one in kept.items()}
        except Misfit:
            keys = ((name, lambda _, name=name: fit_key(name), None) for name in kept)
            raise _located(chain(((name, fit_item, one) for name, one in kept.items()), keys)) from None

    return fit


def _tuple(*items: Any) -> Fit:
    fits = [shape_of(item) for item in items]

    def fit(value: Any) -> Any:
        items = _listed(value) if _is(value, list, tuple) else None
        if items is None:
            raise _wrong(value, "list")
        if len(items) != len(fits):
            raise Misfit(f"has {len(items)} items, not {len(fits)}")
        try:
            return tuple([fit_item(one) for fit_item, one in zip(fits, items)])
        except Misfit:
            raise _located((index, fits[index], one) for index, one in enumerate(items)) from None

    return fit


def _optional(item: Any, none: Any) -> Fit:
    fit_item = shape_of(item)
    return lambda value: None if value is None else fit_item(value)


def _literal(*allowed: Any) -> Fit:
    def fit(value: Any) -> Any:
        if type(value) is str and value in allowed:
            return value
        raise Misfit(f"is none of {', '.join(allowed)}")

    return fit


def _located(parts: Iterable[tuple[Any, Fit, Any]]) -> Misfit:
    """Return the misfit of the first part that does not fit, with its key. Called only on failure: nearly all fit."""
    for key, fit, value in parts:
        try:
            fit(value)
        except Misfit as misfit:  # noqa: PERF203
            return misfit.inside(key)
    return Misfit("does not stay what it is")


_SCALARS: dict[Any, Fit] = {str: _text, int: _integer, float: _number, bool: _bool}
_GENERICS: dict[Any, Callable[..., Fit]] = {
    list: _list,
    dict: _dict,
    tuple: _tuple,
    Union: _optional,
    Literal: _literal,
}
