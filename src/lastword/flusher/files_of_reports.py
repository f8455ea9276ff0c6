"""What a report is to show of files, and its record does not hold: read when it is sent."""

from __future__ import annotations

from typing import Any, cast

from lastword.dsn import Destination
from lastword.event import with_all_parts
from lastword.flusher.attached_files import with_attached_files
from lastword.flusher.source_files import with_source_of_files
from lastword.spool.record import Record


def completed(record: Record, destination: Destination) -> Record:
    """The record of an event with what was left to be read, scrubbed as ``destination`` has it, and parts that an older
    lastword did not know, empty; any other record as it is.
    """
    if record.kind != "event":
        return record
    event = with_attached_files(with_source_of_files(with_all_parts(record.content), destination))
    return record._replace(content=cast("dict[str, Any]", event))
