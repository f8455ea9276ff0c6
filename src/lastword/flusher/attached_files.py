"""Attached files that are too large for a record, read when the report is sent.

A log that was only appended to is sent as it was when the report was made; what was replaced, or cut, is not sent.
"""

from __future__ import annotations

import os
import stat
from typing import Optional

from lastword.event import Event, FileFound
from lastword.interruption import failures
from lastword.wire.backtrace_attachments import with_files_read


def with_attached_files(event: Event) -> Event:
    """The event with the contents of all its attachments; raises nothing for a file's sake."""
    return with_files_read(event, _beginning)


def _beginning(then: FileFound) -> Optional[bytes]:
    try:
        descriptor = os.open(then["path"], os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or (found.st_dev, found.st_ino) != (then["device"], then["inode"]):
                return None
            if found.st_size < then["size"]:  # before any memory is taken for what a record claims
                return None
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(then["size"])
            return content if len(content) == then["size"] else None
        finally:
            os.close(descriptor)
    except failures(OSError, ValueError):
        return None
