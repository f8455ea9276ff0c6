"""Setting aside: events that no tracker accepts, and damaged records, are kept for a human to inspect.

A file in ``set_aside/`` has two parts: one line of JSON, ``{"why":…,"reason":…,"at":…,"to":…,"writer":…,
"segment":…,"offset":…,"length":…}``, then the original bytes of the segment, the first MiB of them. ``why`` is the
reason it is counted under (refused, failed, poison, damaged), ``reason`` is for people, ``to`` is its destination after
redirects. The file is named after the event id or, if there is none, after its place.
"""

from __future__ import annotations

import json
import os
from typing import NamedTuple, Optional

from lastword import checked
from lastword.errors import SpoolError
from lastword.event import new_id
from lastword.interruption import suppressed
from lastword.spool import inside
from lastword.spool.layout import UNFINISHED_SUFFIX, Layout, read_small_file, write_whole_file
from lastword.spool.reader import read_bytes
from lastword.spool.record import MAX_RECORD

#: The most bytes of the first line and of a whole file, and the most characters of a reason, so that the line fits.
_MOST_HEAD = 8192
MOST_OF_A_FILE = _MOST_HEAD + MAX_RECORD
_MOST_REASON = 500

_WHYS = ("refused", "failed", "poison", "damaged")


class Head(NamedTuple):
    """The first line of a file in ``set_aside/``."""

    why: str = "refused"
    reason: str = "its file does not say why"
    at: float = 0.0
    to: Optional[str] = None

    @classmethod
    def decode(cls, line: bytes) -> Head:
        """Decode the line; an unreadable line counts as a refusal."""
        try:
            told, unsaid = checked.mapping(checked.json_value(line)), cls()
            to = told.get("to")
            return cls(
                why=why if (why := told.get("why")) in _WHYS else unsaid.why,
                reason=checked.line(told.get("reason", unsaid.reason), _MOST_REASON),
                at=checked.seconds(told.get("at", unsaid.at)),
                to=None if to is None else checked.name(to),
            )
        except ValueError:
            return cls()


def put(layout: Layout, name: str, head: Head, writer_id: str, segment: str, start: int, end: int) -> int:
    """Copy bytes ``start`` to ``end`` of a segment to a file in ``set_aside/``; a file of the same name is replaced.

    Return the size of the file in bytes. Raises OSError.
    """
    content = read_bytes(os.path.join(layout.writer(writer_id), segment), start, end)
    place = {"writer": writer_id, "segment": segment, "offset": start, "length": end - start}
    first = {**head._asdict(), "reason": head.reason[:_MOST_REASON], **place}
    if not inside.is_directory(layout.set_aside):
        with suppressed(SpoolError):
            layout.mend()
    path = os.path.join(layout.set_aside, os.path.basename(name))
    if inside.is_directory(path):
        stem, suffix = os.path.splitext(path)
        path = f"{stem}.{new_id()}{suffix}"
    text = json.dumps(first).encode("ascii") + b"\n" + content
    write_whole_file(path, text)
    return len(text)


def sweep(layout: Layout) -> None:
    """Remove unfinished files left by a flusher that was killed. Only the leader may call this."""
    with suppressed(OSError):
        for name in inside.listdir(layout.set_aside):
            if name.endswith(UNFINISHED_SUFFIX):
                inside.unlink(os.path.join(layout.set_aside, name))


def head_of(path: str) -> Head:
    """Return the decoded first line of the file set aside at ``path``. Raises OSError."""
    return Head.decode(read_small_file(path, _MOST_HEAD).partition(b"\n")[0])
