"""Where a SyntaxError is: in a file that was never run, so no traceback leads there."""

from __future__ import annotations

from typing import Any, Optional

from lastword.capture.call_site import MAX_PATH, Columns
from lastword.capture.safe_text import clean
from lastword.capture.source import MAX_LINE, absolute_path, is_in_app
from lastword.event import Frame, placeholder

#: Stands for the function, for there is none.
FUNCTION = "<syntax error>"

_slots: dict[str, Any] = {
    name: SyntaxError.__dict__[name].__get__
    for name in ("filename", "lineno", "offset", "text", "end_lineno", "end_offset")
    if name in SyntaxError.__dict__  # the last two since Python 3.10
}


def syntax_error_place(error: BaseException) -> Optional[Frame]:
    """The line that could not be parsed, as a frame; None for other exceptions, and where it is not told.

    Raises what odd attributes raise: a program may put anything there.
    """
    if not issubclass(type(error), SyntaxError):
        return None
    told = {name: read(error) for name, read in _slots.items()}
    file, line, text = told["filename"], told["lineno"], told["text"]
    if type(file) is not str or type(line) is not int or line < 1:
        return None
    frame = placeholder(clean(file, MAX_PATH), FUNCTION, line)
    frame["path"] = absolute_path(frame["file"])
    frame["in_app"] = is_in_app(file)
    if type(text) is str and text.strip():
        frame["source"], frame["first_source_line"] = [clean(text.split("\n", 1)[0].rstrip("\r"), MAX_LINE)], line
        frame["columns"] = _columns(line, told)
    return frame


def _columns(line: int, told: dict[str, Any]) -> Optional[Columns]:
    start, end_line, end = told["offset"], told.get("end_lineno"), told.get("end_offset")
    if not (type(start) is type(end_line) is type(end) is int) or start < 1 or end_line < line or end < 1:
        return None
    return end_line, start - 1, end - 1
