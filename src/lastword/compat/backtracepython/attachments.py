"""Files that go with a report: read when it is made, or, where they are too large for a record, when it is sent."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterable
from typing import Any, Optional

from lastword.wire.backtrace_prepared import Attachment, FileFound

#: Bytes of a file that is sent at all.
MAX_SIZE = 64 << 20

_COST_OF_ONE = 400  # characters of JSON around a content, a path included


def read_attachments(paths: Iterable[Any], room: int) -> tuple[list[Attachment], list[str]]:
    """The files of ``paths`` in that order, and what is to be said of those that are too large. What is no file, or
    cannot be read, is passed over.

    Those that do not fit into ``room`` bytes of a record are only named, for the flusher to read. Files of one name are
    told apart by a number.
    """
    attachments: list[Attachment] = []
    too_large: list[str] = []
    for path in paths:
        try:
            name = os.path.basename(os.fsdecode(path))
            found, content = _read(path, (room - _COST_OF_ONE) // 4 * 3)
        except (OSError, ValueError, TypeError):
            continue
        if found["size"] > MAX_SIZE or room < len(found["path"]) * 6 + _COST_OF_ONE:
            too_large.append(f"{name}: {found['size']} bytes are more than is sent")
            continue
        text = None if content is None else base64.b64encode(content).decode("ascii")
        attachments.append(
            {
                "name": _unlike_others(name, attachments),
                "content": text or "",
                "file": found if text is None else None,
            }
        )
        room -= len(text or found["path"]) + len(name) * 12 + _COST_OF_ONE
    return attachments, too_large


def all_of(paths: Any) -> list[Any]:
    """What a program has given as its list of paths: it may be a single one, or nothing of the kind."""
    if isinstance(paths, (str, bytes, os.PathLike)):
        return [paths]
    try:
        return list(paths)
    except Exception:
        return []


def _read(path: Any, most: int) -> tuple[FileFound, Optional[bytes]]:
    """A regular file and its content; no content where it has more than ``most`` bytes. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("no regular file")
        found: FileFound = {
            "path": os.path.abspath(os.fsdecode(path)),
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


def _unlike_others(name: str, others: list[Attachment]) -> str:
    taken = {other["name"] for other in others}
    stem, extension = os.path.splitext(name)
    number = 1
    unique = name
    while unique in taken:
        number += 1
        unique = f"{stem}-{number}{extension}"
    return unique
