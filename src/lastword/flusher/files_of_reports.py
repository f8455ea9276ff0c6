"""Read the parts of files that a report shows but its record does not hold, when the report is sent.

* More lines of source than the event holds, from files that have not changed since the capture. They are not taken at
  capture: two hundred lines around each frame are ten times as much as the rest of an event. A spool would hold a tenth
  of the events during an outage, and the process that reports would pay for reading them.
* Attached files that are too large for a record. A log that was only appended to is sent as it was when the report was
  made; a file that was replaced or truncated is not sent.
"""

from __future__ import annotations

import os
import stat
import tokenize
from typing import Any, Optional, cast

from lastword.descriptors import closing, identity_of
from lastword.dsn import Destination
from lastword.event import Event, FileFound, with_all_parts
from lastword.interruption import failures
from lastword.scrub import Rules
from lastword.spool.record import Record
from lastword.wire.backtrace_attachments import with_files_read
from lastword.wire.backtrace_prepared import with_more_source


def with_attached_files(event: Event) -> Event:
    """Return the event with the contents of all its attachments; files that cannot be read raise nothing."""
    return with_files_read(event, _beginning)


def _beginning(then: FileFound) -> Optional[bytes]:
    try:
        with closing(os.open(then["path"], os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)) as descriptor:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or identity_of(found) != (then["device"], then["inode"]):
                return None
            if found.st_size < then["size"]:  # checked before memory is allocated for the size in the record
                return None
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(then["size"])
            return content if len(content) == then["size"] else None
    except failures(OSError, ValueError):
        return None


MAX_FILE_SIZE = 4 * 1024 * 1024


def with_source_of_files(event: Event, destination: Destination) -> Event:
    """Return the event with as much source as it asks for, scrubbed by the rules of ``destination``; files that cannot
    be read raise nothing.
    """
    found_then = event.get("sources", {})

    def read_lines(path: str) -> Optional[list[str]]:
        found = found_then.get(path)
        lines = None if found is None else _unchanged_lines(path, tuple(found))
        if lines is None or destination.scrub == "off":
            return lines
        return Rules(destination).scrub_source(lines)

    return with_more_source(event, read_lines)


def _unchanged_lines(path: str, then: tuple[int, ...]) -> Optional[list[str]]:
    """Return the lines of a regular file if its (modification time in ns, size) is still ``then``, else None."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FILE_SIZE:
            return None
        if (found.st_mtime_ns, found.st_size) != then:
            return None
        with tokenize.open(path) as file:
            return file.read().split("\n")
    except failures(OSError, ValueError, SyntaxError):  # gone, undecodable, or in an unknown encoding
        return None


def completed(record: Record, destination: Destination) -> Record:
    """Return an event's record with its source and attachments read from files, scrubbed by the rules of
    ``destination``; parts that an older lastword did not know are empty. Other records are returned unchanged.
    """
    if record.kind != "event":
        return record
    event = with_attached_files(with_source_of_files(with_all_parts(record.content), destination))
    return record._replace(content=cast("dict[str, Any]", event))
