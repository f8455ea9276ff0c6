"""The accounts: which events were captured, and what became of each. Takes no lock and changes nothing.

There is no counter of captures. A writer's own numbers show how much it recorded: its highest ``n``, plus one for each
x- segment. The ledger says what became of these records; those that it does not mention must be in the segments: they
are held. So ``recorded = held + delivered + set aside + dropped`` is a check, not a definition.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Optional, Union

from lastword.foreign_text import MOST_QUOTED, one_line
from lastword.interruption import failures, suppressed
from lastword.spool import blackbox, inside, refused
from lastword.spool.identity import is_dead, read_who
from lastword.spool.layout import BLACKBOX, WHO, Layout, deferred_from
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
from lastword.spool.redirects import Redirects

_ATTEMPTS = 5


@dataclass(frozen=True)
class WriterAccount:
    """One process that writes, or wrote and is not settled yet.

    ``is_described``: the files in which it describes itself could be read.
    """

    id: str
    pid: Optional[int]
    program: str
    alive: bool
    recorded: int
    held: int
    is_described: bool


@dataclass
class Accounts:
    """Counts of events over all processes, living and gone.

    Attributes:
        recorded: written to disk and acknowledged.
        held: waiting in the spool.
        oldest_sendable: when the oldest held event that a flusher sends was captured, in Unix seconds; None if none.
        delivered: confirmed by the tracker.
        set_aside, dropped: by reason; settled, not delivered.
        refused: by reason; captured and never recorded.
        interrupted: records torn by a kill before they were acknowledged; not part of the balance.
        damage_removed: pieces of damage set aside and later removed for want of room; not part of the balance.
        flusher: pid of the leader; 0 if it is not visible from here, None if no process leads.
        writers: the processes whose directories exist.
        destinations: the state of sending, by key; ``held_for``: how many events wait for each.
    """

    recorded: int = 0
    held: int = 0
    held_for: Counter[Optional[str]] = field(default_factory=Counter)
    oldest_sendable: Optional[float] = None
    delivered: int = 0
    set_aside: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    interrupted: int = 0
    damage_removed: int = 0
    flusher: Optional[int] = None
    writers: list[WriterAccount] = field(default_factory=list)
    destinations: dict[str, DestinationHealth] = field(default_factory=dict)

    @property
    def held_without_dsn(self) -> int:
        """The number of held events without a destination: nothing sends these."""
        return self.held_for[None]

    @property
    def sendable(self) -> int:
        """The number of held events that a flusher sends."""
        return self.held - self.held_without_dsn

    @property
    def missing(self) -> int:
        """The number of events recorded and found nowhere: 0, except while a damaged record waits for the flusher."""
        settled = self.delivered + sum(self.set_aside.values()) + sum(self.dropped.values())
        return self.recorded - self.held - settled


def leader_name(pid: int) -> str:
    """Return a text for the leader with this ``pid``; 0 means that its pid is not visible from here."""
    return f"pid {pid}" if pid else "a process in another PID namespace"


def read_accounts(spool: Union[str, os.PathLike[str]]) -> Accounts:
    """Count the events in the spool directory ``spool``; a missing one has empty accounts.

    While a flusher works, reading one consistent state may take a few tries; each but the first reads only new records.
    """
    layout = Layout(os.fspath(spool))
    cache = _ReadCache(layout)
    with inside.kept_to_look(layout.base), inside.kept_to_look(layout.writers):
        for _ in range(_ATTEMPTS):
            ledger = Ledger.load(layout)
            accounts = _count(layout, ledger, cache)
            if ledger.is_newest(layout):
                break
    return accounts


def _count(layout: Layout, ledger: Ledger, cache: _ReadCache) -> Accounts:
    totals = ledger.totals
    accounts = Accounts(recorded=totals.recorded, interrupted=totals.interrupted, destinations=ledger.destinations)
    accounts.damage_removed = totals.damage_removed
    accounts.refused.update(totals.refused)
    accounts.refused.update(refused.counted(layout))
    tally = Counter(totals.tally)
    present: set[str] = set()
    with suppressed(OSError):
        accounts.flusher = holder(layout.flusher_lock)
    with suppressed(OSError):
        present = layout.writer_ids() - ledger.retired
    for writer_id in sorted(present | set(ledger.writers)):
        entry = ledger.writers.get(writer_id, WriterEntry())
        tally.update(entry.tally)
        if writer_id in present:
            with inside.kept_to_look(layout.writer(writer_id)):
                _add_present(accounts, writer_id, entry, cache)
        else:
            accounts.recorded += entry.recorded
            accounts.interrupted += entry.interrupted
    accounts.delivered = tally[DELIVERED]
    aside = {why: count for why, count in reasons_set_aside(tally).items() if count}  # 0: replayed
    accounts.set_aside = _readable(aside)
    accounts.dropped = _readable(reasons_of_dropped(tally))
    accounts.refused = _readable(accounts.refused)
    return accounts


def _readable(counts: Mapping[str, int]) -> Counter[str]:
    """Return the counts by reasons that are safe to show: files and their names may contain anything."""
    readable: Counter[str] = Counter()
    for reason, count in counts.items():
        readable[one_line(reason, MOST_QUOTED)] += count
    return readable


def _add_present(accounts: Accounts, writer_id: str, entry: WriterEntry, cache: _ReadCache) -> None:
    directory = cache.layout.writer(writer_id)
    held, highest = _held_of(writer_id, entry, cache)
    recorded = highest + entry.extras_seen + sum(record.seq is None for record in held)
    accounts.recorded += recorded
    accounts.held += len(held)
    accounts.held_for.update(record.to for record in held)
    times = [record.at for record in held if record.to is not None and record.at]
    if times:
        accounts.oldest_sendable = min(
            times if accounts.oldest_sendable is None else (accounts.oldest_sendable, *times)
        )
    accounts.interrupted += entry.interrupted
    state = blackbox.read(os.path.join(directory, BLACKBOX))
    accounts.refused.update(state.refused if state else ())
    who = read_who(os.path.join(directory, WHO))
    pid = who.get("pid")
    accounts.writers.append(
        WriterAccount(
            id=writer_id,
            pid=pid if isinstance(pid, int) else None,
            program=one_line(str(who.get("program", "")), MOST_QUOTED),
            alive=not is_dead(directory, who),
            recorded=recorded,
            held=len(held),
            is_described=bool(who) and state is not None,
        )
    )


def _held_of(writer_id: str, entry: WriterEntry, cache: _ReadCache) -> tuple[list[_Head], int]:
    """Return every unsettled record, and the highest number that this writer has given.

    A held record keeps its number only if that is new, because a copied segment repeats numbers.
    """
    held, highest = [], entry.seq
    try:
        segments = list_segments(cache.layout.writer(writer_id))
    except failures(OSError):
        segments = Segments()
    for name, number, offset in entry.unsettled(segments):
        for head in cache.records(writer_id, name, offset):
            if number is None:
                held.append(head if deferred_from(name) else head._replace(seq=None))  # its number counts a d- copy
                continue
            if not entry.has_settled((number, head.start)):
                is_new = head.seq is not None and head.seq > highest
                held.append(head if is_new else head._replace(seq=None))
            highest = max(highest, head.seq or 0)
    return held, highest


class _Head(NamedTuple):
    """The facts counted for one record.

    ``to`` is its destination after redirects; ``at`` is the time of its capture in Unix seconds, 0.0 if unknown.
    """

    start: int
    seq: Optional[int]
    to: Optional[str]
    at: float


class _ReadCache:
    """The records read so far. Segments only grow, so each read continues where the last one ended."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._read: dict[str, tuple[list[_Head], int]] = {}
        self._redirects = Redirects(layout)
        self._redirects.refresh(time.time())

    def records(self, writer_id: str, name: str, offset: int) -> Iterator[_Head]:
        """Return the records from ``offset`` on that can be read; ``audit.findings`` reports unreadable segments."""
        path = os.path.join(self.layout.writer(writer_id), name)
        heads, end = self._read.get(path, ([], offset))
        with suppressed(OSError):
            for line in read_lines(path, end, finished=False):
                end = line.end
                if isinstance(line.found, Record):
                    to = self._redirects.resolve(line.found.to, writer_id, name, line.start)
                    heads.append(_Head(line.start, line.found.seq, to, line.found.captured_at))
        self._read[path] = heads, end
        return (head for head in heads if head.start >= offset)
