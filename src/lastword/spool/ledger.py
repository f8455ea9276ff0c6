"""The ledger: what became of every record. Only the leader writes it; any process may read it at any time.

Specification (format v1)
-------------------------
Two files, ``ledger.a`` and ``ledger.b``, created as 256 KiB of zeros with the first writer and written in place
alternately; the valid copy of the higher generation counts. A copy is::

    lastword ledger <generation, 20 digits> <length, 10 digits> <crc, 8 hex digits>\\n<length bytes of JSON>

``crc`` is the CRC-32 of the generation's digits and the JSON. The JSON is an object with

* ``writers``: id → ``low`` [segment, offset, seq]: every record before that place is settled, and ``seq`` is the number
  of the last of them; ``above``: places [segment, offset] settled beyond ``low``, at most 256; ``extras``: settled x-
  and d- segments that may still exist; ``extras_seen``: how many x- records were ever settled; ``tries``: segment
  of one record → how often that record failed again after others had passed; ``tally``: outcome → count;
  ``interrupted``: unfinished lines left by kills; ``first_seen``: when a flusher first saw this writer (Unix seconds).
* ``destinations``: key → the state of sending to it (``DestinationHealth``).
* ``retired``: ids of writers whose figures are already in ``totals`` and whose files are being removed.
* ``totals``: the sums over all retired writers; ``damage_removed``: how many files with damage were set aside and later
  removed for want of room.
* ``told``: losses reported to the tracker, by reason; ``told_at``: when they were reported (Unix seconds).
* ``clock``: ``from``: the moment from which the clock of ``spool.clock`` counts; ``offset``: the seconds to add to that
  clock for Unix seconds when this copy was written.

An outcome is ``delivered``, ``set aside: <reason>`` or ``dropped: <reason>``.

The order that loses nothing: a verdict is kept in memory, then checkpointed here, then files are unlinked. Copies are
written in place, because on a full disk a rename over an old file gets ENOSPC like any new file. A copy that cannot
grow any more omits the places above ``low`` (those records are sent again) and the writers with nothing settled, but
never ``low``. So does a copy that would have more than 16 MiB of JSON, because no more is read.

``LedgerView`` is for callers that wait for an entry: it reads the whole ledger only when the generation has changed.
"""

from __future__ import annotations

import errno
import json
import os
import time
import zlib
from collections import Counter
from typing import Optional

from lastword import checked
from lastword.descriptors import closing
from lastword.errors import SpoolError
from lastword.interruption import failures
from lastword.spool import clock
from lastword.spool.health import DestinationHealth as DestinationHealth
from lastword.spool.layout import Layout, open_private, read_at, read_small_file, reserve, write_in_place
from lastword.spool.outcomes import DELIVERED as DELIVERED
from lastword.spool.outcomes import WriterEntry as WriterEntry
from lastword.spool.outcomes import dropped as dropped
from lastword.spool.outcomes import read_counts
from lastword.spool.outcomes import reasons_of_dropped as reasons_of_dropped
from lastword.spool.outcomes import reasons_set_aside as reasons_set_aside
from lastword.spool.outcomes import set_aside as set_aside

INITIAL_SIZE = 256 << 10
MAX_ABOVE = 256

_HEADER = b"lastword ledger %020d %010d %08x\n"
_HEADER_SIZE = len(_HEADER % (0, 0, 0))
_MAX_LENGTH = 16 << 20  # of the JSON: a hundred thousand writers. A greater length is damage

#: At most this many reasons of refusals are counted separately; lastword has fewer than twenty.
_MOST_REASONS = 200
_OTHER_REASONS = "other reasons"

#: Seconds. A smaller difference may come from a pause between reading the two clocks.
_LEAST_STEP = 0.1


class Totals:
    """Sums over the writers that are gone."""

    def __init__(self) -> None:
        self.writers = 0
        self.recorded = 0
        self.interrupted = 0
        self.damage_removed = 0
        self.tally: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()


class Ledger:
    """The ledger in memory, and its two copies on disk."""

    def __init__(self) -> None:
        self.generation = 0
        self.writers: dict[str, WriterEntry] = {}
        self.destinations: dict[str, DestinationHealth] = {}
        self.retired: set[str] = set()
        self.totals = Totals()
        self.told: Counter[str] = Counter()
        self.told_at = 0.0
        self._counted_from, self._offset = clock.counted_from(), time.time() - clock.ticks()

    @classmethod
    def load(cls, layout: Layout) -> Ledger:
        """Return the newest valid copy, or an empty ledger if there is none. Never raises."""
        copies = sorted(filter(None, map(_read_copy, layout.ledger_copies)), reverse=True)
        ledger = next(filter(None, map(_decoded, copies)), None) or cls()
        ledger.follow_clock()
        return ledger

    def is_newest(self, layout: Layout) -> bool:
        """Return whether no later ledger has been stored since this one was loaded."""
        return newest_generation(layout) == self.generation or Ledger.load(layout).generation == self.generation

    def now(self) -> float:
        """Return Unix seconds, by a clock that runs evenly between two calls of ``follow_clock``."""
        return self._offset + clock.ticks()

    def follow_clock(self) -> None:
        """Move all times along with the system's clock if it was set, so that they stay as long ago, or as far ahead.

        The first call after loading compares with the time of writing, if this ledger was written in the same boot.
        """
        offset, before = time.time() - clock.ticks(), self._offset
        if self._counted_from != clock.counted_from():
            self._counted_from, self._offset = clock.counted_from(), offset
        elif abs(offset - before) >= _LEAST_STEP:
            self._offset = offset
            self._move_times(offset - before)

    def _move_times(self, by: float) -> None:
        self.told_at += by if self.told_at else 0.0
        for entry in self.writers.values():
            entry.first_seen += by if entry.first_seen else 0.0
        for health in self.destinations.values():
            health.move_times(by)

    @staticmethod
    def is_whole(path: str) -> bool:
        """Return whether the copy at ``path`` is a valid ledger, or was created and not written yet."""
        try:
            if read_small_file(path, _HEADER_SIZE) == bytes(_HEADER_SIZE):
                return True
        except failures(OSError):
            return False
        copy = _read_copy(path)
        return copy is not None and _decoded(copy) is not None

    def entry(self, writer_id: str) -> WriterEntry:
        return self.writers.setdefault(writer_id, WriterEntry())

    def health(self, destination_key: str) -> DestinationHealth:
        return self.destinations.setdefault(destination_key, DestinationHealth())

    def retire(self, writer_id: str, refused: dict[str, int]) -> None:
        """Add a writer's figures to the totals; keep its id until its files are gone."""
        entry = self.writers.pop(writer_id, WriterEntry())
        self.totals.writers += 1
        self.totals.recorded += entry.recorded
        self.totals.interrupted += entry.interrupted
        self.totals.tally.update(entry.tally)
        for reason, count in refused.items():
            known = reason in self.totals.refused or len(self.totals.refused) < _MOST_REASONS
            self.totals.refused[reason if known else _OTHER_REASONS] += count
        self.retired.add(writer_id)

    def store(self, layout: Layout) -> None:
        """Write a checkpoint. Raises SpoolError if even a ledger without ``above`` cannot be written."""
        self.generation += 1
        path = layout.ledger_copies[self.generation % 2]
        try:
            _write_copy(path, self.generation, self._encode(with_above=True))
        except failures(OSError):
            try:
                _write_copy(path, self.generation, self._encode(with_above=False))
            except failures(OSError) as error:
                raise SpoolError(f"the ledger {path} cannot be written: {error}") from None

    def _encode(self, *, with_above: bool) -> bytes:
        data = {
            "writers": {
                writer_id: {
                    "low": [entry.segment, entry.offset, entry.seq],
                    "above": sorted(entry.above) if with_above else [],
                    "extras": sorted(entry.extras),
                    "extras_seen": entry.extras_seen,
                    "tries": entry.tries,
                    "interrupted": entry.interrupted,
                    "first_seen": entry.first_seen,
                    "tally": entry.tally,
                }
                for writer_id, entry in self.writers.items()
                if with_above or not entry.is_untouched
            },
            "destinations": {key: vars(health) for key, health in self.destinations.items()},
            "retired": sorted(self.retired),
            "totals": vars(self.totals),
            "told": self.told,
            "told_at": self.told_at,
            "clock": {"from": self._counted_from, "offset": self._offset},
        }
        return json.dumps(data, separators=(",", ":")).encode("ascii")

    @classmethod
    def _decode(cls, generation: int, content: bytes) -> Ledger:
        """Decode a copy. Raises ValueError for data that neither this version nor an older one writes."""
        data = checked.mapping(checked.json_value(content))
        ledger = cls()
        ledger.generation = generation
        for writer_id, told in checked.mapping(data.get("writers")).items():
            ledger.writers[checked.name(writer_id)] = WriterEntry.decode(checked.mapping(told))
        for key, told in checked.mapping(data.get("destinations")).items():
            ledger.destinations[checked.name(key)] = DestinationHealth.decode(checked.mapping(told))
        ledger.retired = set(map(checked.name, checked.items(data.get("retired"))))
        totals, told = ledger.totals, checked.mapping(data.get("totals"))
        totals.writers, totals.interrupted = checked.count(told.get("writers")), checked.count(told.get("interrupted"))
        totals.recorded = checked.count(told.get("recorded"))
        totals.damage_removed = checked.count(told.get("damage_removed", 0))  # older versions do not write it
        totals.tally, totals.refused = read_counts(told.get("tally")), read_counts(told.get("refused"))
        ledger.told, ledger.told_at = read_counts(data.get("told")), checked.seconds(data.get("told_at"))
        told = checked.mapping(data.get("clock", {"from": "", "offset": 0.0}))  # older versions do not write it
        ledger._counted_from, ledger._offset = checked.text(told.get("from"), 200), checked.seconds(told.get("offset"))
        return ledger


def newest_generation(layout: Layout) -> int:
    """Return the highest generation that a copy claims, valid or not; 0 if there is none. Never raises."""
    return max(map(_claimed_generation, layout.ledger_copies))


def _claimed_generation(path: str) -> int:
    try:
        words = read_small_file(path, _HEADER_SIZE).split()
        return int(words[2]) if words[:2] == [b"lastword", b"ledger"] else 0
    except failures(OSError, ValueError, IndexError):
        return 0


def preallocate(layout: Layout) -> None:
    """Reserve disk space for both copies while there is some, so that the spool on a full disk can still be drained.

    No existing byte is changed, so any process may call this at any time. Missing space is left for ``store``.
    """
    for path in layout.ledger_copies:
        reserve(path, INITIAL_SIZE)


def _write_copy(path: str, generation: int, text: bytes) -> None:
    if len(text) > _MAX_LENGTH:
        raise OSError(errno.EFBIG, f"It would have {len(text)} bytes, and no more than {_MAX_LENGTH} are read", path)
    write_in_place(path, _HEADER % (generation, len(text), _checksum(generation, text)) + text, INITIAL_SIZE)


def _read_copy(path: str) -> Optional[tuple[int, bytes]]:
    """Return the copy's generation and JSON; None if they are missing or damaged."""
    try:
        with closing(open_private(path, os.O_RDONLY)) as descriptor:
            words = os.pread(descriptor, _HEADER_SIZE, 0).split()
            if len(words) != 5 or words[:2] != [b"lastword", b"ledger"] or int(words[3]) > _MAX_LENGTH:
                return None
            text = read_at(descriptor, _HEADER_SIZE, int(words[3]))
        generation, crc = int(words[2]), int(words[4], 16)
        return (generation, text) if _checksum(generation, text) == crc else None
    except failures(OSError, ValueError):
        return None


def _decoded(copy: tuple[int, bytes]) -> Optional[Ledger]:
    try:
        return Ledger._decode(*copy)
    except failures(ValueError, RecursionError):
        return None


def _checksum(generation: int, text: bytes) -> int:
    return zlib.crc32(text, zlib.crc32(b"%020d" % generation))


class LedgerView:
    """A cached view of one spool's ledger; reading it costs some 10 µs while the ledger does not change."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._seen = Ledger()

    def look(self) -> Ledger:
        """Return the current ledger, to be read, not changed. Never raises."""
        if newest_generation(self._layout) != self._seen.generation:
            self._seen = Ledger.load(self._layout)
        return self._seen
