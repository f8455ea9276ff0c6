"""Stacks, read into Frames."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from types import FrameType, TracebackType
from typing import Any, Optional

from lastword.capture.call_site import MAX_NAME, MAX_PATH, CallSite, call_site
from lastword.capture.room import Room, json_cost
from lastword.capture.safe_text import clean
from lastword.capture.source import is_own_file
from lastword.capture.variables import frame_variables
from lastword.event import Frame, Variable, frames_left_out, placeholder

#: Of a longer stack, so many frames at each end are kept.
MAX_FRAMES_PER_END = 50

_Call = tuple[FrameType, int, int]  # frame, line, instruction


class StackReader:
    """Reads the stacks of one event: its exceptions share the room and the list of source files.

    Attributes:
        sources: absolute path → (mtime in ns, size) of the files whose source was taken so far.
        stripped: how many frames went without their variables and source for want of room.
    """

    def __init__(self, is_sensitive: Callable[[str], bool], room: Room) -> None:
        self.sources: dict[str, tuple[int, int]] = {}
        self.stripped = 0
        self._is_sensitive = is_sensitive
        self._room = room
        self._files_asked: set[str] = set()

    def of_traceback(self, traceback: Optional[TracebackType]) -> list[Frame]:
        """The frames of a traceback with their variables, outermost first.

        At most 100: of more, the first 50 and the last 50, with a frame between them that says how many are missing.
        """
        first, between, last = _both_ends(_calls_of_traceback(traceback))
        return self._read(first, between, last, with_variables=True)

    def of_callers(self, frame: Optional[FrameType]) -> list[Frame]:
        """The stack that ends in ``frame``, outermost first, bounded likewise; without variables, without our own."""
        inner, between, outer = _both_ends(_calls_of_stack(frame))
        return self._read(outer[::-1], between, inner[::-1], with_variables=False)

    def _read(self, outer: list[_Call], between: int, inner: list[_Call], *, with_variables: bool) -> list[Frame]:
        # From the inside out, so that the frames nearest to the raise are the last to lose their room.
        inner_frames = self._read_calls(inner, with_variables)
        outer_frames = self._read_calls(outer, with_variables)
        missing = between + len(inner) + len(outer) - len(inner_frames) - len(outer_frames)
        return [*outer_frames, *([frames_left_out(missing)] if missing else []), *inner_frames]

    def _read_calls(self, calls: list[_Call], with_variables: bool) -> list[Frame]:
        frames: list[Frame] = []
        for call in reversed(calls):
            try:
                frame = self._frame(*call, with_variables)
            except Exception:  # such as RecursionError: the code object still says where this was
                frame = _bare_frame(*call[:2])
            if frame is None:
                break
            frames.append(frame)
        frames.reverse()
        return frames

    def _frame(self, frame: FrameType, line: int, instruction: int, with_variables: bool) -> Optional[Frame]:
        site = call_site(frame, line, instruction)
        if not self._room.take(site.cost):
            return None
        source, variables = self._details(frame, site, with_variables)
        path = site.path or _absolute(site.file)
        if source:
            self._add_source_file(path)
        return {
            "file": site.file,
            "path": path,
            "module": _module(frame),
            "function": site.function,
            "qualname": site.qualname,
            "line": site.line,
            "columns": site.columns,
            "first_source_line": site.first_source_line if source else 0,
            "source": source,
            "in_app": site.in_app,
            "variables": variables,
        }

    def _details(self, frame: FrameType, site: CallSite, with_variables: bool) -> tuple[list[str], list[Variable]]:
        source = list(site.source) if self._room.take(site.source_cost) else []
        variables = frame_variables(frame, self._is_sensitive) if with_variables else []
        if not self._room.take(_cost(variables)):
            variables = []
            self.stripped += 1
        elif site.source and not source:
            self.stripped += 1
        return source, variables

    def _add_source_file(self, path: str) -> None:
        if path in self._files_asked:
            return
        self._files_asked.add(path)
        try:
            found = os.stat(path)
        except (OSError, ValueError):
            return
        self.sources[path] = (found.st_mtime_ns, found.st_size)


def _calls_of_traceback(traceback: Optional[TracebackType]) -> Iterator[_Call]:
    while traceback is not None:
        frame: Any = traceback.tb_frame
        # None where the compiler gave an instruction no line
        line: Optional[int] = traceback.tb_lineno
        yield frame, frame.f_code.co_firstlineno if line is None else line, traceback.tb_lasti
        traceback = traceback.tb_next


def _calls_of_stack(frame: Optional[FrameType]) -> Iterator[_Call]:
    while frame is not None:
        if not is_own_file(frame.f_code.co_filename):
            line: Optional[int] = frame.f_lineno
            yield frame, frame.f_code.co_firstlineno if line is None else line, frame.f_lasti
        frame = frame.f_back


def _both_ends(calls: Iterable[_Call]) -> tuple[list[_Call], int, list[_Call]]:
    """The first calls, the number of those between, and the last calls."""
    remaining = iter(calls)
    first = list(islice(remaining, MAX_FRAMES_PER_END))
    last: deque[_Call] = deque(maxlen=MAX_FRAMES_PER_END)
    count = 0
    for call in remaining:
        last.append(call)
        count += 1
    return first, count - len(last), list(last)


def _cost(variables: list[Variable]) -> int:
    # All texts as one: that is one look at them instead of two for each variable.
    return json_cost("".join([part for name, _, text in variables for part in (name, text)])) + 25 * len(variables)


def _module(frame: FrameType) -> Optional[str]:
    name = dict.get(frame.f_globals, "__name__")
    return clean(name, 200) if type(name) is str else None


def _absolute(file: str) -> str:
    try:
        return os.path.abspath(file)
    except OSError:  # the working directory is gone
        return file


def _bare_frame(frame: FrameType, line: int) -> Frame:
    code = frame.f_code
    return placeholder(code.co_filename[:MAX_PATH], code.co_name[:MAX_NAME], line)
