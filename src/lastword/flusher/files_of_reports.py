"""What a report is to show of files, and its record does not hold: read when it is sent.

Lines of source beyond those that an event has, from files that are still what they were when it was captured.

Not taken at capture: two hundred lines around each frame are ten times as much as the rest of an event. A spool would
hold a tenth of the events through an outage, and the process that reports would pay for them.
"""

from __future__ import annotations

import os
import stat
import tokenize
from typing import Any, Optional, cast

from lastword.dsn import Destination
from lastword.event import Event, with_all_parts
from lastword.flusher.attached_files import with_attached_files
from lastword.interruption import failures
from lastword.scrub import Rules
from lastword.spool.record import Record
from lastword.wire.backtrace_prepared import with_more_source

MAX_FILE_SIZE = 4 * 1024 * 1024


def with_source_of_files(event: Event, destination: Destination) -> Event:
    """The event with as much source as its report wants, where that is said, scrubbed as ``destination`` has it; raises
    nothing for a file's sake.
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
    """The lines of a regular file whose time of change, in ns, and size are ``then``."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FILE_SIZE:
            return None
        if (found.st_mtime_ns, found.st_size) != then:
            return None
        with tokenize.open(path) as file:
            return file.read().split("\n")
    except failures(OSError, ValueError, SyntaxError):  # gone, undecodable, or with an encoding that nobody knows
        return None


def completed(record: Record, destination: Destination) -> Record:
    """The record of an event with what was left to be read, scrubbed as ``destination`` has it, and parts that an older
    lastword did not know, empty; any other record as it is.
    """
    if record.kind != "event":
        return record
    event = with_attached_files(with_source_of_files(with_all_parts(record.content), destination))
    return record._replace(content=cast("dict[str, Any]", event))
