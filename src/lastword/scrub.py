"""Scrubbing: an event without the values whose names say that they are secret. Pure: no state, no clock, no file."""

from __future__ import annotations

import re
from typing import Any

from lastword.event import Event

#: What stands for a value that was taken out.
FILTERED = "[filtered]"

_SENSITIVE = re.compile(
    "password|passwd|secret|token|api_key|apikey|access_key|auth|credential|private", re.IGNORECASE
).search

_MAX_NAMES_KNOWN = 4096
_MAX_KNOWN_LENGTH = 200

# Not functools.lru_cache, which takes a lock on PyPy. A dict needs none: each step is atomic, and an answer that is
# lost is worked out again.
_known: dict[str, bool] = {}


def is_sensitive(name: str) -> bool:
    """Whether a value of that name is a secret: ``API_TOKEN`` is, and so is ``author``, for it contains ``auth``."""
    answer = _known.get(name)
    if answer is None:
        answer = _SENSITIVE(name) is not None
        if len(name) <= _MAX_KNOWN_LENGTH:
            if len(_known) >= _MAX_NAMES_KNOWN:
                _known.clear()
            _known[name] = answer
    return answer


def scrub(event: Event) -> Event:
    """A copy of ``event`` in which what has a sensitive name reads ``[filtered]``: tags, and items at any depth of the
    user, of ``extra``, of the contexts and of the breadcrumbs' data; of a context with such a name every item. The
    variables of frames have been through ``is_sensitive`` at capture.
    """
    scrubbed = event.copy()
    scrubbed["tags"] = {name: FILTERED if is_sensitive(name) else text for name, text in event["tags"].items()}
    user = event["user"]
    scrubbed["user"] = None if user is None else _scrub_dict(user)
    scrubbed["extra"] = _scrub_dict(event["extra"])
    scrubbed["contexts"] = {name: _scrub_context(name, items) for name, items in event["contexts"].items()}
    scrubbed["breadcrumbs"] = [
        {**crumb, "data": _scrub_dict(crumb["data"])} if crumb["data"] else crumb for crumb in event["breadcrumbs"]
    ]
    return scrubbed


def _scrub_context(name: str, items: dict[str, Any]) -> dict[str, Any]:
    return dict.fromkeys(items, FILTERED) if is_sensitive(name) else _scrub_dict(items)


def _scrub_dict(items: dict[str, Any]) -> dict[str, Any]:
    return {name: FILTERED if is_sensitive(name) else _scrub_value(value) for name, value in items.items()}


def _scrub_value(value: Any) -> Any:
    if isinstance(value, dict):
        return _scrub_dict(value)
    if isinstance(value, list):
        return [_scrub_value(item) for item in value]
    return value
