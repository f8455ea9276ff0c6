"""What goes with a Backtrace report: parts of the form behind the report itself."""

from __future__ import annotations

import base64
import os
import re
from typing import Any, Callable, NamedTuple, Optional, cast

from lastword.event import TRIMMED_TAG, Attachment, Event, FileFound, attachments_left_out, told_of

#: The annotation that names the attachments that did not go with a report.
LEFT_OUT = "Attachments left out"

#: The part that has the breadcrumbs.
BREADCRUMBS = "bt-breadcrumbs-0"

BYTES = "application/octet-stream"

#: What a name in a part's header cannot hold, as browsers write it.
_QUOTED = {ord('"'): "%22", ord("\r"): "%0D", ord("\n"): "%0A"}

_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(; ?[\w-]+=[\w.+-]+)?", re.ASCII)


class Part(NamedTuple):
    """One part of the form, called ``attachment_<name>``."""

    name: str  # as it stands in a header
    type: str
    content: bytes


def parts(event: Event) -> list[Part]:
    """The attachments that the event has with it; a second one of a name gets a number."""
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
    """The body. The boundary cannot occur in it: JSON text holds no line break, and a boundary follows one; nobody who
    wrote an attached file knew the event's id, from which it is made.
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
    """The annotations, with those attachments that the event goes without."""
    left_out = [told_of(one) for one in event["attachments"] if one["left_out"]]
    if not left_out:
        return annotations
    known = annotations.get(LEFT_OUT)
    return {**annotations, LEFT_OUT: [*(known if isinstance(known, list) else []), *left_out]}


def without_attachments(event: Event) -> Event:
    """What is left of an event that its tracker finds too large; its tag says so."""
    gone = ", ".join(one["name"] for one in event["attachments"] if one["content"] is not None)
    smaller = attachments_left_out(event, "too large for the tracker")
    return {**smaller, "tags": {**event["tags"], TRIMMED_TAG: f"left out to fit: {gone}"}}


def with_files_read(event: Event, read: Callable[[FileFound], Optional[bytes]]) -> Event:
    """The event with the contents of those attachments that its record has no room for.

    ``read`` gives what a file was, None where that cannot be had any more.
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
        # Bytes, which need not become base64 to be sent.
        complete.append({**one, "content": cast("Optional[str]", content), "left_out": left_out})
    return {**event, "attachments": complete}


def _bytes_of(content: Any) -> bytes:
    """A content as it is; what a hook has put there as a plain text, as that text."""
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
