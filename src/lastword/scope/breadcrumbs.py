"""Breadcrumbs: what happened before, in the context that captures.

The trail of a context is a tuple that is replaced, never changed: a copied context or a forked child starts with the
breadcrumbs that were there, and those that either adds are its own. Copying 100 references costs some 1 of the 9 µs of
an addition; what a structure that shares the rest would spare, it would pay for by holding on to what is old.
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
    """A ``with new_scope()`` block, by which what is set inside tells where it was set.

    Attributes:
        is_closed: whether it was left, and what was set in it may stand in a context where it does not count any more;
            whoever reads goes on to what there was outside.
        outside: the trail before it; ``scope``: what else was set.
    """

    __slots__ = ("is_closed", "outside", "scope")

    def __init__(self, outside: Trail, scope: Any) -> None:
        self.is_closed = False
        self.outside = outside
        self.scope = scope


#: The breadcrumbs, and the block in which the last of them was added. Each is the JSON of a Breadcrumb, so it cannot
#: change, has a known size, and an event takes it as it is.
Trail = tuple[Optional[Block], tuple[str, ...]]

NO_TRAIL: Trail = (None, ())

trail: ContextVar[Trail] = ContextVar("lastword_breadcrumbs", default=NO_TRAIL)

#: Where garbage is collected in the midst of ``ContextVar.set`` (see ``nesting``).
_COLLECTS_ANYWHERE = sys.implementation.name == "cpython" and sys.version_info < (3, 12)

# The phases of garbage collection, the latest one last. Told by two callables of C: in a function of Python a signal
# handler could run, and what it raises, such as KeyboardInterrupt, the collector would swallow.
_phases: dict[str, object] = {}
_WATCHERS = (_phases.pop, _phases.setdefault)


def watch_collections() -> None:
    """From now on what is logged while garbage is collected is not kept, where that could crash the program."""
    if _COLLECTS_ANYWHERE and _WATCHERS[0] not in gc.callbacks:
        gc.callbacks.extend(_WATCHERS)


def unwatch_collections() -> None:
    """The opposite."""
    callbacks: list[Any] = getattr(gc, "callbacks", [])  # PyPy has none
    for watcher in _WATCHERS:
        if watcher in callbacks:
            callbacks.remove(watcher)
    _phases.clear()


def is_collecting() -> bool:
    """Whether garbage is being collected, where a variable must not be set then."""
    return [*_phases][-1:] == ["start"]  # copied in one step: another thread may collect meanwhile


def add_breadcrumb(
    message: object = "",
    *,
    category: Optional[str] = None,
    level: LevelLike = "info",
    data: Optional[Mapping[str, Any]] = None,
    type: str = "default",
) -> None:
    """Remember something that happened, for the events that this context captures later. Never raises.

    Before Python 3.12 nothing is kept while garbage is collected, by finalizers above all; which context that would be
    in is chance anyway.

    The last 100 of a context are kept; an event carries those of them, the newest, that fit into 64 KiB
    of JSON.

    Args:
        message: what happened; at most 1,024 characters are kept.
        category: where, such as ``auth`` or the name of a logger; at most 200 characters are kept.
        level: fatal, error, warning, info or debug, in any case, or a number of logging; any other counts as info,
            and is said.
        data: more about it; bounded as ``set_context`` does, and to 4 KiB of JSON.
        type: such as ``http``, ``navigation``, ``log`` or ``user``, for trackers that show these differently.
    """
    # Nothing that waits is told from here: a logging handler may be what calls.
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
    except RecursionError:  # no room on the stack to say so
        pass
    except anything() as error:
        diagnostics.note("add_breadcrumb", f"a breadcrumb was not kept: {describe(error)}")


def open_trail() -> Trail:
    """That of the current context, of blocks that are open."""
    found = trail.get()
    while found[0] is not None and found[0].is_closed:
        found = found[0].outside
    return found


def current() -> Sequence[Breadcrumb]:
    """The breadcrumbs of the current context, the oldest first; those of them, the newest, that fit into an event."""
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
