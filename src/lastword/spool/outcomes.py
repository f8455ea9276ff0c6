"""Outcomes, and the ledger's entry for one writer: which of its records are settled, and how many with each outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Optional

from lastword import checked
from lastword.spool.layout import deferred_from, segment_name, segment_number
from lastword.spool.reader import Segments

_LONGEST_OUTCOME = 200

DELIVERED = "delivered"
_SET_ASIDE, _DROPPED = "set aside: ", "dropped: "


def set_aside(reason: str) -> str:
    return _SET_ASIDE + reason


def dropped(reason: str) -> str:
    return _DROPPED + reason


def reasons_set_aside(tally: Counter[str]) -> dict[str, int]:
    """Return the counts of records set aside, by reason."""
    return _by_reason(tally, _SET_ASIDE)


def reasons_of_dropped(tally: Counter[str]) -> dict[str, int]:
    """Return the counts of dropped records, by reason."""
    return _by_reason(tally, _DROPPED)


def _by_reason(tally: Counter[str], prefix: str) -> dict[str, int]:
    return {outcome[len(prefix) :]: count for outcome, count in tally.items() if outcome.startswith(prefix)}


class WriterEntry:
    """The ledger's entry for one writer: which of its records are settled, and how."""

    def __init__(self) -> None:
        self.segment = 1
        self.offset = 0
        self.seq = 0
        self.above: set[tuple[int, int]] = set()
        self.extras: set[str] = set()
        self.extras_seen = 0
        self.tries: dict[str, int] = {}
        self.interrupted = 0
        self.first_seen = 0.0
        self.tally: Counter[str] = Counter()

    @classmethod
    def decode(cls, told: dict[str, Any]) -> WriterEntry:
        """Decode a ledger's data; older versions wrote fewer fields. Raises ValueError."""
        entry = cls()
        entry.segment, entry.offset, entry.seq = map(checked.integer, checked.items(told.get("low")))
        entry.above = set(map(read_place, checked.items(told.get("above"))))
        entry.extras = set(map(checked.name, checked.items(told.get("extras"))))
        entry.extras_seen = checked.count(told.get("extras_seen"))
        tries = checked.mapping(told.get("tries", {}))
        entry.tries = {checked.name(segment): checked.integer(number) for segment, number in tries.items()}
        entry.interrupted = checked.count(told.get("interrupted"))
        entry.first_seen = checked.seconds(told.get("first_seen"))
        entry.tally = read_counts(told.get("tally"))
        return entry

    def has_settled(self, place: tuple[int, int]) -> bool:
        """Return whether the line at this (segment, offset) is settled."""
        return place < (self.segment, self.offset) or place in self.above

    def settled_segments(self, segments: Segments) -> list[str]:
        """Return the names of those of ``segments`` that are completely settled and will not grow."""
        numbered = [segment_name(number) for number in segments.numbered if number < self.segment]
        return numbered + [name for name in segments.extras if name in self.extras]

    def is_leftover(self, name: str) -> bool:
        """Return whether this segment is a copy, made for a record to wait alone, that no checkpoint confirms.

        The record then still waits in its original segment.
        """
        origin = deferred_from(name)
        return origin is not None and not self.has_settled(origin)

    def unsettled(self, segments: Segments) -> Iterator[tuple[str, Optional[int], int]]:
        """Yield each of ``segments`` that may hold unsettled lines, as (name, number, offset to read from).

        The number is None for an x- or d- segment.
        """
        settled = set(self.settled_segments(segments))
        for name in segments.names:
            if not (name in settled or self.is_leftover(name)):
                number = segment_number(name)
                yield name, number, self.offset if number == self.segment else 0

    @property
    def is_untouched(self) -> bool:
        """Whether the time when this writer was first seen is all that is known of it."""
        return {**vars(self), "first_seen": 0.0} == vars(WriterEntry())

    @property
    def settled(self) -> int:
        return sum(self.tally.values())

    @property
    def recorded(self) -> int:
        """The number of records that a writer, once gone, is known to have written: at least those settled."""
        return max(self.seq + self.extras_seen, self.settled)

    def advance(self, segment: int, offset: int, seq: Optional[int], *, gone: bool = False) -> None:
        """Move ``low`` to a place; ``seq`` is the number of the last record before it, None if it has none.

        Records whose numbers are missing in between were damaged, and count as dropped for that reason; with ``gone``,
        so does the record ``seq`` itself. A number seen before (a copied segment) counts like a record without one.
        """
        if seq is not None:
            if seq > self.seq + 1:
                self.tally[dropped("damaged")] += seq - self.seq - 1
            if gone and seq > self.seq:
                self.tally[dropped("damaged")] += 1
            self.extras_seen += seq <= self.seq
            self.seq = max(seq, self.seq)
        self.segment, self.offset = segment, offset


def read_place(told: object) -> tuple[int, int]:
    """Decode a place, [segment, offset]. Raises ValueError."""
    segment, offset = map(checked.integer, checked.items(told))  # ValueError unless there are two
    return segment, offset


def read_counts(told: object) -> Counter[str]:
    """Decode a tally, or other counts by name. Raises ValueError."""
    return Counter({checked.line(of, _LONGEST_OUTCOME): checked.count(n) for of, n in checked.mapping(told).items()})
