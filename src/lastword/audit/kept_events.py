"""The events that the spool keeps, one by one, for people: those held and those set aside. Changes nothing.

While a flusher works, an event that it settles or sets aside at the same moment may be missed, or returned twice.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any, Optional

from lastword.interruption import suppressed
from lastword.spool import inside
from lastword.spool.aside import MOST_OF_A_FILE, Head
from lastword.spool.layout import Layout, read_small_file
from lastword.spool.ledger import Ledger, WriterEntry
from lastword.spool.reader import Segments, list_segments, read_lines
from lastword.spool.record import Record, parse
from lastword.spool.redirects import Redirects

_SET_ASIDE = (".record", ".damaged")


@dataclass(frozen=True)
class Kept:
    """One event, or the remains of a damaged one.

    Attributes:
        id: of the event; for damage, the name of its file.
        to: the key of its destination, after redirects; None if it was captured without a DSN.
        record: as it was captured; None for damage.
        path: of the file that contains it.
        why: why it was set aside (refused, failed, poison, damaged); None while it is held.
        reason: the same in words.
        at: when it was set aside, in Unix seconds.
    """

    id: str
    to: Optional[str]
    record: Optional[Record]
    path: str
    why: Optional[str] = None
    reason: str = ""
    at: float = 0.0

    @property
    def event(self) -> dict[str, Any]:
        """The Event (``lastword.event.Event``); {} if there is none that can be read."""
        content = self.record.content if self.record else {}
        return content if isinstance(content, dict) else {}

    @property
    def captured_at(self) -> float:
        """The time of capture by the event's own clock, in Unix seconds; 0.0 if unknown."""
        return self.record.captured_at if self.record else 0.0


def held(layout: Layout) -> Iterator[Kept]:
    """Yield every held event, each writer's in the order of capture."""
    ledger = Ledger.load(layout)
    try:
        writer_ids = layout.writer_ids() - ledger.retired
    except OSError:
        return
    redirects = Redirects(layout)
    redirects.refresh(time.time())
    for writer_id in sorted(writer_ids):
        of_writer = _held_of(layout, writer_id, ledger.writers.get(writer_id, WriterEntry()))
        for segment, start, kept in of_writer:
            yield replace(kept, to=redirects.resolve(kept.to, writer_id, segment, start))


def _held_of(layout: Layout, writer_id: str, entry: WriterEntry) -> Iterator[tuple[str, int, Kept]]:
    """Yield one writer's held events, each with its place; ``entry`` shows which lines are settled."""
    directory = layout.writer(writer_id)
    segments = Segments()
    with suppressed(OSError):
        segments = list_segments(directory)
    for name, number, offset in entry.unsettled(segments):
        for start, kept in _records(os.path.join(directory, name), offset):
            if number is None or not entry.has_settled((number, start)):
                yield name, start, kept


def _records(path: str, offset: int) -> Iterator[tuple[int, Kept]]:
    with suppressed(OSError):
        for line in read_lines(path, offset, finished=False, parse=parse):
            if isinstance(line.found, Record):
                yield line.start, Kept(line.found.id, line.found.to, line.found, path)


def count_set_aside(layout: Layout) -> int:
    """Return how many files are set aside, without reading them."""
    try:
        return sum(name.endswith(_SET_ASIDE) for name in inside.listdir(layout.set_aside))
    except OSError:
        return 0


def set_aside(layout: Layout, ids: Optional[Collection[str]] = None) -> Iterator[Kept]:
    """Yield everything set aside, by file name; with ``ids``, read only the files named after one of these."""
    try:
        names = sorted(inside.listdir(layout.set_aside))
    except OSError:
        return
    for name in names:
        if name.endswith(_SET_ASIDE) and (ids is None or _id_in(name) in ids):
            with suppressed(OSError):
                yield _set_aside_at(os.path.join(layout.set_aside, name))


def _set_aside_at(path: str) -> Kept:
    line, _, content = read_small_file(path, MOST_OF_A_FILE).partition(b"\n")
    head = Head.decode(line)
    found = parse(content.rstrip(b"\n"))
    if path.endswith(".record") and isinstance(found, Record):
        return Kept(found.id, head.to or found.to, found, path, head.why, head.reason, head.at)
    return Kept(_id_in(os.path.basename(path)), None, None, path, "damaged", head.reason, head.at)


def _id_in(name: str) -> str:
    return name.partition(".")[0]
