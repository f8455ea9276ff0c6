"""Receive the records of ``logging`` without a handler.

A handler on the root logger would change the program's output: ``basicConfig`` does nothing if there is one, and
``lastResort`` prints nothing. So we hook ``Logger.filter``, which asks a logger's filters about a record, and take the
records that it accepts. This works for every logger, whether it propagates or not and whatever ``dictConfig`` does to
the handlers. None of our code is on the stack while handlers run, and we hold none of their locks.

Uncaught exceptions in asyncio arrive this way too: its loops log them, so lastword need not import asyncio.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from types import FrameType, FunctionType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Optional

from lastword import diagnostics
from lastword.capture.json_copy import mapping_json
from lastword.capture.safe_text import class_name, clean, clean_ends, describe, exact
from lastword.capture.source import absolute_path, is_in_app, is_own_file
from lastword.event import LOGGED, Event, Frame, Level, Origin, level_of_number, placeholder
from lastword.hooks.slot import Hook, HookSlot, Link
from lastword.interruption import anything, failures
from lastword.nesting import Nesting

if TYPE_CHECKING:
    from logging import LogRecord

    from lastword.capture.frames import StackReader

MAX_TEXT = 8192
MAX_FILE = 1024
MAX_NAME = 200
MAX_EXTRA = 16 * 1024  # characters of JSON

#: The tag that names an event's logger, and the tag for a level that is not one of logging's.
LOGGER_TAG, LEVEL_TAG = "logger", "log_level"

_LEVEL_NAMES = frozenset(("CRITICAL", "FATAL", "ERROR", "WARNING", "WARN", "INFO", "DEBUG", "NOTSET"))
_TRACEBACK = "Traceback (most recent call last)"

# Attributes that handlers and structlog add to those of every new record.
_NAMES_IN_RECORDS = frozenset(("message", "asctime", "taskName", "_logger", "_name"))
_STRUCTLOGS_NAMES = frozenset(("event", "level", "logger", "timestamp", "exc_info", "exception", "stack_info"))
_own_names: frozenset[str] = _NAMES_IN_RECORDS

_slot: Optional[HookSlot] = None
_later_classes: Optional[HookSlot] = None
_classes: dict[type, HookSlot] = {}  # the subclasses of Logger that have their own ``filter``
_filtering = Nesting()  # the address of the record that a thread is filtering


def install(logging: ModuleType, listener: Callable[[LogRecord], None]) -> None:
    """Pass to ``listener`` every record that a logger accepts, in its thread. Exceptions of the listener are noted."""
    global _slot, _own_names, _later_classes
    if _slot is None:
        _own_names = _NAMES_IN_RECORDS.union(vars(logging.LogRecord("", 0, "", 0, "", (), None)))
        _slot = HookSlot(logging.Logger, "filter", _pass_then_report)
        _later_classes = HookSlot(logging.Logger, "__init_subclass__", _hear_later_class)
    _slot.install(listener)
    _hear_classes_below(logging.Logger, listener)
    if _later_classes is not None:
        _later_classes.install(listener)


def uninstall() -> None:
    """Stop listening, and restore the previous functions."""
    for slot in (_slot, _later_classes, *_classes.values()):
        if slot is not None:
            slot.uninstall()
    _classes.clear()


def _pass_then_report(link: Link) -> Hook:
    kind_of_record = sys.modules["logging"].LogRecord

    def filter(logger: Any, record: Any) -> Any:
        listener = link.listener
        if not _classes:
            verdict = link.previous(logger, record)
        else:
            outer = _filtering.level
            if outer == id(record):  # called by the filter of a subclass, which decides
                return link.previous(logger, record)
            _filtering.level = id(record)
            try:
                verdict = link.previous(logger, record)
            finally:
                _filtering.level = outer
        if verdict and listener is not None:
            try:
                # since Python 3.12 a filter may return another record
                listener(verdict if issubclass(type(verdict), kind_of_record) else record)
            except failures() as own:
                diagnostics.note("logging", f"what was logged was not reported: {describe(own)}")
        return verdict

    return filter


def _hear_classes_below(cls: type, listener: Callable[[LogRecord], None]) -> None:
    classes: list[type] = type.__subclasses__(cls)
    for below in classes:
        _hear_class(below, listener)
        _hear_classes_below(below, listener)


def _hear_class(cls: type, listener: Callable[[LogRecord], None]) -> None:
    """Hook ``cls`` if it has its own ``filter``, or a mixin's, which may not call that of ``Logger``."""
    owner = next(one for one in cls.__mro__ if "filter" in vars(one))
    is_heard_above = owner is sys.modules["logging"].Logger or (owner in _classes and owner is not cls)
    if not is_heard_above and type(vars(owner)["filter"]) is FunctionType:
        _classes.setdefault(cls, HookSlot(cls, "filter", _pass_then_report)).install(listener)


def _hear_later_class(link: Link) -> Hook:
    def init_subclass(cls: type, **options: Any) -> None:
        previous = getattr(link.previous, "__func__", None)
        if previous is None:
            super(sys.modules["logging"].Logger, cls).__init_subclass__(**options)
        else:
            previous(cls, **options)
        if link.listener is not None:
            _hear_class(cls, link.listener)

    return classmethod(init_subclass)  # type: ignore[arg-type, return-value]


def is_ours_to_hear(record: LogRecord) -> bool:
    """Return whether ``record`` is from this process and not from lastword.

    This process may also handle records that another process has logged.
    """
    name, process = name_of(record), record.process
    if process is not None and _number(process) != os.getpid():
        return False
    return name != "lastword" and not name.startswith("lastword.")


def name_of(record: LogRecord) -> str:
    """Return the name of the logger."""
    return _text(record.name)


def number_of(record: LogRecord) -> float:
    """Return its level as a number; 0 if it has no valid one."""
    return _number(record.levelno)


def level_of(record: LogRecord) -> Level:
    """Return the level for an event or breadcrumb. See ``level_of_number``."""
    return level_of_number(number_of(record))


def has_exception(record: LogRecord) -> bool:
    """Return whether it was logged with ``exc_info``."""
    information: Any = record.exc_info
    return bool(information) if type(information) in (type(None), bool, int, tuple) else True


def _text(value: Any) -> str:
    """Return a text of a record, "" for any other type: the program may have put anything there."""
    return exact(value) if issubclass(type(value), str) else ""


def _number(value: Any) -> float:
    kind = type(value)
    if kind is int or kind is float:
        return value  # type: ignore[no-any-return]
    return int.__index__(value) if issubclass(kind, int) else 0


def text_of(record: LogRecord, scrub: Callable[[str], str]) -> str:
    """Return the message with its arguments, at most 8,192 characters (see ``clean_ends``).

    Runs the arguments' ``str``, as any handler would.
    """
    try:
        wrapped = _wrapped_by_structlog(record)
        return clean_ends(record.getMessage() if wrapped is None else str(wrapped.get("event")), MAX_TEXT, scrub)
    except anything():  # arguments that do not fit: logging reports that itself
        message = record.msg
        if type(message) is str:
            return clean_ends(message, MAX_TEXT, scrub)
        return f"<unprintable {class_name(type(message))}>"


def exception_of(record: LogRecord, text: str) -> Optional[tuple[BaseException, Optional[TracebackType]]]:
    """Return the logged exception and its traceback, or None. A traceback that is a copy (Celery) counts as None.

    Also finds the exception if structlog wrapped it, or if ``text`` contains the traceback of the exception being
    handled.
    """
    error, traceback = _error_and_traceback(record.exc_info)
    if not issubclass(type(error), BaseException):
        error, traceback = _error_and_traceback(_error_in_content(record, text))
    if not issubclass(type(error), BaseException):
        return None
    return error, traceback if type(traceback) is TracebackType else None


def _error_and_traceback(information: Any) -> tuple[Any, Any]:
    """Split the result of ``sys.exc_info()``, even three times None; return anything else with None."""
    if type(information) is tuple and len(information) == 3:
        return information[1:]
    return information, None


def _error_in_content(record: LogRecord, text: str) -> Any:
    handled = sys.exc_info()[1]
    wrapped = _wrapped_by_structlog(record)
    if wrapped is None:
        shown: Any = text if _TRACEBACK in text else ""
    elif (given := wrapped.get("exc_info")) is not None and given is not False:
        return handled if given is True else given
    else:
        shown = wrapped.get("exception", "")
    is_shown = type(shown) is list or (type(shown) is str and class_name(type(handled)) in shown)
    return handled if is_shown else None


def _wrapped_by_structlog(record: LogRecord) -> Optional[dict[str, Any]]:
    """Return the dict that structlog passes to its own formatter as the message; None for other records."""
    message: Any = record.msg
    return message if type(message) is dict and "_logger" in record.__dict__ else None


class Logged:
    """The content of a log record, for the event made from it."""

    def __init__(self, record: LogRecord, text: str, *, with_content: bool) -> None:
        """``text`` is the result of ``text_of``; ``with_content``: the event has it, and the record's ``extra``."""
        self._record = record
        self._text = text
        self._with_content = with_content

    def add_to(self, event: Event) -> None:
        """Add the content to ``event``. It overrides the program's context ``logging``, but not the program's tags."""
        tags = {LOGGER_TAG: clean(name_of(self._record), MAX_NAME)}
        level = _text(self._record.levelname)
        if level and level not in _LEVEL_NAMES:
            tags[LEVEL_TAG] = clean(level, MAX_NAME)
        event["tags"] = {**tags, **event["tags"]}
        content = self._content(is_exception=bool(event["exceptions"])) if self._with_content else {}
        if content:
            event["contexts"] = {**event["contexts"], LOGGED: {**event["contexts"].get(LOGGED, {}), **content}}

    def _content(self, *, is_exception: bool) -> dict[str, Any]:
        extra = {name: value for name, value in self._record.__dict__.copy().items() if name not in _own_names}
        wrapped = _wrapped_by_structlog(self._record)
        if wrapped is not None:
            extra.update({name: value for name, value in wrapped.items() if name not in _STRUCTLOGS_NAMES})
        content: dict[str, Any] = json.loads(mapping_json(extra, MAX_EXTRA)) if extra else {}
        return {**content, "message": self._text} if is_exception else content

    def origin(self, kind: str) -> Origin:
        """Return the line that logged the record, as ``logging`` found it."""
        return Origin(kind, clean(_text(self._record.pathname), MAX_FILE), int(_number(self._record.lineno)))

    def stack(self, reader: StackReader) -> list[Frame]:
        """Return the stack that ends in the line that logged the record.

        If that line is not on this stack, because another thread (for example loguru's) passes records on, return only
        a frame for that line.
        """
        file, line = _text(self._record.pathname), int(_number(self._record.lineno))
        frame = _calling_frame(file, line)
        if frame is not None:
            return reader.of_callers(frame)
        alone = placeholder(clean(file, MAX_FILE), clean(_text(self._record.funcName), MAX_NAME), line)
        alone["path"], alone["in_app"] = absolute_path(alone["file"]), is_in_app(alone["file"])
        return [alone]


def _calling_frame(called_in: str, at: int) -> Optional[FrameType]:
    """Return the frame of the line that logged it, or the caller of ``logging`` or us if the record names no line."""
    caller: Optional[FrameType] = None
    frame: Optional[FrameType] = sys._getframe()
    own = os.path.dirname(sys.modules["logging"].__file__ or "") + os.sep
    while frame is not None:
        file = exact(frame.f_code.co_filename)
        if file == called_in and frame.f_lineno == at:
            return frame
        if caller is None and not is_own_file(file) and not file.startswith(own):
            caller = frame
        frame = frame.f_back
    return None if called_in and at else caller
