"""Files and data that go with an event: copied into its record, as far as there is room for them beside the event.

So an event and its attachments are safe, or refused, together, and a file may be gone a moment later. A regular file
is read, and nothing else: nobody waits for the other end of a pipe.
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
from lastword.event import Attachment, Event, FileFound, told_of
from lastword.event_json import encode_value, to_json
from lastword.interruption import failures

MAX_ATTACHMENTS = 10

#: Bytes of data kept by one context for its events, all together: no record has room for more.
MAX_DATA = 768 * 1024

_MAX_NAME = 200
_UNNAMED = "attachment"
_BYTES = "application/octet-stream"

_NO_ROOM = "there was no room for it"
_UNREADABLE = "it could not be read"

_AROUND = 4096  # bytes of a record around its event, and more


class Wanted(NamedTuple):
    """An attachment that events are to take with them."""

    name: str
    type: str = _BYTES
    path: Optional[str] = None  # absolute, of a file to be read
    size: int = 0
    content: Optional[str] = None  # base64; None where it is a file's, or is more than would ever fit
    by_flusher: bool = False  # a file for which there is no room is left to the flusher; one that is none, not told of

    def named(self, name: object, media_type: object) -> Wanted:
        """The same under another name, and of another type, where they are given."""
        return self._replace(
            name=self.name if name is None else text_of(name, _MAX_NAME) or _UNNAMED,
            type=self.type if media_type is None else text_of(media_type, _MAX_NAME),
        )


def wanted_file(path: Any, *, by_flusher: bool = False) -> Wanted:
    """A file, to be read later. Raises TypeError for what is no path."""
    whole = absolute_path(os.fsdecode(path))
    return Wanted(clean(os.path.basename(whole), _MAX_NAME) or _UNNAMED, path=whole, by_flusher=by_flusher)


def wanted_data(data: Any, others: Iterable[Wanted]) -> Wanted:
    """A copy of ``data``; its size alone, where it does not fit beside ``others``. Raises TypeError for what is neither
    a text nor bytes.
    """
    room = MAX_DATA - sum(other.size for other in others if other.content is not None)
    if issubclass(type(data), str):
        if len(data) > room:  # as bytes it has no fewer
            return Wanted(_UNNAMED, size=len(data))
        data = str.encode(data, "utf-8", "backslashreplace")
    view = memoryview(data)
    if view.nbytes > room:
        return Wanted(_UNNAMED, size=view.nbytes)
    return Wanted(_UNNAMED, size=view.nbytes, content=base64.b64encode(view.tobytes()).decode("ascii"))


def attach(event: Event, wanted: Sequence[Wanted], most: int, largest: int = 0) -> None:
    """Put ``wanted`` into ``event``, beside what it has, so that a record of ``most`` bytes holds it.

    What does not fit, or cannot be read, the event says to be left out, if there is room for that. ``largest``: bytes
    that a file may have to be left to the flusher. Raises no Exception.
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
                missing.append(told_of(copy))
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
    except RecursionError:  # no room on the stack even for that
        pass


def _cost(attachment: Attachment) -> int:
    """Characters of JSON, and a comma; a content, which may be long, is counted as it stands."""
    content = attachment["content"] or ""
    return len(encode_value({**attachment, "content": ""})) + len(content) + 3


def _read(path: str, most: int) -> tuple[FileFound, Optional[bytes]]:
    """A regular file and its content; no content where it has more than ``most`` bytes. Raises OSError."""
    _check_regular(os.stat(path))  # before, for opening wakes whoever waits at the other end of a pipe
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        status = os.fstat(descriptor)
        _check_regular(status)
        found: FileFound = {
            "path": path,
            "device": status.st_dev,
            "inode": status.st_ino,
            "size": status.st_size,
        }
        if status.st_size > most:
            return found, None
        with open(descriptor, "rb", closefd=False) as file:
            # What the kernel makes as it is read, /proc/self/maps, has no size. Nothing may be there yet: then None.
            return found, file.read(status.st_size or most) or b""
    finally:
        os.close(descriptor)


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError("no regular file")
