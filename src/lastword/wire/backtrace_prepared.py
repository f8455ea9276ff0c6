"""What the drop-in for ``backtracepython`` has made of a report itself, beside the event in its record.

The calls of that package let a program say what stands in the attributes, the annotations and, by ``get_data()``,
anywhere in the report. All of that is settled in the process that reports. Stacks, threads, the machine and the rest
of what is large stay in the event, so that it is trimmed, shown and redirected like any other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Callable, Optional, TypedDict, cast

from lastword.event import Event, Frame

#: The key of an event under which a ``Prepared`` stands.
PREPARED = "backtrace"

#: Lines that one block of source may span; of a file whose frames are further apart, the event's own excerpts are sent.
MAX_BLOCK_LINES = 10_000

#: The annotation that names the files of which only the few lines are shown that capture took.
LITTLE_SOURCE = "Source code shown in part"


class Prepared(TypedDict):
    """All texts and values are JSON as the tracker shall have it."""

    agent: str
    agent_version: str
    attributes: dict[str, Any]
    annotations: dict[str, Any]
    tab_width: Any  # whatever the program has said it is
    source_wanted: bool  # False: the report has no key ``sourceCode``
    lines_around: int  # above each frame's line, one more below it
    source: dict[str, dict[str, Any]]  # blocks by path, as far as the files could be read; {} until then
    report: Optional[dict[str, Any]]  # the whole report but ``sourceCode``, where the program has had hold of it


def prepared(event: Event) -> Optional[Prepared]:
    return cast("Optional[Prepared]", cast("dict[str, Any]", event).get(PREPARED))


def with_prepared(event: Event, changes: Prepared) -> Event:
    """The event with another ``Prepared``."""
    return cast("Event", {**event, PREPARED: changes})


def with_more_source(event: Event, read_lines: Callable[[str], Optional[list[str]]]) -> Event:
    """The event with as many lines around each frame of the blamed thread as its report is to have.

    ``read_lines`` gives the lines of a source file by its absolute path, None where they are not what they were.
    """
    told = prepared(event)
    if told is None or not told["source_wanted"]:
        return event
    blocks: dict[str, dict[str, Any]] = {}
    in_part: list[str] = []
    for path, frames in _by_path(shown_stack(event)).items():
        lines = read_lines(path)
        block = None if lines is None else _block(path, lines, frames, told)
        if block is not None:
            blocks[path] = block
        elif any(frame["source"] for frame in frames):
            in_part.append(path)
    annotations = {**told["annotations"], LITTLE_SOURCE: in_part} if in_part else told["annotations"]
    return with_prepared(event, {**told, "source": blocks, "annotations": annotations})


def without_wider_source(event: Event) -> Optional[Event]:
    """The event without the source that was read for its report; None where there is none."""
    told = prepared(event)
    return with_prepared(event, {**told, "source": {}}) if told and told["source"] else None


def shown_stack(event: Event) -> list[Frame]:
    """The stack of the thread that is blamed, outermost call first."""
    exceptions = event["exceptions"]
    return (exceptions and exceptions[0]["frames"]) or event["stack"]


def _by_path(frames: Iterable[Frame]) -> dict[str, list[Frame]]:
    files: dict[str, list[Frame]] = {}
    for frame in frames:
        if frame["line"] > 0:
            files.setdefault(frame["path"], []).append(frame)
    return files


def _block(path: str, lines: list[str], frames: list[Frame], told: Prepared) -> Optional[dict[str, Any]]:
    around = told["lines_around"]
    numbers = [frame["line"] for frame in frames]
    start = max(1, min(numbers) - around)
    end = min(max(numbers) + around + 1, len(lines))
    if not start <= end < start + MAX_BLOCK_LINES:
        return None
    text = "\n".join(lines[start - 1 : end])
    return {"startLine": start, "startColumn": 1, "path": path, "tabWidth": told["tab_width"], "text": text}
