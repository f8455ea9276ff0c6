"""Call sites: the part of a frame that is the same each time an instruction of a code object runs, computed once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import islice
from types import CodeType, FrameType
from typing import Any, NamedTuple, Optional
from weakref import ref

from lastword.capture.safe_text import clean, exact
from lastword.capture.source import MAX_LINE, excerpt, file_found, is_code_in_app, source_lines
from lastword.capture.variables import names_in
from lastword.event import Frame
from lastword.event_json import encode_value

MAX_NAME = 200
MAX_PATH = 1024
_LINES_ABOVE = 20
_MAX_SITES_KNOWN = 2048

Columns = tuple[int, int, int]


class CallSite(NamedTuple):
    """The unchanging part of a Frame, as a dict and as JSON."""

    code: ref[CodeType]  # not the code itself: a program may generate code and release it
    global_name: Optional[str]  # the module's __name__ at that time
    local_names: frozenset[str]
    frame: Frame  # without variables; the path only if it is absolute
    begun_json: str  # up to the variables; "" if the path is relative, because it depends on the working directory
    file_found: Optional[tuple[int, int]]  # mtime in ns and size of the source file


class CallSites:
    """The call sites met so far.

    ``scrub_source`` is called once with the lines of each site and returns as many lines; for the other arguments see
    ``CaptureSettings``.
    """

    def __init__(
        self,
        scrub_source: Callable[[Sequence[str]], list[str]],
        context_lines: int,
        in_app: tuple[str, ...],
        not_in_app: tuple[str, ...],
    ) -> None:
        self._scrub_source = scrub_source
        self._context_lines = context_lines
        self._named = {**dict.fromkeys(not_in_app, False), **dict.fromkeys(in_app, True)}
        # Key: the code object's address, the instruction and its line. Not the code object itself: its hash and
        # equality read its constants. The entry's weak reference shows whether the address now belongs to another.
        self._known: dict[tuple[int, int, int], CallSite] = {}

    def at(self, frame: FrameType, line: int, instruction: int) -> CallSite:
        """Return the call site of ``frame``, from the cache if it was met before."""
        key = (id(frame.f_code), instruction, line)
        site = self._known.get(key)
        if site is None or site.code() is not frame.f_code or site.global_name is not _global_name(frame):
            if len(self._known) >= _MAX_SITES_KNOWN:
                self._known.clear()
            site = self._known[key] = self._survey(frame, line, instruction)
        return site

    def _survey(self, frame: FrameType, line: int, instruction: int) -> CallSite:
        code = frame.f_code
        name = _global_name(frame)
        lines = source_lines(frame)
        first, shown = excerpt(lines, line, self._context_lines)
        file = clean(code.co_filename, MAX_PATH)
        module = None if name is None else clean(name, MAX_NAME)
        is_in_app = self._is_in_app(module, frame)
        # Library code contains no secrets of the program that would be worth the time.
        above = lines[max(0, first - 1 - _LINES_ABOVE) : first - 1] if is_in_app and shown else []
        known: Frame = {
            "file": file,
            "path": os.path.normpath(file) if os.path.isabs(file) else "",
            "module": module,
            "function": clean(code.co_name, MAX_NAME),
            "qualname": clean(getattr(code, "co_qualname", code.co_name), MAX_NAME),
            "line": line,
            "columns": _columns(code, instruction, lines),
            "first_source_line": first,
            "source": self._scrubbed(above, shown),
            "in_app": is_in_app,
            "variables": [],
        }
        return CallSite(
            code=ref(code),
            global_name=name,
            local_names=names_in(code),
            frame=known,
            begun_json=begun_json(known) if known["path"] else "",
            file_found=file_found(exact(code.co_filename), known["path"]) if shown and known["path"] else None,
        )

    def _scrubbed(self, above: list[str], shown: list[str]) -> list[str]:
        """Return ``shown``, scrubbed; an assignment to a secret name may begin in the lines ``above``."""
        before = [line.rstrip("\r\n")[:MAX_LINE] for line in above]
        return self._scrub_source([*before, *shown])[len(before) :]

    def _is_in_app(self, module: Optional[str], frame: FrameType) -> bool:
        """Decide by the longest configured name that is ``module`` or contains it, otherwise by the code's file."""
        while module:
            if module in self._named:
                return self._named[module]
            module = module.rpartition(".")[0]
        return is_code_in_app(exact(frame.f_code.co_filename), frame.f_globals)


def begun_json(frame: Frame) -> str:
    """Return the JSON of a frame up to its variables; the frame must have no variables."""
    return encode_value(frame)[: -len("[]}")]


def _global_name(frame: FrameType) -> Optional[str]:
    name: Any = dict.get(frame.f_globals, "__name__")
    return name if type(name) is str else None


def _columns(code: Any, instruction: int, lines: list[str]) -> Optional[Columns]:
    """Return (end line, column, end column), in characters, of the running expression; None if Python has none."""
    if instruction < 0 or not hasattr(code, "co_positions"):
        return None
    line, end_line, column, end_column = next(islice(code.co_positions(), instruction // 2, None), (None,) * 4)
    if line is None or end_line is None or column is None or end_column is None:
        return None
    return end_line, _in_characters(lines, line, column), _in_characters(lines, end_line, end_column)


def _in_characters(lines: list[str], line: int, offset: int) -> int:
    """Convert a column that Python counts in bytes of UTF-8."""
    if not 1 <= line <= len(lines) or lines[line - 1].isascii():
        return offset
    return len(lines[line - 1].encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "replace"))
