"""What the drop-in for ``backtracepython`` has made of a report itself, beside the event in its record.

The calls of that package let a program say what stands in the attributes, the annotations and, by ``get_data()``,
anywhere in the report. All of that is settled in the process that reports. Stacks, threads, the machine and the rest
of what is large stay in the event, so that it is trimmed, shown and redirected like any other.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Callable, Optional, TypedDict, Union, cast

from lastword.event import TRIMMED_TAG, Event, Frame

#: The key of an event under which a ``Prepared`` stands.
PREPARED = "backtrace"

#: Lines that one block of source may span; of a file whose frames are further apart, the event's own excerpts are sent.
MAX_BLOCK_LINES = 10_000

#: The annotation that names the attached files that did not go with a report.
ATTACHMENTS_LEFT_OUT = "Attachments left out"

#: The annotation that names the files of which only the few lines are shown that capture took.
LITTLE_SOURCE = "Source code shown in part"


class FileFound(TypedDict):
    """A file too large for a record, and what it was: as long as it has only grown, its beginning is what was meant."""

    path: str  # absolute
    device: int
    inode: int
    size: int


class Attachment(TypedDict):
    """A file that goes with the report, as it was when that was made."""

    name: str  # its part of the form is ``attachment_<name>``
    content: Union[str, bytes]  # base64; bytes once they were read by the flusher
    file: Optional[FileFound]  # where they are to be read from, if they do not fit into a record


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
    attachments: list[Attachment]


def prepared(event: Event) -> Optional[Prepared]:
    return cast(Optional[Prepared], cast("dict[str, Any]", event).get(PREPARED))


def with_prepared(event: Event, changes: Prepared) -> Event:
    """The event with another ``Prepared``."""
    return cast(Event, {**event, PREPARED: changes})


def annotate_left_out(told: Prepared, words: list[str]) -> None:
    """Have the report say which attachments it goes without."""
    annotations = told["annotations"] if told["report"] is None else told["report"].get("annotations")
    if isinstance(annotations, dict):
        known = annotations.get(ATTACHMENTS_LEFT_OUT)
        annotations[ATTACHMENTS_LEFT_OUT] = [*(known if isinstance(known, list) else []), *words]


def with_attachments_read(event: Event, read: Callable[[FileFound], Optional[bytes]]) -> Event:
    """The event with the contents of those attachments that its record has no room for.

    ``read`` gives what a file was, None where that cannot be had any more.
    """
    told = prepared(event)
    if told is None or not any(attachment["file"] for attachment in told["attachments"]):
        return event
    complete: list[Attachment] = []
    gone: list[str] = []
    for attachment in told["attachments"]:
        content = attachment["content"] if attachment["file"] is None else read(attachment["file"])
        if content is None:
            gone.append(f"{attachment['name']}: changed or gone before it was sent")
        else:
            complete.append({**attachment, "content": content})
    if gone:
        told = copy.deepcopy(told)
        annotate_left_out(told, gone)
    return with_prepared(event, {**told, "attachments": complete})


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


def lighter(event: Event) -> list[Event]:
    """What is left of the event where a tracker finds it too large, before anything is trimmed: first without the wider
    source, then without attachments too.
    """
    told = prepared(event)
    if told is None:
        return []
    less: Prepared = {**told, "source": {}}
    forms = [with_prepared(event, less)] if told["source"] else []
    if told["attachments"]:
        gone = ", ".join(attachment["name"] for attachment in told["attachments"])
        left_out = {**told["attributes"], TRIMMED_TAG: f"left out to fit: {gone}"}
        forms.append(with_prepared(event, {**less, "attachments": [], "attributes": left_out}))
    return forms


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
