"""Setting aside: what no tracker will take, and what is no record any more, kept for a human to look at.

A file in ``set_aside/`` is two parts: one line of JSON, ``{"reason":…,"at":…,"writer":…,"segment":…,"offset":…}``, then
the bytes of the segment as they were. It is named after the event id, or, where there is none, after its place.
"""

from __future__ import annotations

import json
import os

from lastword.event import new_id
from lastword.spool.layout import Layout, open_private, write_whole_file


def put(
    layout: Layout, name: str, *, reason: str, at: float, writer_id: str, segment: str, start: int, end: int
) -> None:
    """Copy bytes ``start`` to ``end`` of a segment there; again with the same name replaces it. Raises OSError."""
    descriptor = open_private(os.path.join(layout.writer(writer_id), segment), os.O_RDONLY)
    try:
        content = os.pread(descriptor, end - start, start)
    finally:
        os.close(descriptor)
    head = {"reason": reason, "at": at, "writer": writer_id, "segment": segment, "offset": start}
    path = os.path.join(layout.set_aside, os.path.basename(name))
    write_whole_file(path, json.dumps(head).encode("ascii") + b"\n" + content, aside=f"{path}.{new_id()}")
