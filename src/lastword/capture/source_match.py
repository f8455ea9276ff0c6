"""Whether lines of source are those that a code object was compiled from, as far as the code object can tell.

Python keeps no word of the file that it compiled, so the two are compared: where the code begins there has to be its
``def`` or ``class``; each line that it has instructions of has to be code; its names have to stand there or below; and,
where Python tells columns (from 3.11 on), each expression has to begin and end where words of the source do. What
passes unnoticed is a change that moves nothing: another number, another operator of the same length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import CodeType
from typing import Any, Optional

#: Of the flags of a code object: it is a function's, and its locals are.
CO_OPTIMIZED = 1

_BEGINNINGS = ("@", "def ", "async ", "class ", "type ")
_MAX_DECORATORS = 20  # lines of them, where no line of the body has an instruction
_MAX_LINES_BELOW = 100  # of the last instruction: names that are used where the code never comes stand there

#: The code that tells annotations (from 3.14 on) begins where what is annotated does: a function, a class, a module.
_ANNOTATIONS = "__annotate__"

_WORD = re.compile(r"\w+")
_IN_A_WORD = re.compile(rb"(?<=[\w\x80-\xff])(?=[\w\x80-\xff])")

_Place = tuple[Optional[int], Optional[int], Optional[int], Optional[int]]  # line, end line, column, end column


def may_be_source_of(code: CodeType, lines: list[str]) -> bool:
    """Whether ``lines``, all those of a file, may be what ``code`` was compiled from."""
    if not _begins_there(code, lines):
        return False
    if code.co_name != "<module>" and not code.co_flags & CO_OPTIMIZED:
        return True  # the body of a class, which may have instructions for places in its head
    return _lines_are_code(code, lines) and _names_are_there(code, lines) and _columns_fit(code, lines)


def _begins_there(code: CodeType, lines: list[str]) -> bool:
    first, name = code.co_firstlineno, code.co_name
    if name.startswith("<") or name == _ANNOTATIONS:
        return first <= len(lines)
    if not "".join(lines[first - 1 : first]).lstrip().startswith(_BEGINNINGS):
        return False
    # or the bound of a type parameter, which has code of its own
    definition = re.compile(rf"\s*(?:async\s+def|def|class|type)\s+{re.escape(name)}\b|.*[\[,]\s*{re.escape(name)}\s*:")
    last = max(_lines_of(code), default=first) + _MAX_DECORATORS
    return any(map(definition.match, lines[first - 1 : last]))


def _lines_are_code(code: CodeType, lines: list[str]) -> bool:
    for line in set(_lines_of(code)):
        if line > len(lines):
            return False
        text = lines[line - 1].lstrip()
        if line > 1 and (not text or text.startswith("#")):
            return False
    return True


def _names_are_there(code: CodeType, lines: list[str]) -> bool:
    """Names that Python, or a tool that rewrites code, puts there of its own are none of the source's."""
    if code.co_name == _ANNOTATIONS:
        return True
    last = max(_lines_of(code), default=code.co_firstlineno) + _MAX_LINES_BELOW
    first = 1 if code.co_name == "<module>" else code.co_firstlineno  # where 3.9 has its first instruction
    words = set(_WORD.findall("".join(lines[first - 1 : last])))
    written = filter(_is_written, code.co_names + code.co_varnames)
    names = (part for name in written for part in name.split("."))
    return all(name in words or name[name.find("__", 1) :] in words for name in names)  # of classes: _Shop__name


def _is_written(name: str) -> bool:
    """As it is, or a dotted name of an import: not ``__name__``, ``.0``, nor ``@py_assert1`` of pytest, nor one that
    may be written in other letters.
    """
    is_pythons = name.startswith("__") and name.endswith("__")
    return name.isascii() and not is_pythons and all(map(str.isidentifier, name.split(".")))


def _lines_of(code: Any) -> Iterable[int]:
    if hasattr(code, "co_lines"):
        return [line for _, _, line in code.co_lines() if line]
    lines, line = [], code.co_firstlineno  # 3.9
    for instructions, step in zip(code.co_lnotab[::2], code.co_lnotab[1::2]):
        if instructions:
            lines.append(line)
        line += step - 256 if step > 127 else step
    return [*lines, line]


def _columns_fit(code: Any, lines: list[str]) -> bool:
    if not hasattr(code, "co_positions"):
        return True
    encoded: dict[int, bytes] = {}

    def is_boundary(line: int, column: int) -> bool:
        text = encoded.get(line)
        if text is None:
            if line > len(lines):
                return False
            text = encoded[line] = lines[line - 1].rstrip("\r\n").encode("utf-8", "surrogatepass")
        return column <= len(text) and _IN_A_WORD.match(text, column) is None

    places: set[_Place] = set(code.co_positions())
    ends = {end for place in places for end in (place[::2], place[1::2])}
    return all(is_boundary(line, column) for line, column in ends if line and column)
