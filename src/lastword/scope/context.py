"""The scope: user, tags and other data that the program sets about its current work, for all events captured meanwhile.

The data is in two context variables, one of them for breadcrumbs, so each thread, each asyncio task and each greenlet
has its own. A task starts with a copy of its creator's data, and a forked child with the data of the code that forked.
A new thread or greenlet starts with nothing, unless it is run in a copied context
(``contextvars.copy_context().run``) or Python is configured to let threads inherit. Values are made JSON-safe, bounded
and copied at once: a later change of the caller's object has no effect, and a capture cannot fail because of them. Only
an attached file is read at the capture, and may be missing then.

These calls also work before ``init``. No call raises, and the value None always removes the previous value.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from itertools import islice
from types import FrameType
from typing import Any, NamedTuple, Optional, TypeVar, Union, cast

from lastword import diagnostics
from lastword.capture.json_copy import (
    MAX_ITEMS,
    MAX_KEY,
    is_mapping,
    mapping_json,
    named_items,
    text_of,
    value_json,
)
from lastword.capture.safe_text import describe
from lastword.event import LEVELS, Level, LevelLike, known_level
from lastword.event_json import encode_value
from lastword.interruption import anything, suppressed
from lastword.scope import breadcrumbs
from lastword.scope.attachments import MAX_ATTACHMENTS, Wanted, wanted_data, wanted_file

MAX_USER = 16 * 1024  # characters of JSON
MAX_EXTRA = 32 * 1024  # characters of JSON, all together
MAX_CONTEXTS = 32 * 1024  # characters of JSON, all together
MAX_TAGS = 50
MAX_TAG = 200
MAX_TRANSACTION = 200
MAX_FINGERPRINT = 20

_GENERATES = 0x20 | 0x200  # flags of code objects: generators and async generators


class _Scope(NamedTuple):
    """The data of one scope. It and its mappings are replaced, never changed; nested values are kept as JSON."""

    user: Optional[str] = None
    tags: Mapping[str, str] = {}
    extra: Mapping[str, str] = {}
    contexts: Mapping[str, str] = {}
    fingerprint: tuple[str, ...] = ()
    transaction: Optional[str] = None
    level: Optional[Level] = None
    attachments: tuple[Wanted, ...] = ()
    block: Optional[breadcrumbs.Block] = None  # in which it was set
    shared: Optional[object] = None  # shared by all contexts of one piece of work


_NOTHING = _Scope()
_scope: ContextVar[_Scope] = ContextVar("lastword_scope", default=_NOTHING)

_Call = TypeVar("_Call", bound=Callable[..., None])


def _context_call(call: _Call) -> _Call:
    """Decorate ``call``: log the waiting notes (the user calls it on purpose) and note the exceptions it raises."""

    @functools.wraps(call)
    def guarded(*arguments: Any, **options: Any) -> None:
        try:
            call(*arguments, **options)
            diagnostics.tell()
        except RecursionError:  # no room on the stack for a note
            pass
        except anything() as error:
            diagnostics.note(call.__name__, f"lastword.{call.__name__} failed: {describe(error)}")

    return cast("_Call", guarded)


@_context_call
def set_user(user: Any) -> None:
    """Set the user of the program, for the events of the current context; None removes it.

    Args:
        user: a mapping, for example ``{"id": "42", "email": …}``, or just an id. At most 1,024 characters of a text and
            50 items on each of 3 levels are kept; values beyond 16 KiB of JSON are replaced by ``(left out)``. A
            namedtuple counts as a mapping; other objects are kept as their ``str``, which is scrubbed like any text.

    Never raises: a mapping that cannot be read counts as None, because the previous user would be wrong.
    """
    _scope.set(_open_scope()._replace(user=None))
    if user is not None:
        user = named_items(user)
        named = user if is_mapping(type(user)) else {"id": user}
        _scope.set(_open_scope()._replace(user=mapping_json(named, MAX_USER)))


@_context_call
def set_tag(key: str, value: object) -> None:
    """Tag the events of the current context; None removes the tag.

    Key and value become texts of at most 200 characters; at most 50 tags are kept, later ones are ignored. Never
    raises.
    """
    _set_tags([(key, value)])


@_context_call
def set_tags(tags: Mapping[str, object]) -> None:
    """Set several tags at once. See ``set_tag``."""
    _set_tags([(key, tags[key]) for key in tags])


@_context_call
def set_extra(key: str, value: Any) -> None:
    """Add a value, which trackers do not search, to the events of the current context; None removes it.

    It may be any value, bounded like an item of a user. At most 50 keys are kept, with 32 KiB of JSON in total: a value
    that does not fit is replaced by ``(left out)``. Never raises.
    """
    scope = _open_scope()
    text = None if value is None else value_json(value, MAX_EXTRA)
    _scope.set(scope._replace(extra=_with_json(scope.extra, "set_extra", key, text, MAX_EXTRA, '"(left out)"')))


@_context_call
def set_context(name: str, context: Optional[Mapping[str, Any]]) -> None:
    """Add a named group of values to the events of the current context: ``set_context("order", {"id": 7})``.

    None removes the group. It is bounded like a user; at most 50 groups are kept, with 32 KiB of JSON in total: a group
    that does not fit becomes empty. Never raises.
    """
    scope = _open_scope()
    text = None if context is None else mapping_json(context, MAX_CONTEXTS)
    _scope.set(scope._replace(contexts=_with_json(scope.contexts, "set_context", name, text, MAX_CONTEXTS, "{}")))


@_context_call
def set_fingerprint(fingerprint: Optional[Iterable[object]]) -> None:
    """Group the current context's events: those with an equal list belong together; None lets the tracker decide.

    At most 20 parts of 200 characters are kept. ``{{ default }}`` stands for the tracker's own grouping, if the tracker
    supports it. Never raises.
    """
    parts = [fingerprint] if type(fingerprint) is str else fingerprint or ()
    kept = tuple([text_of(part, MAX_TAG) for part in islice(parts, MAX_FINGERPRINT)])
    _scope.set(_open_scope()._replace(fingerprint=kept))


@_context_call
def set_transaction(name: Optional[str]) -> None:
    """Name the program's work in the current context, for example ``POST /checkout``; None removes the name.

    At most 200 characters are kept. Never raises.
    """
    _scope.set(_open_scope()._replace(transaction=None if name is None else text_of(name, MAX_TRANSACTION)))


@_context_call
def set_level(level: Optional[LevelLike]) -> None:
    """Set the level of the current context's events, unless their capture names one; None removes it.

    It applies to messages and to exceptions that the program caught; uncaught ones stay ``fatal``. ``level`` is one of
    fatal, error, warning, info, debug (case is ignored), or a logging number; any other value changes nothing, and is
    noted. Never raises.
    """
    known = known_level(level)
    if level is None or known is not None:
        _scope.set(_open_scope()._replace(level=known))
    else:
        diagnostics.note("set_level", f"the level was not set: it is none of {', '.join(LEVELS)}")


@_context_call
def add_attachment(
    path: Union[str, os.PathLike[str], None] = None,
    *,
    data: Union[str, bytes, None] = None,
    name: Optional[str] = None,
    content_type: Optional[str] = None,
) -> None:
    """Attach a file, or ``data``, to the events of the current context, until the end of the ``new_scope`` block.

    Args:
        path: a regular file. It is read at each capture, and may be deleted afterwards.
        data: a text or bytes, copied at once.
        name: the name that the tracker shows; by default the file's.
        content_type: its media type, for example ``text/plain``.

    At most 10 are kept; further ones are not attached. An event takes the attachments for which its record, of 1 MiB,
    has room: about 700 KB in total, less if the event itself is large. It lists those that were left out. Their
    contents are not scrubbed. Never raises.
    """
    scope = _open_scope()
    if (path is None) is (data is None):
        diagnostics.note("add_attachment", "nothing was attached: it takes either a path or data")
    elif len(scope.attachments) >= MAX_ATTACHMENTS:
        diagnostics.note("add_attachment", f"not attached: there are {MAX_ATTACHMENTS} attachments already")
    else:
        wanted = wanted_data(data, scope.attachments) if path is None else wanted_file(path)
        wanted = wanted.named(name, content_type)
        _scope.set(scope._replace(attachments=(*scope.attachments, wanted)))


def new_scope() -> AbstractContextManager[None]:
    """Return a ``with`` block that starts with the current data and forgets, at its end, everything set inside.

    This includes breadcrumbs, and works also if the block is left in another context or out of order, as in a generator
    that its consumer abandons. A task that was started inside has its own context, and keeps the data set in the block;
    not if the block is in a generator, because its consumer may have started the task. Never raises.
    """
    return NewScope()


def in_new_scope() -> bool:
    """Return whether the caller is inside a ``new_scope`` block."""
    return _open_scope().block is not None


def shared_in_scope() -> Optional[object]:
    """Return the shared object of the innermost ``NewScope`` that has one."""
    return _open_scope().shared


def _open_scope() -> _Scope:
    """Return the data of the current context, without that of closed blocks."""
    scope = _scope.get()
    while scope.block is not None and scope.block.is_closed:
        scope = scope.block.scope
    return scope


class NewScope(AbstractContextManager[None]):
    """``new_scope``, with an object that is shared by all contexts copied inside the block.

    It is not a generator, which would appear in the traceback of exceptions raised inside.
    """

    def __init__(self, shared: Optional[object] = None) -> None:
        self._shared = shared
        self._entered: list[_Entered] = []

    def __enter__(self) -> None:
        scope, outside = _open_scope(), breadcrumbs.open_trail()
        block = breadcrumbs.Block(outside, scope)
        inside = scope._replace(block=block, shared=self._shared or scope.shared)
        is_generators = _is_generators(sys._getframe(1))
        self._entered.append(
            _Entered(block, _scope.set(inside), breadcrumbs.trail.set((block, outside[1])), is_generators)
        )

    def __exit__(self, *_: object) -> None:
        # Popped, not kept: tokens hold the context and all its values.
        block, scope, trail, is_generators = self._entered.pop()
        if _open_scope().block is block and not breadcrumbs.is_collecting():
            with suppressed(ValueError):  # this context is a copy of the one that entered the block
                _scope.reset(scope)
                breadcrumbs.trail.reset(trail)
                if not is_generators:
                    return
        block.is_closed = True


class _Entered(NamedTuple):
    """The state that is needed to leave a block."""

    block: breadcrumbs.Block
    scope: Token[_Scope]
    trail: Token[breadcrumbs.Trail]
    is_generators: bool


def _is_generators(frame: Optional[FrameType]) -> bool:
    """Return whether ``frame`` runs a generator, so that a context copied meanwhile may be its consumer's.

    A generator that contextlib runs as a context manager counts as part of the code that uses the manager.
    """
    while frame is not None and frame.f_code.co_flags & _GENERATES:
        frame = frame.f_back
        if frame is None or frame.f_globals is not vars(contextlib):
            return True
        while frame is not None and frame.f_globals is vars(contextlib):
            frame = frame.f_back
    return False


class Current(NamedTuple):
    """The data of a scope in the form that events have."""

    user: Optional[dict[str, Any]]
    tags: dict[str, str]
    extra: dict[str, Any]
    contexts: dict[str, dict[str, Any]]
    fingerprint: list[str]
    transaction: Optional[str]


def nothing() -> Current:
    return Current(user=None, tags={}, extra={}, contexts={}, fingerprint=[], transaction=None)


def current() -> Current:
    """Return a copy of the data of the current context, without breadcrumbs."""
    scope = _open_scope()
    if scope is _NOTHING:
        return nothing()
    return Current(
        user=None if scope.user is None else json.loads(scope.user),
        tags=dict(scope.tags),
        extra={key: json.loads(text) for key, text in scope.extra.items()},
        contexts={name: json.loads(text) for name, text in scope.contexts.items()},
        fingerprint=list(scope.fingerprint),
        transaction=scope.transaction,
    )


def attachments() -> tuple[Wanted, ...]:
    """Return the attachments for the events of the current context."""
    return _open_scope().attachments


def level_or(default: Level) -> Level:
    """Return the level that ``set_level`` chose for the current context, else ``default``."""
    return _open_scope().level or default


def _set_tags(items: Iterable[tuple[object, object]]) -> None:
    scope = _open_scope()
    tags = dict(scope.tags)
    for key, value in items:
        name = text_of(key, MAX_KEY)
        if value is None:
            tags.pop(name, None)
        elif name in tags or len(tags) < MAX_TAGS:
            tags[name] = text_of(value, MAX_TAG)
        else:
            diagnostics.note("set_tag", f"the tag {name!r} was not set: there are {MAX_TAGS} tags already")
    _scope.set(scope._replace(tags=tags))


def _with_json(
    items: Mapping[str, str], call: str, key: object, text: Optional[str], limit: int, left_out: str
) -> dict[str, str]:
    """Return ``items`` with ``key`` set to ``text``, or without it if None; ``left_out`` replaces a too long text."""
    changed = dict(items)
    name = text_of(key, MAX_KEY)
    changed.pop(name, None)
    if text is None:
        return changed
    used = sum(len(encode_value(other)) + len(value) + 2 for other, value in changed.items())
    left = limit - used - len(encode_value(name)) - 2
    kept = text if len(text) <= left else left_out
    if len(changed) < MAX_ITEMS and len(kept) <= left:
        changed[name] = kept
    if kept is not text or name not in changed:
        diagnostics.note(call, f"there was no room for {name!r}: see the limits of lastword.{call}")
    return changed
