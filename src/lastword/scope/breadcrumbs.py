"""Breadcrumbs: what happened before the capture, in the same context.

The trail of a context is a tuple that is replaced, never changed: a copied context or a forked child starts with the
breadcrumbs that were there, and from then on each adds its own. Copying 100 references takes about 1 of the 9 µs of an
addition; a structure that shares its parts would save this, but keep old breadcrumbs in memory.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from time import time
from typing import Any, Optional

from lastword import diagnostics
from lastword.capture.json_copy import mapping_json, text_of
from lastword.capture.safe_text import describe
from lastword.event import Breadcrumb, LevelLike, level_from
from lastword.event_json import EncodedList, encode_text
from lastword.interruption import anything

MAX_BREADCRUMBS = 100
MAX_MESSAGE = 1024  # characters
MAX_CATEGORY = 200  # characters
MAX_TYPE = 16  # characters
MAX_DATA = 4 * 1024  # characters of JSON
MAX_TRAIL = 64 * 1024  # characters of JSON, all of an event's breadcrumbs together


class Block:
    """A ``with new_scope()`` block. Values that are set inside refer to it.

    Attributes:
        is_closed: whether the block was left. Values set in it may remain in some context, where they do not count any
            more; readers then use the values from outside the block.
        outside: the trail before the block.
        scope: the other values set before the block.
    """

    __slots__ = ("is_closed", "outside", "scope")

    def __init__(self, outside: Trail, scope: Any) -> None:
        self.is_closed = False
        self.outside = outside
        self.scope = scope


#: The breadcrumbs, and the block in which the last one was added. Each is the JSON of a Breadcrumb, so it cannot
#: change, has a known size, and goes into an event unchanged.
Trail = tuple[Optional[Block], tuple[str, ...]]

NO_TRAIL: Trail = (None, ())

trail: ContextVar[Trail] = ContextVar("lastword_breadcrumbs", default=NO_TRAIL)

#: Whether garbage may be collected within ``ContextVar.set`` (see ``nesting``).
_COLLECTS_ANYWHERE = sys.implementation.name == "cpython" and sys.version_info < (3, 12)

# The phases of garbage collection, the latest one last. Two C callables record them: in a Python function a signal
# handler could run, and the collector would swallow its exception, for example KeyboardInterrupt.
_phases: dict[str, object] = {}
_WATCHERS = (_phases.pop, _phases.setdefault)


def watch_collections() -> None:
    """Stop keeping breadcrumbs during garbage collections, on Pythons where keeping them could crash the program."""
    if _COLLECTS_ANYWHERE and _WATCHERS[0] not in gc.callbacks:
        gc.callbacks.extend(_WATCHERS)


def unwatch_collections() -> None:
    """Undo ``watch_collections``."""
    callbacks: list[Any] = getattr(gc, "callbacks", [])  # PyPy has none
    for watcher in _WATCHERS:
        if watcher in callbacks:
            callbacks.remove(watcher)
    _phases.clear()


def is_collecting() -> bool:
    """Return whether garbage is being collected, if it is watched because context variables must not be set then."""
    return [*_phases][-1:] == ["start"]  # copied in one step: another thread may collect meanwhile


def add_breadcrumb(
    message: object = "",
    *,
    category: Optional[str] = None,
    level: LevelLike = "info",
    data: Optional[Mapping[str, Any]] = None,
    type: str = "default",
) -> None:
    """Keep a breadcrumb for the events that this context captures later. Never raises.

    Before Python 3.12 no breadcrumb is kept during a garbage collection (most come from finalizers then, in a context
    that is random anyway).

    The last 100 of a context are kept; an event has the newest of them that fit into 64 KiB of JSON.

    Args:
        message: what happened; at most 1,024 characters are kept.
        category: where, for example ``auth`` or the name of a logger; at most 200 characters are kept.
        level: fatal, error, warning, info or debug (case is ignored), or a logging number; any other value counts as
            info, and is noted.
        data: more values; bounded like those of ``set_context``, and to 4 KiB of JSON.
        type: for example ``http``, ``navigation``, ``log`` or ``user``, for trackers that show these differently.
    """
    # Does not log the waiting notes: the caller may be a logging handler.
    try:
        if is_collecting():
            return
        text = text_of(message, MAX_MESSAGE)
        label = "" if category is None else text_of(category, MAX_CATEGORY)
        about = "{}" if data is None else mapping_json(data, MAX_DATA)
        kind = text_of(type, MAX_TYPE)
        crumb = (
            f'{{"timestamp":{time()!r},"type":{encode_text(kind)},"category":{encode_text(label)},'
            f'"level":"{level_from(level, "info", "add_breadcrumb")}","message":{encode_text(text)},"data":{about}}}'
        )
        block, crumbs = open_trail()
        trail.set((block, crumbs[1 - MAX_BREADCRUMBS :] + (crumb,)))  # noqa: RUF005 (what it proposes takes longer)
    except RecursionError:  # no room on the stack for a note
        pass
    except anything() as error:
        diagnostics.note("add_breadcrumb", f"a breadcrumb was not kept: {describe(error)}")


def open_trail() -> Trail:
    """Return the trail of the current context, without that of closed blocks."""
    found = trail.get()
    while found[0] is not None and found[0].is_closed:
        found = found[0].outside
    return found


def current() -> Sequence[Breadcrumb]:
    """Return the newest breadcrumbs of the current context that fit into an event, the oldest first."""
    return EncodedList(_newest_that_fit(open_trail()[1]))


def _newest_that_fit(crumbs: tuple[str, ...]) -> tuple[str, ...]:
    left = MAX_TRAIL - len("[]")
    if sum(map(len, crumbs)) + len(crumbs) <= left:
        return crumbs
    for count, crumb in enumerate(reversed(crumbs)):
        left -= len(crumb) + len(",")
        if left < 0:
            return crumbs[len(crumbs) - count :]
    return crumbs
