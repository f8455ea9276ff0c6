"""The parts of a report that the drop-in for ``backtracepython`` has prepared, beside the event in its record.

The calls of that package let a program set the attributes, the annotations and, by ``get_data()``, anything in the
report. All of that is decided in the process that reports. Stacks, threads, the machine and other large parts stay in
the event, so that it is trimmed, shown and redirected like any other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Callable, Optional, TypedDict, cast

from lastword.event import Event, Frame

#: The key of an event under which a ``Prepared`` stands.
PREPARED = "backtrace"

#: Lines that one block of source may span; for a file whose frames are further apart, the event's excerpts are sent.
MAX_BLOCK_LINES = 10_000

#: The annotation that names the files shown only by the few lines that capture took.
LITTLE_SOURCE = "Source code shown in part"


class Prepared(TypedDict):
    """A prepared report; all its texts and values are JSON in the form that the tracker gets."""

    agent: str
    agent_version: str
    attributes: dict[str, Any]
    annotations: dict[str, Any]
    tab_width: Any  # any value, as the program has set it
    source_wanted: bool  # False: the report has no key ``sourceCode``
    lines_around: int  # above each frame's line, one more below it
    source: dict[str, dict[str, Any]]  # blocks by path, for files that could be read; {} until then
    report: Optional[dict[str, Any]]  # the whole report without ``sourceCode``, if the program has had it


def prepared_of(event: Event) -> Optional[Prepared]:
    return cast("Optional[Prepared]", cast("dict[str, Any]", event).get(PREPARED))


def with_prepared(event: Event, prepared: Prepared) -> Event:
    return cast("Event", {**event, PREPARED: prepared})


def with_more_source(event: Event, read_lines: Callable[[str], Optional[list[str]]]) -> Event:
    """Return the event with as many lines around each frame of the blamed thread as its report asks for.

    ``read_lines`` returns the lines of a source file by its absolute path, None if it has changed or is unreadable.
    """
    prepared = prepared_of(event)
    if prepared is None or not prepared["source_wanted"]:
        return event
    blocks: dict[str, dict[str, Any]] = {}
    in_part: list[str] = []
    for path, frames in _by_path(shown_stack(event)).items():
        lines = read_lines(path)
        block = None if lines is None else _block(path, lines, frames, prepared)
        if block is not None:
            blocks[path] = block
        elif any(frame["source"] for frame in frames):
            in_part.append(path)
    annotations = {**prepared["annotations"], LITTLE_SOURCE: in_part} if in_part else prepared["annotations"]
    return with_prepared(event, {**prepared, "source": blocks, "annotations": annotations})


def without_wider_source(event: Event) -> Optional[Event]:
    """Return the event without the source that was read for its report; None if there is none."""
    prepared = prepared_of(event)
    return with_prepared(event, {**prepared, "source": {}}) if prepared and prepared["source"] else None


def shown_stack(event: Event) -> list[Frame]:
    """Return the stack of the blamed thread, outermost call first."""
    exceptions = event["exceptions"]
    return (exceptions and exceptions[0]["frames"]) or event["stack"]


def _by_path(frames: Iterable[Frame]) -> dict[str, list[Frame]]:
    files: dict[str, list[Frame]] = {}
    for frame in frames:
        if frame["line"] > 0:
            files.setdefault(frame["path"], []).append(frame)
    return files


def _block(path: str, lines: list[str], frames: list[Frame], prepared: Prepared) -> Optional[dict[str, Any]]:
    around = prepared["lines_around"]
    numbers = [frame["line"] for frame in frames]
    start = max(1, min(numbers) - around)
    end = min(max(numbers) + around + 1, len(lines))
    if not start <= end < start + MAX_BLOCK_LINES:
        return None
    text = "\n".join(lines[start - 1 : end])
    return {"startLine": start, "startColumn": 1, "path": path, "tabWidth": prepared["tab_width"], "text": text}
