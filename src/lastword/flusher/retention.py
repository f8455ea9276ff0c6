"""Making room: dropping what is too much, the oldest first, with a count and a reason.

Only a flusher does it, while it leads: nobody else settles or removes anything. Where none leads, or one does not keep
up or stands still, writers stop (``room``).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from typing import Callable

from lastword.flusher.waiting_line import State
from lastword.flusher.watch import Removable, WatchedWriter
from lastword.interruption import suppressed
from lastword.spool import aside, inside
from lastword.spool.layout import Layout
from lastword.spool.ledger import Ledger, dropped, set_aside
from lastword.spool.limits import SPOOL_FULL, TOO_OLD, Limits, spool_limit, widest

#: Reason for what the flusher itself had to say: a loss of these is never told of.
OWN_REPORT = "own report"

_SET_ASIDE_FULL = "set aside full"

#: Bytes that a file set aside counts for at least.
_LEAST_OF_A_FILE = 4096


def limits_of(writers: Collection[WatchedWriter]) -> Limits:
    """The limits that hold for a spool with these writers."""
    return widest(writer.limits for writer in writers)


def drop_oldest(layout: Layout, writers: Collection[WatchedWriter], most: int | None = None) -> list[Removable]:
    """Settle the oldest segments as dropped until the rest is within the limit, ``most`` of them at most, or a
    sixteenth of all, where that is more: counting them takes as long each time. Returns those segments. They are still
    there: only a checkpoint makes it right to unlink them.
    """
    total, removable = 0, []
    for writer in writers:
        size, candidates = writer.sizes()
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


def drop_too_old(writers: Collection[WatchedWriter], now: float) -> int:
    """Settle records that are past their age as dropped; returns how many. Each was tried once before: what seems old
    to a clock that was set is sent then. Only what has no destination cannot be.
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
    """Keeps all that is set aside within its limit: what its files occupy, each 4 KiB at least, so their number is
    bounded too. ``limit`` gives it in bytes.

    What goes first is damage, then events; of both the oldest. Room is made for some time, for it has to be counted.
    """

    def __init__(self, layout: Layout, ledger: Ledger, limit: Callable[[], int]) -> None:
        self._layout, self._ledger, self._ask_limit = layout, ledger, limit
        self._used = self._limit = 0  # as far as known: nothing is, at first

    def added(self, size: int) -> int:
        """A file of ``size`` bytes was set aside: make room, where there may be too much. Returns how many went."""
        self._used += max(size, _LEAST_OF_A_FILE)
        return self.trim() if self._used > self._limit else 0

    def trim(self) -> int:
        """Count, and remove what is too much; returns how many files went."""
        files = self._files()
        self._used, self._limit = sum(size for _, size, _ in files), self._ask_limit()
        if self._used <= self._limit:
            return 0
        gone = 0
        for _, size, name in sorted(files):
            if self._used <= self._limit - self._limit // 8:
                break
            with suppressed(OSError):  # it cannot be removed: others are
                self._remove(name)
                self._used -= size
                gone += 1
        return gone

    def _files(self) -> list[tuple[tuple[bool, int], int, str]]:
        """Of each file its place in the order in which they go, the bytes that it occupies, and its name."""
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
    """Some file systems know the blocks of a new file some time later. A sparse file, which is none of ours, is larger
    than any of ours and takes less room than it seems to.
    """
    return max(found.st_blocks * 512, min(found.st_size, aside.MOST_OF_A_FILE), _LEAST_OF_A_FILE)


def _is_event(name: str) -> bool:
    return name.endswith(".record")
