"""Read an exception, its causes, contexts and group members into ExceptionInfos.

The links between exceptions are read through the descriptors of BaseException itself: a class of the application may
have properties of the same names, and they would run.

A SyntaxError gets an additional frame for its place: that file never ran, so no traceback leads there.
"""

from __future__ import annotations

import builtins
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Any, Literal, NamedTuple, Optional

from lastword.capture.bounded_repr import bounded_repr, has_long_text
from lastword.capture.budget import Room, json_cost
from lastword.capture.call_site import MAX_PATH, Columns
from lastword.capture.frames import StackReader
from lastword.capture.reported import dict_of, event_of_member
from lastword.capture.safe_text import class_module, class_name, clean, clean_ends
from lastword.capture.source import MAX_LINE, absolute_path, is_in_app
from lastword.event import ExceptionInfo, Frame, placeholder
from lastword.interruption import anything, failures

Kind = Literal["cause", "context", "member"]

#: Per event.
MAX_EXCEPTIONS = 40

#: Levels of causes, contexts and nested groups, counted from the raised exception.
MAX_DEPTH = 10

#: Per group.
MAX_MEMBERS = 20

MAX_VALUE = 8192
MAX_NOTES = 10
MAX_NOTE = 1024
MAX_REFERENCE = 200

_cause_of = BaseException.__dict__["__cause__"].__get__
_context_of = BaseException.__dict__["__context__"].__get__
_suppresses_context = BaseException.__dict__["__suppress_context__"].__get__
_traceback_of = BaseException.__dict__["__traceback__"].__get__
_arguments_of = BaseException.__dict__["args"].__get__
_ancestors_of = type.__dict__["__mro__"].__get__
_namespace_of = type.__dict__["__dict__"].__get__

#: Python's own group class, since 3.11.
_GROUP: Any = getattr(builtins, "BaseExceptionGroup", None)
_members_of_group: Any = _GROUP.__dict__["exceptions"].__get__ if _GROUP is not None else None

_BACKPORT = "exceptiongroup"

#: Shown as the function's name, because no function ran.
FUNCTION = "<syntax error>"

_syntax_error_fields: dict[str, Any] = {
    name: SyntaxError.__dict__[name].__get__
    for name in ("filename", "lineno", "offset", "text", "end_lineno", "end_offset")
    if name in SyntaxError.__dict__  # the last two since Python 3.10
}


def next_in_chain(error: BaseException) -> tuple[Optional[BaseException], Optional[Kind]]:
    """Return the exception that ``error`` came from: its cause, otherwise its context unless suppressed."""
    cause = _cause_of(error)
    if cause is not None:
        return cause, "cause"
    if _suppresses_context(error):
        return None, None
    return _context_of(error), "context"


def members_of(error: BaseException) -> tuple[BaseException, ...]:
    """Return the exceptions of a group (PEP 654 or the package ``exceptiongroup``); () if it is no group."""
    if _GROUP is not None:
        members: Any = _members_of_group(error) if issubclass(type(error), _GROUP) else ()
    else:
        members = _members_of_backport(error)
    return members if type(members) is tuple else ()


def _members_of_backport(error: BaseException) -> Any:
    if not any(map(_is_backports_group, _ancestors_of(type(error)))):
        return ()
    try:
        found = object.__getattribute__(error, "_exceptions")
        return tuple(one for one in found if issubclass(type(one), BaseException))
    except failures():
        return ()


def _is_backports_group(cls: type) -> bool:
    return class_name(cls) == "BaseExceptionGroup" and (class_module(cls) or "").partition(".")[0] == _BACKPORT


class _Waiting(NamedTuple):
    error: BaseException
    kind: Optional[Kind]
    parent: Optional[int]
    depth: int


def exception_tree(
    error: BaseException,
    traceback: Optional[TracebackType],
    reader: StackReader,
    room: Room,
    members: Optional[list[BaseException]] = None,
) -> list[ExceptionInfo]:
    """Return ``error``, then its cause (otherwise its context, unless suppressed) and its group's members, and so on.

    Nearer exceptions come first, so a parent always comes before its children. At most 40, each once, so a circular
    chain ends. Members of groups are added to ``members``; a member that an earlier event contains is replaced by a
    note with that event's id. Notes by lastword, in parentheses, say what was left out.
    """
    infos: list[ExceptionInfo] = []
    seen = {id(error)}
    waiting = deque([_Waiting(error, None, None, 0)])
    while waiting and len(infos) < MAX_EXCEPTIONS:
        next_one = waiting.popleft()
        own_traceback = _traceback_of(next_one.error)
        if next_one.error is error and traceback is not None:
            own_traceback = traceback
        info = _exception_info(next_one, own_traceback, reader, room)
        waiting.extend(_linked_to(next_one, len(infos), seen, info["notes"], reader.scrub_text))
        infos.append(info)
        if members is not None and next_one.kind == "member":
            members.append(next_one.error)
    if waiting:
        _note_left_out(waiting, infos)
    return infos


def _linked_to(
    origin: _Waiting, index: int, seen: set[int], notes: list[str], scrub: Callable[[str], str]
) -> Iterator[_Waiting]:
    """Yield the exceptions linked to the one at ``index`` and not met before; add to ``notes`` what is left out."""
    error, depth = origin.error, origin.depth + 1
    linked, kind = next_in_chain(error)
    members = members_of(error)
    shown = members[:MAX_MEMBERS]
    if linked is not None and (id(linked) in seen or any(linked is member for member in shown)):
        linked = None  # the context of a group may be one of its members: it is shown as a member
    if depth == MAX_DEPTH and (linked is not None or members):
        notes.append("(more exceptions of this chain left out)")
        return
    if linked is not None:
        seen.add(id(linked))
        yield _Waiting(linked, kind, index, depth)
    for member in shown:
        if id(member) in seen:
            continue
        seen.add(id(member))
        known_event = event_of_member(member)
        if known_event is None:
            yield _Waiting(member, "member", index, depth)
        else:
            text = clean_ends(_value(member, scrub), MAX_REFERENCE, scrub)
            notes.append(f"(a member that is told by event {known_event}: {class_name(type(member))}: {text})")
    if len(members) > MAX_MEMBERS:
        notes.append(f"({len(members) - MAX_MEMBERS} more members of this group left out)")


def _note_left_out(waiting: Iterable[_Waiting], infos: list[ExceptionInfo]) -> None:
    for parent, count in Counter(one.parent for one in waiting if one.parent is not None).items():
        infos[parent]["notes"].append(f"({count} exceptions behind this one left out)")


def is_unraised(error: BaseException, traceback: Optional[TracebackType]) -> bool:
    return traceback is None and _traceback_of(error) is None


def type_only(error: BaseException) -> ExceptionInfo:
    """Return an ExceptionInfo with only the type of ``error``."""
    return {
        "type": class_name(type(error)),
        "module": class_module(type(error)),
        "value": _unprintable(error),
        "kind": None,
        "parent": None,
        "notes": [],
        "frames": [],
    }


def _exception_info(
    one: _Waiting, traceback: Optional[TracebackType], reader: StackReader, room: Room
) -> ExceptionInfo:
    error = one.error
    info = type_only(error)
    info["kind"], info["parent"] = one.kind, one.parent
    scrub = reader.scrub_text
    info["value"] = _with_room(_value(error, scrub), room, scrub)
    info["notes"] = [note for note in _notes(error, scrub) if room.take(json_cost(note))]
    stripped_before = reader.stripped
    info["frames"] = _frames(traceback, reader)
    if reader.syntax_error_places:
        info["frames"] += _syntax_error_frames(error, room)
    if reader.stripped > stripped_before:
        count = reader.stripped - stripped_before
        info["notes"].append(f"(variables or source of {count} frames left out: the event is full)")
    return info


def _syntax_error_frames(error: BaseException, room: Room) -> list[Frame]:
    try:
        place = syntax_error_place(error)
        if place is None:
            return []
        cost = 2 * json_cost(place["path"]) + json_cost("".join(place["source"])) + 300
        return [place] if room.take(cost) else []
    except failures():  # its attributes may be anything
        return []


def _value(error: BaseException, scrub: Callable[[str], str]) -> str:
    try:
        arguments = _arguments_of(error)
        is_text = len(arguments) == 1 and type(arguments[0]) is str  # ``str`` returns it unchanged
        if not is_text and has_long_text(arguments) and _shows_its_arguments(type(error)):
            return bounded_repr(arguments[0] if len(arguments) == 1 else arguments, MAX_VALUE)
        return clean_ends(str(error), MAX_VALUE, scrub)
    except anything():  # a __str__ that raises or does not return a text
        return _unprintable(error)


def _shows_its_arguments(kind: type) -> bool:
    """Return whether ``str`` of an exception of this type shows its arguments and runs no application code."""
    for ancestor in _ancestors_of(kind):
        if "__str__" in _namespace_of(ancestor):
            return ancestor is BaseException or ancestor is KeyError
    return False


def _unprintable(error: BaseException) -> str:
    return f"<unprintable {class_name(type(error))}>"


def _with_room(text: str, room: Room, scrub: Callable[[str], str]) -> str:
    return text if room.take(json_cost(text)) else clean_ends(text, 200, scrub)


def _notes(error: BaseException, scrub: Callable[[str], str]) -> list[str]:
    """Return the notes of PEP 678, which are a list of texts only by convention."""
    notes: Any = dict.get(dict_of(error), "__notes__", ())
    try:
        if type(notes) not in (list, tuple):
            return [bounded_repr(notes, MAX_NOTE)]
        return [
            clean_ends(note, MAX_NOTE, scrub) if type(note) is str else bounded_repr(note, MAX_NOTE)
            for note in islice(notes, MAX_NOTES)
        ]
    except failures():
        return []


def _frames(traceback: Optional[TracebackType], reader: StackReader) -> list[Frame]:
    try:
        return reader.of_traceback(traceback)
    except failures():  # such as RecursionError: report the exception without its stack
        return []


def syntax_error_place(error: BaseException) -> Optional[Frame]:
    """Return the line that could not be parsed, as a frame; None for other exceptions and for an unknown place.

    Raises any error of odd attributes: a program may assign anything to them.
    """
    if not issubclass(type(error), SyntaxError):
        return None
    fields = {name: read(error) for name, read in _syntax_error_fields.items()}
    file, line, text = fields["filename"], fields["lineno"], fields["text"]
    if type(file) is not str or type(line) is not int or line < 1:
        return None
    frame = placeholder(clean(file, MAX_PATH), FUNCTION, line)
    frame["path"] = absolute_path(frame["file"])
    frame["in_app"] = is_in_app(file)
    if type(text) is str and text.strip():
        frame["source"], frame["first_source_line"] = [clean(text.split("\n", 1)[0].rstrip("\r"), MAX_LINE)], line
        frame["columns"] = _columns(line, fields)
    return frame


def _columns(line: int, fields: dict[str, Any]) -> Optional[Columns]:
    start, end_line, end = fields["offset"], fields.get("end_lineno"), fields.get("end_offset")
    if not (type(start) is type(end_line) is type(end) is int) or start < 1 or end_line < line or end < 1:
        return None
    return end_line, start - 1, end - 1
