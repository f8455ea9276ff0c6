"""The origin of an event, found before the event is captured: cheap enough for events that are dropped."""

from __future__ import annotations

import sys
from types import FrameType, TracebackType
from typing import Optional

from lastword.capture.safe_text import class_path, clean
from lastword.capture.source import is_own_file
from lastword.event import Origin

MAX_FILE = 1024
MESSAGE = "message"

_traceback_of = BaseException.__dict__["__traceback__"].__get__


def origin_of_exception(error: BaseException, traceback: Optional[TracebackType]) -> Origin:
    """Return the class of ``error`` and the line that raised it, or that captures it if it was never raised.

    ``traceback`` is used if the exception does not (or no longer) hold its own.
    """
    kind = class_path(type(error))
    last: Optional[TracebackType] = traceback or _traceback_of(error)
    if last is None:
        return _origin_of_caller(kind)
    while last.tb_next is not None:
        last = last.tb_next
    return _origin(kind, last.tb_frame, last.tb_lineno)


def origin_of_message() -> Origin:
    """Return the line of the program that captures the message."""
    return _origin_of_caller(MESSAGE)


def _origin_of_caller(kind: str) -> Origin:
    frame: Optional[FrameType] = sys._getframe()
    while frame is not None and is_own_file(frame.f_code.co_filename):
        frame = frame.f_back
    return Origin(kind, "", 0) if frame is None else _origin(kind, frame, frame.f_lineno)


def _origin(kind: str, frame: FrameType, line: Optional[int]) -> Origin:
    return Origin(kind, clean(frame.f_code.co_filename, MAX_FILE), line or 0)
