"""Trim to fit: a smaller event for a tracker with a limit in bytes. Pure: no clock, no randomness.

Removed in this order; within a step, the parts farthest from the raise first:

1. variables of library frames
2. the stacks of threads that did not capture
3. the lines around the source line of a frame
4. breadcrumbs except the last ten: the older ones explain the failure least
5. frames in the middle of a stack; a frame in their place says how many
6. the middles of long texts
7. all other variables
8. items of the user, the tags, extra and the contexts, which the program chose to report; notes, attachments, the last
   breadcrumbs, figures of the machine, exceptions behind the raised one
9. more frames, the source lines themselves, the middles of shorter texts

The id, the time, type and value of the exception and the innermost frame always stay. The tag ``lastword.trimmed``
lists the removed parts. Texts keep both ends and say how many characters were left out.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Callable, Optional, TypeVar

from lastword.event import (
    LEFT_OUT,
    TRIMMED_TAG,
    Breadcrumb,
    Event,
    ExceptionInfo,
    Frame,
    frames_left_out,
)
from lastword.wire.json_text import encode

_ALL = sys.maxsize

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Allowance:
    """How much of an event may stay. Distances count frames from the raise: 0 is the innermost."""

    library_variables: int = _ALL  # frames of libraries keep their variables below this distance
    threads: int = _ALL  # that did not capture
    source_context: int = _ALL  # frames keep the lines around their own below this distance
    breadcrumbs: int = _ALL  # the last ones
    frames_per_end: int = _ALL  # of each stack
    characters: int = _ALL  # of each text
    variables: int = _ALL  # frames keep their variables below this distance
    items: int = _ALL  # of user, tags, extra, contexts and each context, attachments, and each exception's notes
    figures: int = _ALL  # of memory and of scheduling, each
    chained: int = _ALL  # exceptions behind the raised one
    source_line: int = _ALL  # frames keep their own source line below this distance


_NEARER_AND_NEARER = (64, 32, 16, 8, 4, 2, 1, 0)

_STEPS = (
    ("library_variables", _NEARER_AND_NEARER),
    ("threads", (8, 0)),
    ("source_context", _NEARER_AND_NEARER),
    ("breadcrumbs", (50, 25, 10)),
    ("frames_per_end", (32, 16, 8, 4)),
    ("characters", (2048, 512)),
    ("variables", _NEARER_AND_NEARER),
    ("items", (16, 4, 0)),
    ("breadcrumbs", (3, 0)),
    ("figures", (0,)),
    ("chained", (4, 1, 0)),
    ("frames_per_end", (2, 1)),
    ("source_line", (0,)),
    ("characters", (128,)),
)


def ladder(allowance: Any, steps: tuple[tuple[str, tuple[Any, ...]], ...]) -> Iterator[Any]:
    """Yield ever smaller copies of ``allowance``, a dataclass; each step lowers one field, value by value."""
    for name, values in steps:
        for value in values:
            allowance = replace(allowance, **{name: value})
            yield allowance


#: From almost nothing removed to as much as possible.
LADDER: tuple[Allowance, ...] = tuple(ladder(Allowance(), _STEPS))


def fit(event: Event, render: Callable[[Event], bytes], limit: Optional[int]) -> bytes:
    """Return ``event``, or as much of it as fits into ``limit`` bytes (None: no limit), as ``render`` renders it.

    The same event and limit give the same bytes. If even the smallest version is too large, that version is returned.
    """
    body = render(event)
    if limit is None or len(body) <= limit:
        return body
    body = render(trimmed(event, LADDER[-1]))
    # By bisection: each rung is smaller than the one before, so a handful of renderings finds the first that fits.
    too_large, fits = -1, len(LADDER) - 1
    while fits - too_large > 1:
        middle = (too_large + fits) // 2
        smaller = render(trimmed(event, LADDER[middle]))
        if len(smaller) <= limit:
            fits, body = middle, smaller
        else:
            too_large = middle
    return body


def trimmed(event: Event, allowance: Allowance) -> Event:
    """Return a copy of ``event`` with at most ``allowance``, tagged with the removed parts; kept parts are shared."""
    return _Trimming(allowance).of(event)


class _Trimming:
    """One copy in progress, and the counts of the parts left out of it."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._gone: Counter[str] = Counter()

    def of(self, event: Event) -> Event:
        smaller = event.copy()
        smaller["exceptions"] = self._exceptions(event["exceptions"])
        smaller["stack"] = self._stack(event["stack"])
        smaller["threads"] = self._first(self._allowance.threads, event["threads"], "threads")
        smaller["tags"] = self._items(event["tags"])
        attachments = self._first(self._allowance.items, event["attachments"], "attachments")
        smaller["host"] = {**event["host"], "memory": self._figures(event["host"]["memory"])}
        smaller["process"] = {**event["process"], "status": self._figures(event["process"]["status"])}
        user, extra = self._items(event["user"] or {}), self._items(event["extra"])
        contexts = {name: self._items(context) for name, context in self._items(event["contexts"]).items()}
        breadcrumbs = self._breadcrumbs(event["breadcrumbs"])
        if self._allowance.characters < _ALL:
            # Unlike all other parts, these may be of any depth; and a cut fingerprint would be a different one.
            smaller.update({"user": None, "extra": {}, "contexts": {}, "breadcrumbs": [], "fingerprint": []})
            smaller["attachments"] = []
            smaller = self._cut_texts(smaller)
            attachments = [{**one, "name": self._cut(one["name"])} for one in attachments]
            user, extra = self._cut_nested(user), self._cut_nested(extra)
            contexts = {self._cut(name): self._cut_nested(context) for name, context in contexts.items()}
            breadcrumbs = [self._cut_breadcrumb(crumb) for crumb in breadcrumbs]
        smaller["user"], smaller["extra"], smaller["contexts"] = user or None, extra, contexts
        smaller["breadcrumbs"], smaller["fingerprint"] = breadcrumbs, event["fingerprint"]
        smaller["attachments"] = attachments
        gone = ", ".join(f"{name} {count}" for name, count in self._gone.items() if count)
        smaller["tags"] = {**smaller["tags"], TRIMMED_TAG: f"left out to fit: {gone}"}
        return smaller

    def _exceptions(self, exceptions: list[ExceptionInfo]) -> list[ExceptionInfo]:
        kept = self._first(self._allowance.chained + 1, exceptions, "chained exceptions")
        return [self._exception(exception) for exception in kept]

    def _exception(self, exception: ExceptionInfo) -> ExceptionInfo:
        smaller = exception.copy()
        smaller["notes"] = self._first(self._allowance.items, exception["notes"], "notes")
        smaller["frames"] = self._stack(exception["frames"])
        return smaller

    def _stack(self, frames: list[Frame]) -> list[Frame]:
        kept = self._both_ends(frames)
        return [self._frame(frame, distance) for distance, frame in zip(range(len(kept) - 1, -1, -1), kept)]

    def _both_ends(self, frames: list[Frame]) -> list[Frame]:
        count = self._allowance.frames_per_end
        if len(frames) <= 2 * count + 1:
            return frames
        between = frames[count:-count]
        missing_before = sum(_stands_for(frame) for frame in between)
        now = sum(frame["file"] != LEFT_OUT for frame in between)
        self._gone["frames"] += now
        return [*frames[:count], frames_left_out(missing_before + now), *frames[-count:]]

    def _frame(self, frame: Frame, distance: int) -> Frame:
        allowance, smaller = self._allowance, frame.copy()
        reach = allowance.variables if frame["in_app"] else min(allowance.variables, allowance.library_variables)
        if frame["variables"] and distance >= reach:
            smaller["variables"] = []
            self._gone["variables of frames"] += 1
        lines = frame["source"]
        if distance >= allowance.source_line:
            lines = []
        elif distance >= allowance.source_context:
            own = frame["line"] - frame["first_source_line"]
            lines = lines[own : own + 1] if own >= 0 else []
        if len(lines) < len(frame["source"]):
            smaller["source"], smaller["first_source_line"] = lines, frame["line"] if lines else 0
            self._gone["source of frames"] += 1
        return smaller

    def _breadcrumbs(self, breadcrumbs: list[Breadcrumb]) -> list[Breadcrumb]:
        gone = max(len(breadcrumbs) - self._allowance.breadcrumbs, 0)
        self._gone["breadcrumbs"] += gone
        return breadcrumbs[gone:]

    def _items(self, mapping: dict[str, _Value]) -> dict[str, _Value]:
        return dict(self._first(self._allowance.items, [*mapping.items()], "items of user, tags, extra and contexts"))

    def _figures(self, mapping: dict[str, int]) -> dict[str, int]:
        return dict(self._first(self._allowance.figures, [*mapping.items()], "figures"))

    def _first(self, count: int, parts: list[_Value], name: str) -> list[_Value]:
        """Return the first ``count`` parts; the others are counted under ``name``."""
        self._gone[name] += max(len(parts) - count, 0)
        return parts[:count]

    def _cut_texts(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._cut(value)
        if isinstance(value, dict):
            return {self._cut(key): self._cut_texts(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._cut_texts(item) for item in value]
        return value

    def _cut(self, text: str) -> str:
        limit = self._allowance.characters
        if len(text) <= limit:
            return text
        self._gone["middles of texts"] += 1
        half = limit // 2
        return f"{text[:half]}… ({len(text) - 2 * half} characters left out) …{text[-half:]}"

    def _cut_nested(self, mapping: dict[str, Any]) -> dict[str, Any]:
        return {self._cut(key): self._cut_json(value) for key, value in mapping.items()}

    def _cut_breadcrumb(self, crumb: Breadcrumb) -> Breadcrumb:
        smaller: Breadcrumb = self._cut_texts({**crumb, "data": {}})
        smaller["data"] = self._cut_nested(crumb["data"])
        return smaller

    def _cut_json(self, value: Any) -> Any:
        if not isinstance(value, (dict, list, tuple)):
            return self._cut_texts(value)
        text = encode(value).decode("ascii")
        return value if len(text) <= self._allowance.characters else self._cut(text)


_COUNT = re.compile(r"\((\d{1,9}) frames left out\)", re.ASCII)


def _stands_for(frame: Frame) -> int:
    """Return the number of frames, left out by capture, that ``frame`` stands for."""
    count = _COUNT.fullmatch(frame["function"]) if frame["file"] == LEFT_OUT else None
    return int(count[1]) if count else 0
