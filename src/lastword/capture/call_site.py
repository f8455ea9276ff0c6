"""What is the same each time a stack passes through one instruction of one code object, worked out once."""

from __future__ import annotations

import os
from itertools import islice
from types import CodeType, FrameType
from typing import Any, NamedTuple, Optional

from lastword.capture.room import json_cost
from lastword.capture.safe_text import clean
from lastword.capture.source import excerpt, is_in_app, source_lines

MAX_NAME = 200
MAX_PATH = 1024
_MAX_SITES_KNOWN = 2048

Columns = tuple[int, int, int]


class CallSite(NamedTuple):
    """The unchanging part of a Frame."""

    code: CodeType
    file: str
    path: Optional[str]  # None: relative, so it depends on the working directory
    function: str
    qualname: str
    line: int
    columns: Optional[Columns]
    in_app: bool
    first_source_line: int
    source: tuple[str, ...]
    source_cost: int
    cost: int  # of all the rest, in characters of JSON


# By the code object's address, the instruction and its line. Not by the code object itself: its hash and equality look
# at its constants. The entry holds the code object, so the address cannot come to mean another one.
_known: dict[tuple[int, int, int], CallSite] = {}


def call_site(frame: FrameType, line: int, instruction: int) -> CallSite:
    """The site at which ``frame`` is, from memory where it was met before."""
    key = (id(frame.f_code), instruction, line)
    site = _known.get(key)
    if site is None:
        if len(_known) >= _MAX_SITES_KNOWN:
            _known.clear()
        site = _known[key] = _survey(frame, line, instruction)
    return site


def _survey(frame: FrameType, line: int, instruction: int) -> CallSite:
    code = frame.f_code
    file = clean(code.co_filename, MAX_PATH)
    lines = source_lines(frame)
    first_source_line, source = excerpt(lines, line)
    qualname = clean(getattr(code, "co_qualname", code.co_name), MAX_NAME)
    return CallSite(
        code=code,
        file=file,
        path=os.path.normpath(file) if os.path.isabs(file) else None,
        function=clean(code.co_name, MAX_NAME),
        qualname=qualname,
        line=line,
        columns=_columns(code, instruction, lines),
        in_app=is_in_app(code.co_filename),
        first_source_line=first_source_line,
        source=source,
        source_cost=sum(map(json_cost, source)),
        # file, path and the key in Event.sources; function, module and qualname; the keys and the numbers
        cost=3 * json_cost(file) + 3 * json_cost(qualname) + 300,
    )


def _columns(code: Any, instruction: int, lines: list[str]) -> Optional[Columns]:
    """(end line, column, end column) in characters of the expression at work; None where Python does not tell."""
    if instruction < 0 or not hasattr(code, "co_positions"):
        return None
    line, end_line, column, end_column = next(islice(code.co_positions(), instruction // 2, None), (None,) * 4)
    if line is None or end_line is None or column is None or end_column is None:
        return None
    return end_line, _in_characters(lines, line, column), _in_characters(lines, end_line, end_column)


def _in_characters(lines: list[str], line: int, offset: int) -> int:
    """Python counts columns in bytes of UTF-8."""
    if not 1 <= line <= len(lines) or lines[line - 1].isascii():
        return offset
    return len(lines[line - 1].encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "replace"))
