"""Make room: drop events beyond the limits, the oldest first, with a count and a reason.

Only the leader does this, because nothing else may settle or remove events. If there is no leader, or it hangs or
cannot keep up, writers stop recording (``room``).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from typing import Callable, NamedTuple

from lastword.flusher.waiting_line import State
from lastword.flusher.watch import WatchedWriter
from lastword.interruption import failures, suppressed
from lastword.spool import aside, blackbox, inside
from lastword.spool.layout import Layout, segment_number
from lastword.spool.ledger import Ledger, dropped, set_aside
from lastword.spool.limits import SPOOL_FULL, TOO_OLD, Limits, spool_limit, widest
from lastword.spool.reader import occupied

#: Reason for dropped reports of the flusher itself: their loss is never reported.
OWN_REPORT = "own report"

_SET_ASIDE_FULL = "set aside full"

#: Least number of bytes that a file set aside counts for.
_LEAST_OF_A_FILE = 4096


class Removable(NamedTuple):
    """A segment that its writer will never write to again; the lowest ``written_at`` is the oldest."""

    written_at: int
    size: int
    writer: WatchedWriter
    name: str


def limits_of(writers: Collection[WatchedWriter]) -> Limits:
    """Return the limits that apply to a spool with these writers."""
    return widest(writer.limits for writer in writers)


def drop_oldest(layout: Layout, writers: Collection[WatchedWriter], most: int | None = None) -> list[Removable]:
    """Settle the oldest segments as dropped until the rest is within the limit; return the dropped segments.

    At most ``most`` are dropped in one call, or a sixteenth of all if that is more, because counting the segments takes
    the same time in each call. Their files still exist: they may be unlinked only after a checkpoint.
    """
    total, removable = 0, []
    for writer in writers:
        size, candidates = sizes_of(writer)
        total += size
        removable += candidates
    limit = spool_limit(limits_of(writers).spool, layout.base, total)
    gone: list[Removable] = []
    for segment in sorted(removable, key=lambda segment: (segment.written_at, segment.name)):
        if total <= limit or (most is not None and len(gone) >= max(most, len(removable) // 16)):
            break
        segment.writer.drop(segment.name, OWN_REPORT if segment.writer.is_flushers else SPOOL_FULL)
        if segment.name in segment.writer.settled_segments():
            total -= segment.size
            gone.append(segment)
    return gone


def sizes_of(writer: WatchedWriter) -> tuple[int, list[Removable]]:
    """Return the bytes of all segments with unsettled lines, and which of these segments could be dropped for room.

    Numbered segments are offered if the writer has finished them, up to the first with a record in flight; they must be
    dropped in the order of their numbers.
    """
    total, removable, in_order, settled = 0, [], True, set(writer.settled_segments())
    finished = blackbox.finished_upto(writer.directory, writer.segments.numbered, dead=writer.dead)
    busy = {line.segment for line in writer.waiting() if line.state is State.IN_FLIGHT}
    for name in writer.segments.names:
        if name in settled:
            continue
        try:
            found = inside.lstat(os.path.join(writer.directory, name))
        except failures(OSError):
            continue
        size = occupied(found)
        total += size
        number = segment_number(name)
        free = name not in busy and (number is None or number <= finished)
        in_order = in_order and (free or number is None)
        if free and (in_order or number is None):
            removable.append(Removable(found.st_mtime_ns, size, writer, name))
    return total, removable


def drop_too_old(writers: Collection[WatchedWriter], now: float) -> int:
    """Settle records older than the age limit as dropped; return how many. A record is dropped only after one failed
    attempt, so one that seems old because the clock was set is sent; records without a destination are not tried.
    """
    age = limits_of(writers).age
    count = 0
    for writer in writers:
        if now - writer.entry.first_seen <= age:
            continue
        for line in list(writer.waiting()):
            was_tried = line.to is None or line.failed_at
            if was_tried and line.damage is None and line.state is State.HELD and 0 < line.captured_at < now - age:
                writer.settle(line, dropped(OWN_REPORT if writer.is_flushers else TOO_OLD))
                count += 1
    return count


class SetAside:
    """Keeps the files set aside within their limit, which ``limit`` returns in bytes. A file counts for the bytes it
    occupies, at least 4 KiB, so the number of files is bounded too.

    Damage is removed first, then events, each oldest first. More than needed is removed, because counting takes time.
    """

    def __init__(self, layout: Layout, ledger: Ledger, limit: Callable[[], int]) -> None:
        self._layout, self._ledger, self._ask_limit = layout, ledger, limit
        self._used = self._limit = 0  # at the last count; 0 before the first

    def added(self, size: int) -> int:
        """Count a new file of ``size`` bytes, and trim if the limit may be exceeded; return how many were removed."""
        self._used += max(size, _LEAST_OF_A_FILE)
        return self.trim() if self._used > self._limit else 0

    def trim(self) -> int:
        """Count the files and remove those beyond the limit; return how many were removed."""
        files = self._files()
        self._used, self._limit = sum(size for _, size, _ in files), self._ask_limit()
        if self._used <= self._limit:
            return 0
        gone = 0
        for _, size, name in sorted(files):
            if self._used <= self._limit - self._limit // 8:
                break
            with suppressed(OSError):  # this file cannot be removed: try the next
                self._remove(name)
                self._used -= size
                gone += 1
        return gone

    def _files(self) -> list[tuple[tuple[bool, int], int, str]]:
        """Return for each file its sort key in the order of removal, the bytes that it occupies, and its name."""
        files = []
        with suppressed(OSError):
            for name in inside.listdir(self._layout.set_aside):
                with suppressed(FileNotFoundError):
                    found = inside.lstat(os.path.join(self._layout.set_aside, name))
                    if stat.S_ISREG(found.st_mode):
                        files.append(((_is_event(name), found.st_mtime_ns), _room_of(found), name))
        return files

    def _remove(self, name: str) -> None:
        path, totals = os.path.join(self._layout.set_aside, name), self._ledger.totals
        why = aside.head_of(path).why if _is_event(name) else None
        inside.unlink(path)
        if why is None:
            totals.damage_removed += 1
        else:
            totals.tally[set_aside(why)] -= 1
            totals.tally[dropped(_SET_ASIDE_FULL)] += 1


def _room_of(found: os.stat_result) -> int:
    """Return the bytes that a file occupies. Some file systems report the blocks of a new file only after some time, so
    its size counts too, up to the largest file that lastword writes: a foreign sparse file occupies less than its size.
    """
    return max(found.st_blocks * 512, min(found.st_size, aside.MOST_OF_A_FILE), _LEAST_OF_A_FILE)


def _is_event(name: str) -> bool:
    return name.endswith(".record")
