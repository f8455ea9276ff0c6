"""Setting aside: what no tracker will take, and what is no record any more, kept for a human to look at.

A file in ``set_aside/`` is two parts: one line of JSON, ``{"why":…,"reason":…,"at":…,"to":…,"writer":…,
"segment":…,"offset":…,"length":…}``, then the bytes of the segment as they were, the first MiB of them. ``why`` is what
it is counted under (refused, failed, poison, damaged), ``reason`` is for people, ``to`` is the destination that it was
to go to, redirects obeyed. It is named after the event id, or, where there is none, after its place.
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

#: Bytes within which the first line ends, and of a whole file. Of a reason so many characters are kept, for that.
_MOST_HEAD = 8192
MOST_OF_A_FILE = _MOST_HEAD + MAX_RECORD
_MOST_REASON = 500

_WHYS = ("refused", "failed", "poison", "damaged")


def put(
    layout: Layout,
    name: str,
    *,
    why: str,
    reason: str,
    at: float,
    writer_id: str,
    segment: str,
    start: int,
    end: int,
    to: Optional[str] = None,
) -> int:
    """Copy bytes ``start`` to ``end`` of a segment there; again with the same name replaces it. Returns the size of the
    file in bytes. Raises OSError.
    """
    content = read_bytes(os.path.join(layout.writer(writer_id), segment), start, end)
    place = {"writer": writer_id, "segment": segment, "offset": start, "length": end - start}
    head = {"why": why, "reason": reason[:_MOST_REASON], "at": at, "to": to, **place}
    if not inside.is_directory(layout.set_aside):
        with suppressed(SpoolError):
            layout.mend()
    path = os.path.join(layout.set_aside, os.path.basename(name))
    if inside.is_directory(path):
        stem, suffix = os.path.splitext(path)
        path = f"{stem}.{new_id()}{suffix}"
    text = json.dumps(head).encode("ascii") + b"\n" + content
    write_whole_file(path, text)
    return len(text)


def sweep(layout: Layout) -> None:
    """Remove what is left of a file that was being written by a flusher that was killed. Only for who leads."""
    with suppressed(OSError):
        for name in inside.listdir(layout.set_aside):
            if name.endswith(UNFINISHED_SUFFIX):
                inside.unlink(os.path.join(layout.set_aside, name))


class Head(NamedTuple):
    """What the first line of such a file says."""

    why: str = "refused"
    reason: str = "its file does not say why"
    at: float = 0.0
    to: Optional[str] = None

    @classmethod
    def decode(cls, line: bytes) -> Head:
        """Read it; one that is none stands for a refusal."""
        try:
            told, unsaid = checked.mapping(checked.json_value(line)), cls()
            to = told.get("to")
            return cls(
                why=why if (why := told.get("why")) in _WHYS else unsaid.why,
                reason=checked.told(told.get("reason", unsaid.reason), _MOST_REASON),
                at=checked.seconds(told.get("at", unsaid.at)),
                to=None if to is None else checked.name(to),
            )
        except ValueError:
            return cls()


def head_of(path: str) -> Head:
    """The first line of the file set aside at ``path``; raises OSError."""
    return Head.decode(read_small_file(path, _MOST_HEAD).partition(b"\n")[0])
