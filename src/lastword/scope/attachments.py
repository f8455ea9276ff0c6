"""Attachments: files and data copied into the record of an event, as far as there is room beside the event.

So an event and its attachments are recorded or refused together, and a file may be deleted right after the capture.
Only regular files are read: reading a pipe would wait for its other end.
"""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Optional

from lastword import diagnostics
from lastword.capture.json_copy import text_of
from lastword.capture.safe_text import clean, describe
from lastword.capture.source import absolute_path
from lastword.event import Attachment, Event, FileFound, describe_attachment
from lastword.event_json import encode_value, to_json
from lastword.interruption import failures

MAX_ATTACHMENTS = 10

#: Total bytes of data kept by one context for its events: no record has room for more.
MAX_DATA = 768 * 1024

_MAX_NAME = 200
_UNNAMED = "attachment"
_BYTES = "application/octet-stream"

_NO_ROOM = "there was no room for it"
_UNREADABLE = "it could not be read"

_AROUND = 4096  # bytes, more than a record has around its event


class Wanted(NamedTuple):
    """An attachment to be added to events."""

    name: str
    type: str = _BYTES
    path: Optional[str] = None  # absolute, of a file to be read
    size: int = 0
    content: Optional[str] = None  # base64; None for a file, or if it is too large to ever fit
    by_flusher: bool = False  # a file that does not fit is left to the flusher; an unreadable one is omitted silently

    def named(self, name: object, media_type: object) -> Wanted:
        """Return a copy with this name and media type, where they are given."""
        return self._replace(
            name=self.name if name is None else text_of(name, _MAX_NAME) or _UNNAMED,
            type=self.type if media_type is None else text_of(media_type, _MAX_NAME),
        )


def wanted_file(path: Any, *, by_flusher: bool = False) -> Wanted:
    """Return the attachment of a file, which is read later. Raises TypeError if ``path`` is not a path."""
    whole = absolute_path(os.fsdecode(path))
    return Wanted(clean(os.path.basename(whole), _MAX_NAME) or _UNNAMED, path=whole, by_flusher=by_flusher)


def wanted_data(data: Any, others: Iterable[Wanted]) -> Wanted:
    """Return the attachment of a copy of ``data``, or of its size only if it does not fit beside ``others``.

    Raises TypeError for anything but text and bytes.
    """
    room = MAX_DATA - sum(other.size for other in others if other.content is not None)
    if issubclass(type(data), str):
        if len(data) > room:  # encoded, it is at least as long
            return Wanted(_UNNAMED, size=len(data))
        data = str.encode(data, "utf-8", "backslashreplace")
    view = memoryview(data)
    if view.nbytes > room:
        return Wanted(_UNNAMED, size=view.nbytes)
    return Wanted(_UNNAMED, size=view.nbytes, content=base64.b64encode(view.tobytes()).decode("ascii"))


def attach(event: Event, wanted: Sequence[Wanted], most: int, largest: int = 0) -> None:
    """Add ``wanted`` to the attachments of ``event`` so that it still fits into a record of ``most`` bytes.

    An attachment that does not fit or cannot be read is marked as left out, if there is room for the mark. ``largest``:
    bytes up to which a file can be left to the flusher. Raises no Exception.
    """
    try:
        room = most - _AROUND - len(to_json(event))
        attachments: list[Attachment] = []
        missing: list[str] = []
        for one in wanted:
            copy = _copy(one, room, largest)
            if copy is None:
                continue
            cost = _cost(copy)
            if copy["left_out"] or cost > room:
                missing.append(describe_attachment(copy))
            if cost <= room:
                attachments.append(copy)
                room -= cost
        event["attachments"] = [*event["attachments"], *attachments]
        if missing:
            _note(f"an attachment: {'; '.join(missing)}")
    except failures() as error:
        _note(f"its attachments: {describe(error)}")


def _copy(wanted: Wanted, room: int, largest: int) -> Optional[Attachment]:
    attachment: Attachment = {
        "name": wanted.name,
        "type": wanted.type,
        "size": wanted.size,
        "content": None,
        "file": None,
        "left_out": _NO_ROOM,
    }
    room -= _cost(attachment)
    content = wanted.content
    if wanted.path is not None:
        try:
            found, read = _read(wanted.path, room // 4 * 3)
        except failures(OSError, ValueError):
            attachment["left_out"] = _UNREADABLE
            return None if wanted.by_flusher else attachment
        attachment["size"] = found["size"]
        if read is not None:
            attachment["size"] = len(read)
            content = base64.b64encode(read).decode("ascii")
        elif wanted.by_flusher and found["size"] <= largest and len(encode_value(found)) <= room:
            attachment["file"], attachment["left_out"] = found, None
    if content is not None and len(content) <= room:
        attachment["content"], attachment["left_out"] = content, None
    return attachment


def _note(what: str) -> None:
    try:
        diagnostics.note("attachment", f"an event went without {what}")
    except RecursionError:  # no room on the stack even for a note
        pass


def _cost(attachment: Attachment) -> int:
    """Return its characters of JSON, with a comma; a content, which may be long, is counted without encoding it."""
    content = attachment["content"] or ""
    return len(encode_value({**attachment, "content": ""})) + len(content) + 3


def _read(path: str, most: int) -> tuple[FileFound, Optional[bytes]]:
    """Return a regular file and its content, or None instead of more than ``most`` bytes. Raises OSError."""
    _check_regular(os.stat(path))  # before opening, which would wake the process at the other end of a pipe
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        status = os.fstat(descriptor)
        _check_regular(status)
        found: FileFound = {"path": path, "device": status.st_dev, "inode": status.st_ino, "size": status.st_size}
        if status.st_size > most:
            return found, None
        with open(descriptor, "rb", closefd=False) as file:
            # A file that the kernel makes while it is read (/proc/self/maps) has size 0. ``read`` may return None.
            return found, file.read(status.st_size or most) or b""
    finally:
        os.close(descriptor)


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError("no regular file")
