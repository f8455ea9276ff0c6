"""Whether a writer may go on, and how full the spool is: checked before a writer's first record, and again after each
segment that it has filled.

The thread that is about to write checks all writers, outside the writer's lock. Until it has the answer, other threads
and signal handlers use the previous one. During a flood, the fill is checked more often.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from lastword.interruption import failures, suppressed
from lastword.spool import blackbox, inside
from lastword.spool.identity import is_dead, read_who
from lastword.spool.layout import SEGMENT_SUFFIX, WHO, Layout, segment_name, segment_number
from lastword.spool.ledger import Ledger, WriterEntry
from lastword.spool.limits import Limits, spool_limit, widest
from lastword.spool.reader import list_segments, occupied

#: Seconds between two checks when there was no room: about as often as a flusher scans. Slow checks take a twentieth of
#: the time, but no pause is longer than ``_MAX_PAUSE``.
_MIN_PAUSE, _MAX_PAUSE = 0.25, 2.0
_FACTOR = 20

#: Seconds for which `Room.fill` uses the last check if asked for a fresh one.
_FRESH = 2.0

SMALLEST_SHARE = 64 << 10

#: Parts of the limit: up to ``_CLOSE_LOOK`` used, waiting records are not distinguished from sent ones; and by
#: ``_VAGUE`` all writers together may be wrong about what is used.
_CLOSE_LOOK, _VAGUE = 1 / 8, 1 / 8


class Sight(NamedTuple):
    """The result of one check.

    Attributes:
        room: whether anything may be written.
        fill: the part of the spool's limit that waiting records use: 0.0 to 1.0, or more.
        share: bytes that this writer may write before it has to check again to know the fill.
    """

    room: bool = True
    fill: float = 0.0
    share: int = SMALLEST_SHARE


class Room:
    """The room that one writer knows of: ``look`` makes a check, ``written`` returns the bytes it has written."""

    def __init__(self, look: Callable[[], Sight], written: Callable[[], int]) -> None:
        self._look, self._written = look, written
        self._asked_for = 0  # the number of a segment
        self._full_until = 0.0  # by the monotonic clock; 0 where there was room
        self._seen, self._seen_at = Sight(), 0  # and the bytes written by then
        self._fresh_until = 0.0

    def for_segment(self, number: int) -> bool:
        """Return whether anything may be written while the open segment has this ``number``; the first is 1."""
        now = time.monotonic()
        if now < self._full_until:
            return False
        if not self._full_until and number == self._asked_for:
            return True
        self._asked_for = number
        if self._full_until:
            self._full_until = now + _MAX_PAUSE
        self._look_around(now)
        answered = time.monotonic()
        pause = min(max(_FACTOR * (answered - now), _MIN_PAUSE), _MAX_PAUSE)
        self._full_until = 0.0 if self._seen.room else answered + pause
        return self._seen.room

    def fill(self, fresh: bool) -> float:
        """Return how full the spool was at the last check. Later records of other writers are not included, nor of this
        writer, up to its share; with ``fresh``, the check is no more than seconds old.
        """
        now = time.monotonic()
        if self._written() - self._seen_at > self._seen.share or (fresh and now >= self._fresh_until):
            self._look_around(now)
        return self._seen.fill

    def _look_around(self, now: float) -> None:
        self._seen_at, self._fresh_until = self._written(), now + _FRESH  # first: other threads then do not check too
        self._seen = self._look()
        self._fresh_until = max(now + _FRESH, now + _FACTOR * (time.monotonic() - now))


def survey(layout: Layout, asked: Limits) -> Sight:
    """Return how full the spool is, and whether a writer whose own limits are ``asked`` may go on. It may as long as
    the segments that will not be written to again are within the limit.

    Up to its own limit, or the default one, this checks no closer: a lower limit of another program is left to the
    flusher.
    """
    try:
        writers = layout.writer_ids()
        used = _size_of_segments(layout, writers)
        limit = spool_limit(asked.spool, layout.base, used)
        room, share = used <= limit or not _is_full(layout), int(limit * _VAGUE / max(len(writers), 1))
        return Sight(room, _fill(layout, writers, used, limit), max(share, SMALLEST_SHARE))
    except failures(OSError):  # files come or go just now, or cannot be read
        return Sight()


def _fill(layout: Layout, writers: Collection[str], used: int, limit: int) -> float:
    """Return the part of the limit that waiting records use. Records that were sent stay in a segment that is still
    written to, so many writers that have nothing waiting use much; the ledger shows which records are settled.
    """
    settled = 0
    if used > limit * _CLOSE_LOOK:
        entries = Ledger.load(layout).writers
        settled = _settled_size(layout, {writer: entries[writer] for writer in writers if writer in entries})
    return (used - settled) / max(limit - settled, 1)


def _settled_size(layout: Layout, entries: Mapping[str, WriterEntry]) -> int:
    """Return how many bytes at the beginning of these writers' segments are settled, of those that are written to."""
    total = 0
    for writer_id, entry in entries.items():
        with suppressed(OSError):  # the segment is gone, or not begun
            path = os.path.join(layout.writer(writer_id), segment_name(entry.segment))
            total += min(inside.lstat(path).st_size, entry.offset)
    return total


def _size_of_segments(layout: Layout, writers: Collection[str]) -> int:
    """Return the size of all segments, still written to or not, which is quick to determine."""
    total = 0
    for writer_id in writers:
        with suppressed(OSError), inside.entries(layout.writer(writer_id)) as found:
            for one in found:
                if one.name.endswith(SEGMENT_SUFFIX):
                    with suppressed(OSError):  # removed just now
                        total += one.stat(follow_symlinks=False).st_size
    return total


def _is_full(layout: Layout) -> bool:
    """Return whether the segments that will not be written to again exceed the limit by themselves."""
    total, finished, asked = 0, 0, []
    for writer_id in layout.writer_ids():
        directory = layout.writer(writer_id)
        who = read_who(os.path.join(directory, WHO))
        asked.append(Limits.decode(who.get("limits")))
        with suppressed(OSError):
            segments = list_segments(directory)
            upto = blackbox.finished_upto(directory, segments.numbered, dead=is_dead(directory, who))
            for name in segments.names:
                with suppressed(OSError):
                    size = occupied(inside.lstat(os.path.join(directory, name)))
                    total += size
                    finished += size if (segment_number(name) or 0) <= upto else 0
    return finished > spool_limit(widest(asked).spool, layout.base, total)
