"""What a program says by ``logging``, heard without a handler.

A handler on the root logger would change what the program prints: ``basicConfig`` does nothing where there is one, and
``lastResort`` is silent. So we listen where a logger asks its filters about a record: ``Logger.filter``, after it has
said yes. Every logger is heard, whether it propagates or not and whatever ``dictConfig`` does to the handlers. Nothing
of ours is on the stack while handlers run, and none of their locks is held by us.

Exceptions of asyncio that nobody catches come this way too: its loops log them, and so nobody need import asyncio.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FrameType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Optional

from lastword import diagnostics
from lastword.capture.hook_slot import Hook, HookSlot, Link
from lastword.capture.safe_text import class_name, clean, clean_ends, describe
from lastword.capture.source import is_own_file
from lastword.event import Level, Origin, level_of_number

if TYPE_CHECKING:
    from logging import LogRecord

MAX_TEXT = 8192
MAX_FILE = 1024
MAX_NAME = 200

_slot: Optional[HookSlot] = None


def install(logging: ModuleType, listener: Callable[[LogRecord], None]) -> None:
    """Give ``listener`` every record that a logger lets pass, in its thread. What the listener raises is noted."""
    global _slot
    if _slot is None:
        _slot = HookSlot(logging.Logger, "filter", _pass_then_tell)
    _slot.install(listener)


def uninstall() -> None:
    """Listen no more."""
    if _slot is not None:
        _slot.uninstall()


def _pass_then_tell(link: Link) -> Hook:
    kind_of_record = sys.modules["logging"].LogRecord

    def filter(logger: Any, record: Any) -> Any:
        verdict = link.previous(logger, record)
        listener = link.listener
        if verdict and listener is not None:
            try:
                # since Python 3.12 a filter may put another in its place
                listener(verdict if issubclass(type(verdict), kind_of_record) else record)
            except Exception as own:
                diagnostics.note("logging", f"what was logged was not reported: {describe(own)}")
        return verdict

    return filter


def is_ours_to_hear(record: LogRecord) -> bool:
    """Not what lastword itself says, nor what another process has logged and this one handles for it."""
    name = record.name
    return record.process in (None, os.getpid()) and name != "lastword" and not name.startswith("lastword.")


def level_of(record: LogRecord) -> Level:
    """The level of an event or breadcrumb: CRITICAL is fatal, and what lies between two counts as the lower one."""
    return level_of_number(record.levelno)


def text_of(record: LogRecord, scrub: Callable[[str], str]) -> str:
    """The message with its arguments, in at most 8,192 characters (see ``clean_ends``). Runs their ``str``, as any
    handler would.
    """
    try:
        return clean_ends(record.getMessage(), MAX_TEXT, scrub)
    except Exception:  # arguments that do not fit: logging will say so itself
        message = record.msg
        if type(message) is str:
            return clean_ends(message, MAX_TEXT, scrub)
        return f"<unprintable {class_name(type(message))}>"


def exception_of(record: LogRecord) -> Optional[tuple[BaseException, Optional[TracebackType]]]:
    """The exception that was logged, and its traceback where it has a real one (Celery passes on pictures of such)."""
    information: Any = record.exc_info
    if type(information) is not tuple or len(information) != 3:
        return None
    error, traceback = information[1:]
    if not issubclass(type(error), BaseException):
        return None
    return error, traceback if type(traceback) is TracebackType else None


def logger_name(record: LogRecord) -> str:
    return clean(record.name, MAX_NAME)


def origin_of(record: LogRecord) -> Origin:
    """The line that logged it, as ``logging`` found it."""
    return Origin("message", clean(record.pathname, MAX_FILE), record.lineno)


def calling_frame(record: LogRecord) -> Optional[FrameType]:
    """The frame of the line that logged it; the one that called ``logging`` or us, where there is no such line."""
    caller: Optional[FrameType] = None
    frame: Optional[FrameType] = sys._getframe()
    own = os.path.dirname(sys.modules["logging"].__file__ or "") + os.sep
    while frame is not None:
        file = frame.f_code.co_filename
        if file == record.pathname and frame.f_lineno == record.lineno:
            return frame
        if caller is None and not is_own_file(file) and not file.startswith(own):
            caller = frame
        frame = frame.f_back
    return caller
