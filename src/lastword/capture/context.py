"""Who and what the current work is about: the user and the tags that every event carries.

They live in context variables, so each thread, each asyncio task and each greenlet has its own; a forked child starts
with those of the code that forked. What is set is made JSON-safe, bounded and copied at once: a later change of the
caller's object does not show, and a capture has nothing left to fail at.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from itertools import islice
from typing import Any, Optional

from lastword import diagnostics
from lastword.capture.safe_text import class_path, clean, describe

MAX_USER = 16 * 1024  # characters of JSON
MAX_TAGS = 50
MAX_KEY = 200
MAX_TAG = 200
MAX_TEXT = 1024
MAX_ITEMS = 50
MAX_DEPTH = 3
_LEFT_OUT = "(left out)"

_user: ContextVar[Optional[str]] = ContextVar("lastword_user", default=None)  # as JSON, so that it cannot change
_tags: ContextVar[Mapping[str, str]] = ContextVar("lastword_tags")  # replaced, never changed


def set_user(user: Any) -> None:
    """Name the user of the current context; None forgets.

    Args:
        user: a mapping such as ``{"id": "42", "email": …}``, or just an id. Texts are kept to 1,024 characters, 50
            items on each of 3 levels, and what goes beyond 16 KiB of JSON is replaced by ``(left out)``. Objects are
            kept as their ``str``.

    Never raises: a mapping that cannot be read counts as None, for the previous user would be wrong.
    """
    try:
        _user.set(None)
        if user is not None:
            _user.set(_user_json(user if isinstance(user, Mapping) else {"id": user}))
    except Exception as error:
        diagnostics.note("set_user", f"the user was not set: reading it raised {describe(error)}")


def set_tag(key: str, value: object) -> None:
    """Tag the events of the current context; None removes the tag.

    Key and value become texts of at most 200 characters; of more than 50 tags the later ones are not kept. Never
    raises.
    """
    try:
        tags = dict(_tags.get({}))
        name = _text(key, MAX_KEY)
        if value is None:
            tags.pop(name, None)
        elif name in tags or len(tags) < MAX_TAGS:
            tags[name] = _text(value, MAX_TAG)
        else:
            diagnostics.note("set_tag", f"the tag {name!r} was not set: there are {MAX_TAGS} tags already")
        _tags.set(tags)
    except Exception as error:
        diagnostics.note("set_tag", f"a tag was not set: {describe(error)}")


def current() -> tuple[Optional[dict[str, Any]], dict[str, str]]:
    """The user, or None, and the tags of the current context; the caller's to keep and to change."""
    user = _user.get()
    return (None if user is None else json.loads(user)), dict(_tags.get({}))


def add_breadcrumb(
    message: str, *, category: Optional[str] = None, level: str = "info", data: Any = None, type: str = "default"
) -> None:
    """Stub: keeps nothing."""


def _user_json(user: Mapping[Any, Any]) -> str:
    pieces: list[str] = []
    left = MAX_USER
    for key, value in _items(user):
        name = json.dumps(key)
        piece = json.dumps(_json_safe(value, 1), allow_nan=False)
        if len(name) + len(piece) > left:
            piece = json.dumps(_LEFT_OUT)
        if len(name) + len(piece) > left:
            break
        left -= len(name) + len(piece) + len(": , ")
        pieces.append(f"{name}: {piece}")
    return "{" + ", ".join(pieces) + "}"


def _items(mapping: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    return ((_text(key, MAX_KEY), mapping[key]) for key in islice(mapping, MAX_ITEMS))


def _json_safe(value: Any, depth: int) -> Any:
    kind = type(value)
    if value is None or kind is bool or (kind is int and value.bit_length() <= 64):
        return value
    if kind is float and math.isfinite(value):
        return value
    is_list = issubclass(kind, (list, tuple, set, frozenset))
    if not is_list and not issubclass(kind, Mapping):
        return _text(value, MAX_TEXT)
    if depth >= MAX_DEPTH:
        return _LEFT_OUT
    if is_list:
        return [_json_safe(item, depth + 1) for item in islice(value, MAX_ITEMS)]
    return {key: _json_safe(item, depth + 1) for key, item in _items(value)}


def _text(value: object, limit: int) -> str:
    """The caller has handed the value over to be shown, so its own ``str`` may run: a UUID, a Decimal, a lazy text."""
    try:
        return clean(str(value), limit)
    except Exception:
        return f"<unprintable {class_path(type(value))}>"
