"""The shape of an Event: makes an event out of what a hook returned, as far as that is possible without guessing.

A hook is written against one version of the event and takes away what it does not want to be known. So what is missing
or None counts as empty, and a number counts as a text where a text belongs. All else that does not fit is an error:
the flusher must be able to rely on every field.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

#: Takes a value, gives it back as it has to be, None as an empty one; raises Misfit.
Fit = Callable[[Any], Any]


class Misfit(Exception):
    """Says where something does not fit, and what is wrong with it, without telling the value."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self._problem = problem
        self._place = ""

    def inside(self, place: str) -> Misfit:
        self._place = place + self._place
        return self

    def __str__(self) -> str:
        return f"{self._place.lstrip('.') or 'it'} {self._problem}"


def shape_of(hint: Any) -> Fit:
    """What makes a value fit a type hint: a TypedDict, list, dict, tuple, Optional, Literal, scalar or Any."""
    if hint is Any:
        return lambda value: value
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
    if isinstance(value, (int, float)):
        return str(value)
    raise _wrong(value, "text")


def _scalar(kind: Any, wanted: str) -> Fit:
    def fit(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        if value is None:
            return 0 if kind is not bool else False
        raise _wrong(value, wanted)

    return fit


def _typed_dict(hints: dict[str, Any]) -> Fit:
    fields = [(name, shape_of(hint)) for name, hint in hints.items()]

    def fit(value: Any) -> Any:
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise _wrong(value, "dict")
        fitted = dict(value)
        for name, fit_field in fields:
            try:
                fitted[name] = fit_field(value.get(name))
            except Misfit as misfit:
                raise misfit.inside(f".{name}") from None
        return fitted

    return fit


def _list(item: Any) -> Fit:
    fit_item = shape_of(item)

    def fit(value: Any) -> Any:
        if value is None:
            return []
        if not isinstance(value, (list, tuple)):
            raise _wrong(value, "list")
        return [_fit_at(fit_item, index, one) for index, one in enumerate(value)]

    return fit


def _dict(key: Any, item: Any) -> Fit:
    fit_key, fit_item = shape_of(key), shape_of(item)

    def fit(value: Any) -> Any:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise _wrong(value, "dict")
        return {fit_key(name): _fit_at(fit_item, name, one) for name, one in value.items()}

    return fit


def _tuple(*items: Any) -> Fit:
    fits = [shape_of(item) for item in items]

    def fit(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise _wrong(value, "list")
        if len(value) != len(fits):
            raise Misfit(f"has {len(value)} items, not {len(fits)}")
        return tuple([_fit_at(fit_item, index, one) for index, (fit_item, one) in enumerate(zip(fits, value))])

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


def _fit_at(fit: Fit, place: Any, value: Any) -> Any:
    try:
        return fit(value)
    except Misfit as misfit:
        raise misfit.inside(f"[{place!r}]") from None


_SCALARS: dict[Any, Fit] = {
    str: _text,
    int: _scalar(int, "whole number"),
    float: _scalar((int, float), "number"),
    bool: _scalar(bool, "bool"),
}
_GENERICS: dict[Any, Callable[..., Fit]] = {
    list: _list,
    dict: _dict,
    tuple: _tuple,
    Union: _optional,
    Literal: _literal,
}
