"""The marks under a line of source that show which part of it was running, as in Python's own tracebacks.

From Python 3.11 on: ``^`` under the expression; if it is an operation or an item, ``~`` under the rest of it. Python
3.13 shows each line of an expression over several lines, marks the brackets of calls too, and omits the marks where
they would add nothing.
"""

from __future__ import annotations

import ast
import re
import textwrap
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Optional

from lastword.event import FILTERED

_FIRST_OF_SEVERAL_LINES = (3, 13)

#: May begin an escape that Python warns of; replaced by one character, it leaves all other places unchanged.
_ESCAPE = re.compile(r"\\(?![\n'\"])")

_Place = tuple[int, int]  # row and column, from 0, in characters


class _Source(NamedTuple):
    rows: tuple[str, ...]  # missing rows are unknown
    end_row: int
    start: int
    end: int


def marked_source(frame: Mapping[str, Any], version: str) -> list[str]:
    """Return the line of ``frame``, without indentation, with the marks below; more lines where Python shows more.

    ``version`` is that of the Python that captured. [] if no source is known, and no marks if there are no columns, or
    if the source was changed, for example by scrubbing.
    """
    source, own = frame.get("source"), frame["line"] - frame["first_source_line"]
    if not source or not 0 <= own < len(source) or not source[own].strip():
        return []
    columns = frame.get("columns")
    if columns is None:
        return [source[own].strip()]
    end_line, start, end = columns
    rows = tuple([row.rstrip() for row in source[own : own + max(end_line - frame["line"], 0) + 1]])
    return list(_marked(_Source(rows, end_line - frame["line"], start, end), _is_newer(version)))


def _is_newer(version: str) -> bool:
    numbers = re.match(r"(\d{1,4})\.(\d{1,4})", version)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= _FIRST_OF_SEVERAL_LINES


@lru_cache(maxsize=2048)
def _marked(source: _Source, newer: bool) -> list[str]:
    rows = source.rows
    is_whole = len(rows) == source.end_row + 1
    if any(FILTERED in row for row in rows) or source.start > len(rows[0]) or (is_whole and source.end > len(rows[-1])):
        return [rows[0].strip()]
    if newer and is_whole:
        return _as_since_3_13(rows, source.start, source.end)
    return _as_in_3_11(rows[0], source.start, source.end if source.end_row == 0 else None)


def _as_in_3_11(line: str, start: int, end: Optional[int]) -> list[str]:
    """``end`` is None if it is on another line."""
    shown = line.strip()
    middle = None if end is None else _middle([line[start:end]], of_calls=False)
    end = len(line.rstrip()) if end is None else max(end, start + 1)
    if middle is None and end - start >= len(shown):
        return [shown]
    indentation = len(line) - len(line.lstrip())
    return [shown, _marks(line, start, end, 0, start, middle)[indentation:]]


def _as_since_3_13(original: tuple[str, ...], start: int, end: int) -> list[str]:
    rows = textwrap.dedent("\n".join(original)).split("\n")
    cut = len(original[0]) - len(rows[0])
    start, end = max(start - cut, 0), max(end - cut, 0)
    segment = rows.copy()
    segment[-1] = segment[-1][:end]
    segment[0] = segment[0][start:]
    middle = _middle(segment, of_calls=True)
    with_marks = _marks_help(rows, start, end, middle)
    shown = {0, len(rows) - 1}
    for row, _ in middle or ():
        shown.update({row - 1, row, row + 1} & {*range(len(rows))})
    lines: list[str] = []
    before = -1
    for row in sorted(shown):
        missing = range(before + 1, row)
        if len(missing) > 1:
            lines.append(f"...<{len(missing)} lines>...")
        for number in [*(missing if len(missing) == 1 else ()), row]:
            text = rows[number]
            lines.append(text)
            if with_marks:
                first = start if number == 0 else 0
                last = end if number == len(rows) - 1 else len(text)
                lines.append(_marks(text, first, last, number, start, middle))
        before = row
    return textwrap.dedent("\n".join(lines)).split("\n")


def _marks(text: str, first: int, last: int, row: int, start: int, middle: Optional[tuple[_Place, _Place]]) -> str:
    """Return the marks below ``text``, row ``row`` of an expression that begins in column ``start`` of row 0."""
    blank = len(text) - len(text.lstrip())
    marks = ""
    for column in range(last):
        place = (row, column - start if row == 0 else column)
        mark = "^" if middle is None or middle[0] <= place < middle[1] else "~"
        width = 2 if column < len(text) and unicodedata.east_asian_width(text[column]) in "WF" else 1
        marks += (" " if column < max(first, blank) else mark) * width
    return marks


def _marks_help(rows: list[str], start: int, end: int, middle: Optional[tuple[_Place, _Place]]) -> bool:
    """Whether marks add anything; False for a whole ``return name(…)``, ``name = name(…)`` or other whole line."""
    statement = _parsed("\n".join(rows))
    call: Any = None
    if isinstance(statement, ast.Return):
        call = statement.value if isinstance(getattr(statement.value, "func", None), ast.Name) else None
    elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        call = statement.value if isinstance(statement.targets[0], ast.Name) else None
    if isinstance(call, ast.Call):
        place = (call.lineno, call.end_lineno, call.col_offset, call.end_col_offset)
        if place == (1, len(rows), start, end):
            return False
    return middle is not None or bool(rows[0][:start].strip() or rows[-1][end:].strip())


def _middle(segment: list[str], *, of_calls: bool) -> Optional[tuple[_Place, _Place]]:
    """Return where the operator, or the brackets, of the expression in ``segment`` begin and end; None without them."""
    statement = _parsed("(\n" + "\n".join(segment) + "\n)")
    expression: Any = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(expression, ast.BinOp):
        right = expression.right
        row, column = _next(segment, expression.left, ") \t\f", is_among=False)
        # Before 3.13 Python searches the second character behind a closing bracket, too.
        first = (row, column) if of_calls else _next(segment, expression.left, " \t\f", is_among=False)
        second = segment[first[0]][first[1] + 1 : first[1] + 2]
        is_before_right = (first[0], first[1] + 1) < (
            right.lineno - 2,
            _in_characters(segment, right.lineno, right.col_offset),
        )
        is_longer = is_before_right and second and not second.isspace() and second not in "\\#"
        return (row, column), (row, column + 2 if is_longer else column + 1)
    opening, before = "[", expression.value if isinstance(expression, ast.Subscript) else None
    if of_calls and isinstance(expression, ast.Call):
        opening, before = "(", expression.func
    if before is None:
        return None
    return _next(segment, before, opening, is_among=True), _end_of(segment, expression)


def _parsed(text: str) -> Optional[ast.stmt]:
    try:
        return ast.parse(_ESCAPE.sub("/", text)).body[0]
    except Exception:  # part of a statement, syntax of another Python, or nested too deep
        return None


def _next(segment: list[str], before: Any, characters: str, *, is_among: bool) -> _Place:
    """Return the first place behind ``before`` with one of ``characters`` (or none of them, if not ``is_among``);
    comments are skipped.
    """
    row, column = _end_of(segment, before)
    while row < len(segment):
        if column >= len(segment[row]) or segment[row][column] in "\\#":
            row, column = row + 1, 0
        elif (segment[row][column] in characters) is is_among:
            break
        else:
            column += 1
    return min(row, len(segment) - 1), column


def _end_of(segment: list[str], node: Any) -> _Place:
    return node.end_lineno - 2, _in_characters(segment, node.end_lineno, node.end_col_offset)


def _in_characters(segment: list[str], line: int, offset: int) -> int:
    """Convert a column of ``ast``, which counts bytes of UTF-8, and lines from the bracket put before the segment."""
    text = segment[line - 2]
    return offset if text.isascii() else len(text.encode()[:offset].decode(errors="replace"))
