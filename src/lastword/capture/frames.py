"""Read stacks into Frames.

A deep stack is shortened: recursion is shown for a few cycles, otherwise both ends are kept. The cost is bounded at any
depth: each call is passed once, and only a fixed number at each end is read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from types import FrameType, TracebackType
from typing import Any, Optional, TypeVar, cast

from lastword.capture.budget import LEFT_BY_VARIABLES, Room
from lastword.capture.call_site import MAX_NAME, MAX_PATH, begun_json
from lastword.capture.own_repr import OwnReprs
from lastword.capture.safe_text import exact
from lastword.capture.settings import CaptureSettings
from lastword.capture.source import absolute_path, is_own_file
from lastword.capture.variables import NO_VARIABLES, is_traced
from lastword.event import Frame, frames_left_out, placeholder
from lastword.event_json import EncodedFrame
from lastword.interruption import failures

#: The most calls kept of a stack.
MAX_CALLS = 100

#: Calls kept at each end at least, unless that end only repeats.
MAX_CALLS_PER_END = MAX_CALLS // 2

#: How often a cycle of calls that repeats up to the gap is shown, before the gap and after it.
SHOWN_CYCLES = 3

_T = TypeVar("_T")


def both_ends(calls: Iterable[_T], same_place: Callable[[_T, _T], bool]) -> tuple[list[_T], int, list[_T]]:
    """Return the first calls, the number of calls left out, and the last calls; at most 100 calls in all.

    Up to 100 calls are all kept. Of more, the first 50 and the last 50 are kept; if the first end (or the last begin)
    with a repeating cycle of calls, the cycle is kept three times, and the other end gets the room.
    """
    remaining = iter(calls)
    head = list(islice(remaining, MAX_CALLS))
    tail: deque[_T] = deque(maxlen=MAX_CALLS)
    beyond = 0
    for call in remaining:
        tail.append(call)
        beyond += 1
    if not beyond:
        return head[:MAX_CALLS_PER_END], 0, head[MAX_CALLS_PER_END:]
    total = len(head) + beyond
    first = _without_repetition(head, same_place)
    window = [*head[len(tail) :], *tail]
    if len(first) < MAX_CALLS:  # calls shown at the beginning are not shown again at the end
        window = window[max(0, len(first) + MAX_CALLS - total) :]
    last = _without_repetition(window[::-1], same_place)[::-1]
    last = last[-max(MAX_CALLS_PER_END, MAX_CALLS - len(first)) :]
    first = first[: MAX_CALLS - len(last)]
    return first, total - len(first) - len(last), last


def _without_repetition(calls: list[_T], same_place: Callable[[_T, _T], bool]) -> list[_T]:
    """Return ``calls`` up to the third round of the cycle they end with; all calls if they end with no cycle."""
    for cycle in range(1, len(calls) // (SHOWN_CYCLES + 1) + 1):
        start = len(calls) - cycle
        while start > 0 and same_place(calls[start - 1], calls[start - 1 + cycle]):
            start -= 1
        if len(calls) - start > SHOWN_CYCLES * cycle:
            return calls[: start + SHOWN_CYCLES * cycle]
    return calls


_Call = tuple[FrameType, int, int]  # frame, line, instruction

_END = len("[]}")


class StackReader:
    """Reads the stacks of one event: its exceptions share the room and the list of source files.

    Attributes:
        sources: absolute path → (mtime in ns, size) of the files whose source was read so far.
        syntax_error_places, scrub_text: as in the settings.
        stripped: the number of frames that lost their variables or source because the room was used up.
    """

    def __init__(self, settings: CaptureSettings, room: Room, own_reprs: Optional[OwnReprs] = None) -> None:
        self.sources: dict[str, tuple[int, int]] = {}
        self.stripped = 0
        self.scrub_text = settings.scrub_text
        self._sites = settings.sites
        self._variables = settings.variables
        self._with_variables = settings.local_variables
        self.syntax_error_places = settings.syntax_error_places
        self._own_reprs = own_reprs
        self._is_traced = is_traced()
        self._room = room

    def of_traceback(self, traceback: Optional[TracebackType]) -> list[Frame]:
        """Return the frames of a traceback, outermost first, with variables if the settings ask for them.

        At most 100 frames: of more, both ends (``both_ends``) and between them a frame with the number left out.
        """
        first, between, last = both_ends(_calls_of_traceback(traceback), _same_place)
        return self._read(first, between, last, with_variables=self._with_variables)

    def of_callers(self, frame: Optional[FrameType]) -> list[Frame]:
        """Return the stack that ends in ``frame``, bounded likewise, without variables and lastword's own frames."""
        inner, between, outer = both_ends(_calls_of_stack(frame), _same_place)
        return self._read(outer[::-1], between, inner[::-1], with_variables=False)

    def _read(self, outer: list[_Call], between: int, inner: list[_Call], *, with_variables: bool) -> list[Frame]:
        # From the inside out, so that the frames nearest to the raise get their room first.
        inner_frames = self._read_calls(inner, with_variables)
        outer_frames = self._read_calls(outer, with_variables)
        missing = between + len(inner) + len(outer) - len(inner_frames) - len(outer_frames)
        return [*outer_frames, *([frames_left_out(missing)] if missing else []), *inner_frames]

    def _read_calls(self, calls: list[_Call], with_variables: bool) -> list[Frame]:
        frames: list[Frame] = []
        for call in reversed(calls):
            try:
                frame = self._frame(*call, with_variables)
            except failures():  # such as RecursionError: the code object still gives the place
                frame = _bare_frame(*call[:2])
            if frame is None:
                break
            frames.append(frame)
        frames.reverse()
        return frames

    def _frame(self, frame: FrameType, line: int, instruction: int, with_variables: bool) -> Optional[Frame]:
        site = self._sites.at(frame, line, instruction)
        begun, without_source = site.begun_json or _begun_here(site.frame), False
        if not self._room.take(len(begun) + _END):
            begun, without_source = _begun_here({**site.frame, "first_source_line": 0, "source": []}), True
            if not self._room.take(len(begun) + _END):
                return None
        variables, texts = NO_VARIABLES
        if with_variables:
            variables, texts = self._variables.read(
                frame, self._own_reprs, None if self._is_traced else site.local_names
            )
        without_variables = variables != "[]" and not self._room.take(len(variables), LEFT_BY_VARIABLES)
        if without_variables:
            variables, texts = NO_VARIABLES
        if without_variables or without_source:
            self.stripped += 1
        if site.file_found and not without_source:
            self.sources[site.frame["path"]] = site.file_found
        return cast("Frame", EncodedFrame(f"{begun}{variables}}}", texts))


def _begun_here(frame: Frame) -> str:
    """Return the beginning of the frame's JSON, its path made absolute against the current directory."""
    return begun_json({**frame, "path": absolute_path(frame["file"])})


def _calls_of_traceback(traceback: Optional[TracebackType]) -> Iterator[_Call]:
    while traceback is not None:
        frame: Any = traceback.tb_frame
        # None if the compiler gave the instruction no line
        line: Optional[int] = traceback.tb_lineno
        yield frame, frame.f_code.co_firstlineno if line is None else line, traceback.tb_lasti
        traceback = traceback.tb_next


def _calls_of_stack(frame: Optional[FrameType]) -> Iterator[_Call]:
    while frame is not None:
        if not is_own_file(frame.f_code.co_filename):
            line: Optional[int] = frame.f_lineno
            yield frame, frame.f_code.co_firstlineno if line is None else line, frame.f_lasti
        frame = frame.f_back


def _same_place(one: _Call, other: _Call) -> bool:
    return one[0].f_code is other[0].f_code and one[2] == other[2]


def _bare_frame(frame: FrameType, line: int) -> Frame:
    code = frame.f_code
    return placeholder(exact(code.co_filename)[:MAX_PATH], exact(code.co_name)[:MAX_NAME], line)
