"""An exception and its chain, read into ExceptionInfos."""

from __future__ import annotations

from itertools import islice
from types import TracebackType
from typing import Any, Literal, Optional

from lastword.capture.bounded_repr import bounded_repr
from lastword.capture.frames import StackReader
from lastword.capture.room import Room, json_cost
from lastword.capture.safe_text import class_module, class_name, clean_marked
from lastword.event import ExceptionInfo, Frame

MAX_EXCEPTIONS = 10
MAX_VALUE = 8192
MAX_NOTES = 10
MAX_NOTE = 1024

_Kind = Literal["cause", "context", "member"]

# The slots of BaseException itself: a class of the application may have properties of the same names.
_cause_of = BaseException.__dict__["__cause__"].__get__
_context_of = BaseException.__dict__["__context__"].__get__
_suppresses_context = BaseException.__dict__["__suppress_context__"].__get__
_traceback_of = BaseException.__dict__["__traceback__"].__get__


def exception_chain(
    error: BaseException, traceback: Optional[TracebackType], reader: StackReader, room: Room
) -> list[ExceptionInfo]:
    """``error`` first, then what it came from: its cause, else its context unless suppressed; at most 10.

    A chain that bites its tail ends there. Notes of lastword's own, in parentheses, say what was left out.
    """
    chain: list[ExceptionInfo] = []
    seen: set[int] = set()
    current: Optional[BaseException] = error
    kind: Optional[_Kind] = None
    while current is not None and id(current) not in seen:
        if len(chain) == MAX_EXCEPTIONS:
            chain[-1]["notes"].append("(more exceptions of this chain left out)")
            break
        seen.add(id(current))
        own_traceback = _traceback_of(current)
        if current is error and traceback is not None:
            own_traceback = traceback
        chain.append(_exception_info(current, own_traceback, kind, len(chain), reader, room))
        current, kind = _next_in_chain(current)
    return chain


def is_unraised(error: BaseException, traceback: Optional[TracebackType]) -> bool:
    return traceback is None and _traceback_of(error) is None


def type_only(error: BaseException) -> ExceptionInfo:
    """The least that can be said of an exception."""
    return {
        "type": class_name(type(error)),
        "module": class_module(type(error)),
        "value": _unprintable(error),
        "kind": None,
        "parent": None,
        "notes": [],
        "frames": [],
    }


def _next_in_chain(error: BaseException) -> tuple[Optional[BaseException], Optional[_Kind]]:
    cause = _cause_of(error)
    if cause is not None:
        return cause, "cause"
    if _suppresses_context(error):
        return None, None
    return _context_of(error), "context"


def _exception_info(
    error: BaseException,
    traceback: Optional[TracebackType],
    kind: Optional[_Kind],
    index: int,
    reader: StackReader,
    room: Room,
) -> ExceptionInfo:
    info = type_only(error)
    info["kind"], info["parent"] = kind, index - 1 if index else None
    info["value"] = _with_room(_value(error), room)
    info["notes"] = [note for note in _notes(error) if room.take(json_cost(note))]
    stripped_before = reader.stripped
    info["frames"] = _frames(traceback, reader)
    if reader.stripped > stripped_before:
        count = reader.stripped - stripped_before
        info["notes"].append(f"(variables or source of {count} frames left out: the event is full)")
    return info


def _value(error: BaseException) -> str:
    try:
        return clean_marked(str(error), MAX_VALUE)
    except Exception:  # a __str__ that raises, or that returns no text
        return _unprintable(error)


def _unprintable(error: BaseException) -> str:
    return f"<unprintable {class_name(type(error))}>"


def _with_room(text: str, room: Room) -> str:
    return text if room.take(json_cost(text)) else clean_marked(text, 200)


def _notes(error: BaseException) -> list[str]:
    """The notes of PEP 678, which are a list of texts only by convention."""
    try:
        notes: Any = object.__getattribute__(error, "__notes__")
    except Exception:
        return []
    try:
        if type(notes) not in (list, tuple):
            return [bounded_repr(notes, MAX_NOTE)]
        return [
            clean_marked(note, MAX_NOTE) if type(note) is str else bounded_repr(note, MAX_NOTE)
            for note in islice(notes, MAX_NOTES)
        ]
    except Exception:
        return []


def _frames(traceback: Optional[TracebackType], reader: StackReader) -> list[Frame]:
    try:
        return reader.of_traceback(traceback)
    except Exception:  # such as RecursionError: an exception without its stack is better than none
        return []
