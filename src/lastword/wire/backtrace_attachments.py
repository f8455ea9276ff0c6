"""The attachments of a Backtrace report: parts of the form behind the report itself."""

from __future__ import annotations

import base64
import os
import re
from typing import Any, Callable, NamedTuple, Optional, cast

from lastword.event import TRIMMED_TAG, Attachment, Event, FileFound, attachments_left_out, describe_attachment

#: The annotation that names the attachments left out of a report.
LEFT_OUT = "Attachments left out"

#: The name of the part with the breadcrumbs.
BREADCRUMBS = "bt-breadcrumbs-0"

BYTES = "application/octet-stream"

#: Characters that a name in a part's header cannot contain, escaped as browsers do.
_QUOTED = {ord('"'): "%22", ord("\r"): "%0D", ord("\n"): "%0A"}

_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(; ?[\w-]+=[\w.+-]+)?", re.ASCII)


class Part(NamedTuple):
    """One part of the form, called ``attachment_<name>``."""

    name: str  # as it stands in a header
    type: str
    content: bytes


def parts(event: Event) -> list[Part]:
    """Return the attachments whose content the event has; a second one with the same name gets a number."""
    found: list[Part] = []
    taken = {BREADCRUMBS}
    for one in event["attachments"]:
        if one["content"] is not None:
            name = _unlike(taken, one["name"].translate(_QUOTED))
            taken.add(name)
            media_type = one["type"] if _MEDIA_TYPE.fullmatch(one["type"]) else BYTES
            found.append(Part(name, media_type, _bytes_of(one["content"])))
    return found


def form(boundary: str, report: bytes, parts: list[Part]) -> bytes:
    """Return the body. The boundary cannot occur in it: it follows a line break, and JSON text has none; it is made of
    the event's id, which was unknown to the author of an attached file.
    """
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="upload_file"; filename="upload_file"\r\n\r\n'
    pieces = [head.encode("ascii"), report]
    for part in parts:
        head = f"\r\n--{boundary}\r\nContent-Disposition: form-data; "
        head += f'name="attachment_{part.name}"; filename="{part.name}"\r\nContent-Type: {part.type}\r\n\r\n'
        pieces += [head.encode("utf-8", "replace"), part.content]
    pieces.append(f"\r\n--{boundary}--\r\n".encode("ascii"))
    return b"".join(pieces)


def add_left_out_note(annotations: dict[str, Any], event: Event) -> dict[str, Any]:
    """Return the annotations with a list of the attachments that were left out."""
    left_out = [describe_attachment(one) for one in event["attachments"] if one["left_out"]]
    if not left_out:
        return annotations
    known = annotations.get(LEFT_OUT)
    return {**annotations, LEFT_OUT: [*(known if isinstance(known, list) else []), *left_out]}


def without_attachments(event: Event) -> Event:
    """Return an event, too large for its tracker, without its attachments; its tag names them."""
    gone = ", ".join(one["name"] for one in event["attachments"] if one["content"] is not None)
    smaller = attachments_left_out(event, "too large for the tracker")
    return {**smaller, "tags": {**event["tags"], TRIMMED_TAG: f"left out to fit: {gone}"}}


def with_files_read(event: Event, read: Callable[[FileFound], Optional[bytes]]) -> Event:
    """Return the event with the contents of the attachments for which its record has no room.

    ``read`` returns the content that a file had, None if that is no longer available.
    """
    if not any(one["file"] for one in event["attachments"]):
        return event
    complete: list[Attachment] = []
    for one in event["attachments"]:
        if one["file"] is None:
            complete.append(one)
            continue
        content = read(one["file"])
        left_out = "changed or gone before it was sent" if content is None else None
        # Bytes: sending them needs no base64.
        complete.append({**one, "content": cast("Optional[str]", content), "left_out": left_out})
    return {**event, "attachments": complete}


def _bytes_of(content: Any) -> bytes:
    """Return a content as bytes; plain text that a hook has put there is encoded."""
    if isinstance(content, bytes):
        return content
    try:
        return base64.b64decode(content, validate=True)
    except ValueError:
        return str(content).encode("utf-8", "replace")


def _unlike(taken: set[str], name: str) -> str:
    stem, extension = os.path.splitext(name)
    unique, number = name, 1
    while unique in taken:
        number += 1
        unique = f"{stem}-{number}{extension}"
    return unique
