"""The accounts: what was captured, and what became of each event. Takes no lock and changes nothing.

There is no counter of captures. A writer's own numbers say what it recorded: its highest ``n``, and one for each x-
segment. What became of that is in the ledger, and what is in neither must be in the segments: it is held. So
``recorded = held + delivered + set aside + dropped`` is a check, not a definition.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Optional, Union

from lastword.spool import blackbox
from lastword.spool.identity import is_dead, read_who
from lastword.spool.layout import BLACKBOX, WHO, Layout, segment_name
from lastword.spool.ledger import (
    DELIVERED,
    DestinationHealth,
    Ledger,
    WriterEntry,
    reasons_of_dropped,
    reasons_set_aside,
)
from lastword.spool.lock import holder
from lastword.spool.reader import Segments, list_segments, read_lines
from lastword.spool.record import Record

_ATTEMPTS = 5


@dataclass(frozen=True)
class WriterAccount:
    """One process that writes, or wrote and is not settled yet."""

    id: str
    pid: Optional[int]
    program: str
    alive: bool
    recorded: int
    held: int


@dataclass
class Accounts:
    """Counts of events over all processes, living and gone.

    Attributes:
        recorded: put on disk and acknowledged.
        held: waiting in the spool; ``held_without_dsn`` of them were captured without a DSN.
        delivered: the tracker said that it has them.
        set_aside, dropped: by reason; settled, not delivered.
        refused: by reason; captured and never recorded.
        interrupted: records torn by a kill before they were acknowledged; beside the balance.
        flusher: pid of the process that leads; 0 when it is not visible from here, None when none leads.
        writers: the processes whose directories are there.
        destinations: how sending goes, by key.
    """

    recorded: int = 0
    held: int = 0
    held_without_dsn: int = 0
    delivered: int = 0
    set_aside: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    interrupted: int = 0
    flusher: Optional[int] = None
    writers: list[WriterAccount] = field(default_factory=list)
    destinations: dict[str, DestinationHealth] = field(default_factory=dict)

    @property
    def missing(self) -> int:
        """Recorded, and found nowhere: 0, unless a record was damaged that the flusher has not come to yet."""
        settled = self.delivered + sum(self.set_aside.values()) + sum(self.dropped.values())
        return self.recorded - self.held - settled


def read_accounts(spool: Union[str, os.PathLike[str]]) -> Accounts:
    """Count what is in the spool directory ``spool``; a missing one has empty accounts.

    While a flusher works this may take a few tries to see one state.
    """
    layout = Layout(os.fspath(spool))
    for _ in range(_ATTEMPTS):
        ledger = Ledger.load(layout)
        accounts = _count(layout, ledger)
        if Ledger.load(layout).generation == ledger.generation:
            break
    return accounts


def _count(layout: Layout, ledger: Ledger) -> Accounts:
    totals = ledger.totals
    accounts = Accounts(recorded=totals.recorded, interrupted=totals.interrupted, destinations=ledger.destinations)
    accounts.refused.update(totals.refused)
    tally = Counter(totals.tally)
    present: set[str] = set()
    with suppress(OSError):
        accounts.flusher = holder(layout.flusher_lock)
    with suppress(OSError):
        present = layout.writer_ids() - ledger.retired
    for writer_id in sorted(present | set(ledger.writers)):
        entry = ledger.writers.get(writer_id, WriterEntry())
        tally.update(entry.tally)
        _add_writer(accounts, layout.writer(writer_id), writer_id, entry, present=writer_id in present)
    accounts.delivered = tally[DELIVERED]
    accounts.set_aside = reasons_set_aside(tally)
    accounts.dropped = reasons_of_dropped(tally)
    return accounts


def _add_writer(accounts: Accounts, directory: str, writer_id: str, entry: WriterEntry, *, present: bool) -> None:
    held, highest = _held_of(directory, entry)
    recorded = highest + entry.extras_seen + sum(record.seq is None for record in held) if present else entry.recorded
    accounts.recorded += recorded
    accounts.held += len(held)
    accounts.held_without_dsn += sum(record.to is None for record in held)
    accounts.interrupted += entry.interrupted
    accounts.refused.update(blackbox.load(os.path.join(directory, BLACKBOX)).refused)
    if present:
        who = read_who(os.path.join(directory, WHO))
        pid = who.get("pid")
        accounts.writers.append(
            WriterAccount(
                id=writer_id,
                pid=pid if isinstance(pid, int) else None,
                program=str(who.get("program", "")),
                alive=not is_dead(directory),
                recorded=recorded,
                held=len(held),
            )
        )


@dataclass(frozen=True)
class _Held:
    seq: Optional[int]  # None where it has none of its own
    to: Optional[str]


def _held_of(directory: str, entry: WriterEntry) -> tuple[list[_Held], int]:
    """Every record that is not settled, and the highest number that this writer has given."""
    held, highest = [], entry.seq
    try:
        segments = list_segments(directory)
    except OSError:
        segments = Segments()
    for number in segments.numbered:
        if number < entry.segment:
            continue
        offset = entry.offset if number == entry.segment else 0
        for start, record in _records(os.path.join(directory, segment_name(number)), offset):
            if (number, start) not in entry.above:
                is_new = record.seq is not None and record.seq > highest
                held.append(_Held(record.seq if is_new else None, record.to))
            highest = max(highest, record.seq or 0)
    for name in segments.extras:
        if name not in entry.extras:
            held += [_Held(None, record.to) for _, record in _records(os.path.join(directory, name), 0)]
    return held, highest


def _records(path: str, offset: int) -> Iterator[tuple[int, Record]]:
    """Every record from there on, with its place; none from where it cannot be read, which ``spool.findings`` tells."""
    with suppress(OSError):
        for line in read_lines(path, offset, finished=False):
            if isinstance(line.found, Record):
                yield line.start, line.found
