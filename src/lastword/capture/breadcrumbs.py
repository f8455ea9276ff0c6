"""Breadcrumbs: what happened before, in the context that captures.

The trail of a context is a tuple that is replaced, never changed: a copied context or a forked child starts with the
breadcrumbs that were there, and those that either adds are its own. Copying 100 references costs half a microsecond,
less than any structure that would share the rest.
"""

from __future__ import annotations

import _thread
import gc
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from time import time
from typing import Any, Optional

from lastword import diagnostics
from lastword.capture.json_copy import mapping_json, text_of
from lastword.capture.room import json_cost
from lastword.capture.safe_text import describe
from lastword.event import Breadcrumb, Level, known_level

MAX_BREADCRUMBS = 100
MAX_MESSAGE = 1024  # characters
MAX_CATEGORY = 200  # characters
MAX_TYPE = 16  # characters
MAX_DATA = 4 * 1024  # characters of JSON
MAX_TRAIL = 64 * 1024  # characters of JSON at their most, all of an event's breadcrumbs together

_FIXED_PART = 140  # characters of JSON for the keys, the time and the level


#: (timestamp, type, category, level, message, data, size): data is JSON, empty for none; size is the most characters of
#: JSON that all of it can take. A plain tuple, for making one with names takes a sixth of the time of an addition.
_Crumb = tuple[float, str, str, Level, str, str, int]

trail: ContextVar[tuple[_Crumb, ...]] = ContextVar("lastword_breadcrumbs", default=())

#: Where garbage is collected in the midst of ``ContextVar.set`` (see ``nesting``).
_COLLECTS_ANYWHERE = sys.implementation.name == "cpython" and sys.version_info < (3, 12)

_collecting = 0  # the thread that collects garbage at this moment


def _watch(phase: str, info: object) -> None:
    global _collecting
    _collecting = _thread.get_ident() if phase == "start" else 0


def watch_collections() -> None:
    """From now on what finalizers log while garbage is collected is not kept, where that could crash the program."""
    if _COLLECTS_ANYWHERE and _watch not in gc.callbacks:
        gc.callbacks.append(_watch)


def unwatch_collections() -> None:
    """The opposite."""
    global _collecting
    _collecting = 0
    if _watch in gc.callbacks:
        gc.callbacks.remove(_watch)


def add_breadcrumb(
    message: object = "",
    *,
    category: Optional[str] = None,
    level: Level = "info",
    data: Optional[Mapping[str, Any]] = None,
    type: str = "default",
) -> None:
    """Remember something that happened, for the events that this context captures later. Never raises.

    Before Python 3.12 nothing is kept that comes from a finalizer while garbage is collected; which context it would
    be in is chance anyway.

    The last 100 of a context are kept; an event carries those of them, the newest, that surely fit into
    64 KiB of JSON.

    Args:
        message: what happened; at most 1,024 characters are kept.
        category: where, such as ``auth`` or the name of a logger; at most 200 characters are kept.
        level: fatal, error, warning, info or debug; any other counts as info.
        data: more about it; bounded as ``set_context`` does, and to 4 KiB of JSON.
        type: such as ``http``, ``navigation``, ``log`` or ``user``, for trackers that show these differently.
    """
    # Nothing that waits is told from here: a logging handler may be what calls.
    if _collecting and _collecting == _thread.get_ident():
        return
    try:
        text = text_of(message, MAX_MESSAGE)
        label = "" if category is None else text_of(category, MAX_CATEGORY)
        about = "" if data is None else mapping_json(data, MAX_DATA)
        kind = text_of(type, MAX_TYPE)
        size = _FIXED_PART + json_cost(text + label + kind) + len(about)
        crumb = (time(), kind, label, known_level(level, "info"), text, about, size)
        trail.set(trail.get()[1 - MAX_BREADCRUMBS :] + (crumb,))  # noqa: RUF005 (what it proposes takes longer)
    except Exception as error:
        with suppress(Exception):  # there may be no room on the stack even for that
            diagnostics.note("add_breadcrumb", f"a breadcrumb was not kept: {describe(error)}")


def current() -> list[Breadcrumb]:
    """The breadcrumbs of the current context, the oldest first; the caller's to keep and to change."""
    kept = _newest_that_fit(trail.get())
    if not kept:
        return []
    about = "[" + ",".join([data or "{}" for _, _, _, _, _, data, _ in kept]) + "]"
    read = json.loads(about)  # at once, in a third of the time
    return [
        {"timestamp": timestamp, "type": type, "category": category, "level": level, "message": message, "data": data}
        for (timestamp, type, category, level, message, _, _), data in zip(kept, read)
    ]


def _newest_that_fit(crumbs: tuple[_Crumb, ...]) -> tuple[_Crumb, ...]:
    left = MAX_TRAIL
    for count, crumb in enumerate(reversed(crumbs)):
        left -= crumb[-1]
        if left < 0:
            return crumbs[len(crumbs) - count :]
    return crumbs
