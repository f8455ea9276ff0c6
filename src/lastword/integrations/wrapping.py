"""Wrap functions of a framework, each at most once."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

_MARK = "__lastword_wraps__"

Function = Callable[..., Any]


def wrap(owner: Any, name: str, around: Callable[[Function], Function]) -> None:
    """Replace ``owner.name`` by ``around(owner.name)``, unless that was done before.

    Raises AttributeError if ``owner`` has no ``name``.
    """
    original = getattr(owner, name)
    if getattr(original, _MARK, False):
        return
    wrapper = update_wrapper(around(original), original)
    setattr(wrapper, _MARK, True)
    setattr(owner, name, wrapper)
