"""Files that go with a report, read when it is made."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterable
from typing import Any

from lastword.wire.backtrace_prepared import Attachment


def read_attachments(paths: Iterable[Any], room: int) -> tuple[list[Attachment], list[str]]:
    """The files of ``paths`` in that order, and what is to be said of those that do not fit into ``room`` bytes of a
    record. What is no file, or cannot be read, is passed over.

    Files of one name from different directories are told apart by a number.
    """
    attachments: list[Attachment] = []
    too_large: list[str] = []
    for path in paths:
        try:
            name = os.path.basename(os.fsdecode(path))
            size, content = _read(path, room // 4 * 3)
        except (OSError, ValueError, TypeError):
            continue
        if content is None:
            too_large.append(f"{name}: {size} bytes are more than one report has room for")
            continue
        text = base64.b64encode(content).decode("ascii")
        room -= len(text) + len(name) * 12 + 50
        attachments.append({"name": _unlike_others(name, attachments), "content": text})
    return attachments, too_large


def _read(path: Any, most: int) -> tuple[int, Any]:
    """Size and content of a regular file; no content where it has more than ``most`` bytes. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(f"{path!r} is no regular file")
        if found.st_size > most:
            return found.st_size, None
        with open(descriptor, "rb", closefd=False) as file:
            return found.st_size, file.read(found.st_size)
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
