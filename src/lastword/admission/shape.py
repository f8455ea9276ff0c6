"""The shape of an Event: makes an event out of what a hook returned, as far as that is possible without guessing.

A hook is written against one version of the event and takes away what it does not want to be known. So what is missing
or None counts as empty, a tag that is None as no tag, and what is neither a text nor a container (a number, a date) as
its text where a text belongs. All else that does not fit is an error: the flusher must be able to rely on every field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from numbers import Number
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from lastword.event import Level, level_from
from lastword.interruption import anything

#: Takes a value, gives it back as it has to be, None as an empty one; raises Misfit.
Fit = Callable[[Any], Any]


class Misfit(Exception):
    """Says where something does not fit, and what is wrong with it, without telling the value."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self._problem = problem
        self._place = ""

    def inside(self, key: Any) -> Misfit:
        self._place = f"[{key!r}]{self._place}"
        return self

    def __str__(self) -> str:
        return f"event{self._place} {self._problem}"


def shape_of(hint: Any) -> Fit:
    """What makes a value fit a type hint: a TypedDict, list, dict, tuple, Optional, Literal, scalar or Any."""
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
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, (dict, list, tuple, set, frozenset)):
        raise _wrong(value, "text")
    try:
        return str(value)
    except anything():
        raise _wrong(value, "text") from None


def _level(value: Any) -> Any:
    if value is None:
        raise Misfit(f"is none of {', '.join(get_args(Level))}")
    return level_from(value, "error", "an event of before_send")


def _scalar(kinds: Any, empty: Any, wanted: str) -> Fit:
    def fit(value: Any) -> Any:
        if isinstance(value, kinds):
            return value
        if value is None:
            return empty
        raise _wrong(value, wanted)

    return fit


def _number(value: Any) -> Any:
    """Also a Decimal or the like, and a time as a datetime."""
    if isinstance(value, (int, float)):
        return value
    if value is None:
        return 0.0
    try:
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, Number):
            return float(value)  # type: ignore[arg-type]
    except anything():
        raise _wrong(value, "number") from None
    raise _wrong(value, "number")


def _typed_dict(hints: dict[str, Any]) -> Fit:
    fields = [(name, shape_of(hint)) for name, hint in hints.items()]

    def fit(value: Any) -> Any:
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise _wrong(value, "dict")
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
        if not isinstance(value, (list, tuple, set, frozenset)):
            raise _wrong(value, "list")
        try:
            return [fit_item(one) for one in value]
        except Misfit:
            raise _located((index, fit_item, one) for index, one in enumerate(value)) from None

    return fit


def _dict(key: Any, item: Any) -> Fit:
    fit_key, fit_item = shape_of(key), shape_of(item)

    def fit(value: Any) -> Any:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise _wrong(value, "dict")
        kept = value if item is Any else {name: one for name, one in value.items() if one is not None}
        try:
            return {fit_key(name): fit_item(one) for name, one in kept.items()}
        except Misfit:
            raise _located((name, fit_item, one) for name, one in kept.items()) from None

    return fit


def _tuple(*items: Any) -> Fit:
    fits = [shape_of(item) for item in items]

    def fit(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise _wrong(value, "list")
        if len(value) != len(fits):
            raise Misfit(f"has {len(value)} items, not {len(fits)}")
        try:
            return tuple([fit_item(one) for fit_item, one in zip(fits, value)])
        except Misfit:
            raise _located((index, fits[index], one) for index, one in enumerate(value)) from None

    return fit


def _optional(item: Any, none: Any) -> Fit:
    fit_item = shape_of(item)
    return lambda value: None if value is None else fit_item(value)


def _literal(*allowed: Any) -> Fit:
    def fit(value: Any) -> Any:
        if value in allowed:
            return value
        raise Misfit(f"is none of {', '.join(allowed)}")

    return fit


def _located(parts: Iterable[tuple[Any, Fit, Any]]) -> Misfit:
    """The misfit of the first part that does not fit, under its key. Looked for only now, for nearly all events fit."""
    for key, fit, value in parts:
        try:
            fit(value)
        except Misfit as misfit:  # noqa: PERF203
            return misfit.inside(key)
    return Misfit("has a key that is no text")


_SCALARS: dict[Any, Fit] = {
    str: _text,
    int: _scalar(int, 0, "whole number"),
    float: _number,
    bool: _scalar(bool, False, "bool"),
}
_GENERICS: dict[Any, Callable[..., Fit]] = {
    list: _list,
    dict: _dict,
    tuple: _tuple,
    Union: _optional,
    Literal: _literal,
}
