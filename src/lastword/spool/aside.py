"""Setting aside: what no tracker will take, and what is no record any more, kept for a human to look at.

A file in ``set_aside/`` is two parts: one line of JSON, ``{"reason":…,"at":…,"writer":…,"segment":…,"offset":…,
"length":…}``, then the bytes of the segment as they were, the first MiB of them. It is named after the event id, or,
where there is none, after its place.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress

from lastword.errors import SpoolError
from lastword.event import new_id
from lastword.spool.layout import Layout, open_private, write_whole_file
from lastword.spool.record import MAX_RECORD


def put(
    layout: Layout, name: str, *, reason: str, at: float, writer_id: str, segment: str, start: int, end: int
) -> None:
    """Copy bytes ``start`` to ``end`` of a segment there; again with the same name replaces it. Raises OSError."""
    descriptor = open_private(os.path.join(layout.writer(writer_id), segment), os.O_RDONLY)
    try:
        content = os.pread(descriptor, min(end - start, MAX_RECORD), start)
    finally:
        os.close(descriptor)
    place = {"writer": writer_id, "segment": segment, "offset": start, "length": end - start}
    head = {"reason": reason, "at": at, **place}
    if not os.path.isdir(layout.set_aside):
        with suppress(SpoolError):
            layout.mend()
    path = os.path.join(layout.set_aside, os.path.basename(name))
    if os.path.isdir(path):
        stem, suffix = os.path.splitext(path)
        path = f"{stem}.{new_id()}{suffix}"
    write_whole_file(path, json.dumps(head).encode("ascii") + b"\n" + content, aside=f"{path}.{new_id()}")
