"""Assemble an event from its parts; a part that fails is left out."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Optional, TypeVar, cast

from lastword import diagnostics
from lastword.capture.bounded_repr import bounded_repr, has_long_text
from lastword.capture.budget import Room
from lastword.capture.exception import MAX_VALUE, exception_tree, is_unraised, type_only
from lastword.capture.frames import StackReader
from lastword.capture.process import host_info, process_info, runtime_info, thread_info
from lastword.capture.safe_text import class_name, clean, clean_ends, describe
from lastword.capture.settings import CaptureSettings
from lastword.capture.threads import other_threads
from lastword.event import (
    Breadcrumb,
    Event,
    Frame,
    HostInfo,
    Level,
    ProcessInfo,
    RuntimeInfo,
    ThreadInfo,
    ThreadStack,
    new_id,
)
from lastword.interruption import anything, failures
from lastword.scope import breadcrumbs, context

MAX_LABEL = 200

_T = TypeVar("_T")

ReadStack = Callable[[StackReader], list[Frame]]


def exception_event(
    error: BaseException,
    *,
    traceback: Optional[TracebackType] = None,
    handled: bool,
    mechanism: str,
    settings: CaptureSettings,
    stack: Optional[ReadStack] = None,
    members: Optional[list[BaseException]] = None,
) -> Event:
    """Return the event of an exception: its chain or group with stacks and variables, and its process and machine.

    Args:
        error: the exception. If it is handled and was never raised, its frames are those of ``stack``.
        traceback: its traceback, if the exception does not (or no longer) hold it.
        handled: whether the program caught it: level ``error``, or that of ``set_level``; otherwise ``fatal``.
        mechanism: the hook or call that captured it, such as ``sys.excepthook``.
        settings: the settings of capture.
        stack: reads the stack that led here; without it, the stack of the capturing call is read.
        members: a list to which the members of groups in the event are added.

    Raises no Exception, whatever the exception and the variables, as long as the stack has room for a few calls:
    within some ten calls of the recursion limit parts are missing; at the limit itself it raises RecursionError.
    """
    room = Room()
    reader = StackReader(settings, room, settings.own_reprs())
    exceptions = _part("exceptions", exception_tree, error, traceback, reader, room, members)
    event = _event(context.level_or("error") if handled else "fatal", handled, mechanism, settings)
    event["exceptions"] = exceptions or [type_only(error)]
    event["threads"] = _threads(settings, room, at_any_price=not handled)
    if handled and is_unraised(error, traceback):  # the capturing call is then its only known place
        event["exceptions"][0]["frames"][:0] = _part("stack", stack or _stack_of_caller, reader) or []
    event["sources"] = reader.sources
    return event


def _stack_of_caller(reader: StackReader) -> list[Frame]:
    return reader.of_callers(sys._getframe())


def message_event(
    message: str,
    *,
    level: Optional[Level],
    settings: CaptureSettings,
    mechanism: str = "capture_message",
    stack: Optional[ReadStack] = None,
) -> Event:
    """Return the event of a message, cut to 8,192 characters.

    ``level`` defaults to that of ``set_level``, otherwise ``info``. If ``settings.needs.message_stack``, the event has
    the stack read by ``stack``, or that of the capturing call, without variables. Raises no Exception, as
    ``exception_event``.
    """
    event = _event(level or context.level_or("info"), True, mechanism, settings)
    event["message"] = _part("message", _message_text, message, settings.scrub_text) or ""
    room = Room()
    if settings.needs.message_stack:
        reader = StackReader(settings, room)
        event["stack"] = _part("stack", stack or _stack_of_caller, reader) or []
        event["sources"] = reader.sources
    event["threads"] = _threads(settings, room, at_any_price=False)
    return event


def _threads(settings: CaptureSettings, room: Room, *, at_any_price: bool) -> list[ThreadStack]:
    if not (settings.all_threads or settings.needs.all_threads):
        return []
    return _part("threads", other_threads, room, at_any_price=at_any_price) or []


def _part(name: str, take: Callable[..., _T], *arguments: Any, **options: Any) -> Optional[_T]:
    """Return the result of ``take``, or None if it raises: the event lacks the part, and a diagnostic note says why."""
    try:
        return take(*arguments, **options)
    except failures() as error:
        try:
            diagnostics.note("capture", f"an event went without its {name}: {describe(error)}")
        except RecursionError:  # no room on the stack even for the note
            pass
        return None


def _unknown(kind: Any) -> Any:
    """Return an object of a TypedDict in which every value is empty, for a part that could not be read."""
    return {name: empty() for name, empty in kind.__annotations__.items()}


def _message_text(message: Any, scrub: Callable[[str], str]) -> str:
    if not issubclass(type(message), str):
        if has_long_text(message):
            return bounded_repr(message, MAX_VALUE)
        try:
            message = str(message)
        except anything():
            message = f"<unprintable {class_name(type(message))}>"
    return clean_ends(message, MAX_VALUE, scrub)


def _event(level: Level, handled: bool, mechanism: str, settings: CaptureSettings) -> Event:
    with_memory = settings.needs.memory
    scope = _part("context", context.current) or context.nothing()
    return {
        "id": new_id(),
        "timestamp": time.time(),
        "level": level,
        "message": None,
        "exceptions": [],
        "stack": [],
        "handled": handled,
        "mechanism": mechanism,
        "thread": _part("thread", thread_info) or _unknown(ThreadInfo),
        "threads": [],
        "process": _part("process", process_info, with_status=with_memory) or _unknown(ProcessInfo),
        "host": _part("host", host_info, with_memory=with_memory) or _unknown(HostInfo),
        "runtime": _part("runtime", runtime_info) or _unknown(RuntimeInfo),
        "environment": _part("environment", clean, settings.environment, MAX_LABEL) or "",
        "release": _part("release", clean, settings.release, MAX_LABEL) or "",
        "user": scope.user,
        "tags": scope.tags,
        "extra": scope.extra,
        "contexts": scope.contexts,
        "breadcrumbs": cast("list[Breadcrumb]", _part("breadcrumbs", breadcrumbs.current) or []),
        "fingerprint": scope.fingerprint,
        "transaction": scope.transaction,
        "attachments": [],
        "sources": {},
    }
