"""Whether a writer may go on, and how full the spool is: it looks before its first record, and again once it has filled
a segment.

Whoever is about to write looks, outside the writer's lock: at all writers. Until the answer is there, other threads and
signal handlers go by the one before. Who has to know how full it is, because of a flood, looks more often.
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

#: Seconds after which it is asked again where there was no room: about how often a flusher looks. Where answers take
#: long, they take a twentieth of the time, but no pause is longer than ``_MAX_PAUSE``.
_MIN_PAUSE, _MAX_PAUSE = 0.25, 2.0
_FACTOR = 20

#: Seconds for which `Room.fill` goes by what was seen, where it shall be fresh.
_FRESH = 2.0

SMALLEST_SHARE = 64 << 10

#: Up to so much of the limit is used, what waits is not told from what was sent; and by so much of it all writers
#: together may be wrong about what is used.
_CLOSE_LOOK, _VAGUE = 1 / 8, 1 / 8


class Sight(NamedTuple):
    """What there is to see.

    Attributes:
        room: whether anything may be written.
        fill: how much of the spool's limit is used by what waits: 0.0 to 1.0, or more.
        share: bytes that this writer may write before it has to look again to know the fill.
    """

    room: bool = True
    fill: float = 0.0
    share: int = SMALLEST_SHARE


class Room:
    """What one writer knows of it: ``look`` takes a look, ``written`` says how many bytes this writer has written."""

    def __init__(self, look: Callable[[], Sight], written: Callable[[], int]) -> None:
        self._look, self._written = look, written
        self._asked_for = 0  # the number of a segment
        self._full_until = 0.0  # by the monotonic clock; 0 where there was room
        self._seen, self._seen_at = Sight(), 0  # and what was written by then
        self._fresh_until = 0.0

    def for_segment(self, number: int) -> bool:
        """Whether anything may be written while the open segment is that of ``number``; the first is 1."""
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
        """How full the spool was at the last look. That is wrong by what others have written since, and by what this
        writer has, up to its share; where it shall be ``fresh``, it is no more than seconds old.
        """
        now = time.monotonic()
        if self._written() - self._seen_at > self._seen.share or (fresh and now >= self._fresh_until):
            self._look_around(now)
        return self._seen.fill

    def _look_around(self, now: float) -> None:
        self._seen_at, self._fresh_until = self._written(), now + _FRESH  # first, so that other threads do not look too
        self._seen = self._look()
        self._fresh_until = max(now + _FRESH, now + _FACTOR * (time.monotonic() - now))


def survey(layout: Layout, asked: Limits) -> Sight:
    """What a writer whose own limits are ``asked`` has to know: how full the spool is, and whether it may go on. It may
    as long as what nobody writes to any more is within the limit.

    Up to its own limit, or the default one, it looks no closer: a lower one that others ask for is left to the flusher.
    """
    try:
        writers = layout.writer_ids()
        used = _size_of_segments(layout, writers)
        limit = spool_limit(asked.spool, layout.base, used)
        room, share = used <= limit or not _is_full(layout), int(limit * _VAGUE / max(len(writers), 1))
        return Sight(room, _fill(layout, writers, used, limit), max(share, SMALLEST_SHARE))
    except failures(OSError):  # something comes or goes just now, or nothing can be read there
        return Sight()


def _fill(layout: Layout, writers: Collection[str], used: int, limit: int) -> float:
    """How much of the limit what waits takes up. What was sent out of a segment that is still written to stays in the
    file, so many writers that have nothing waiting use much; the ledger tells.
    """
    settled = 0
    if used > limit * _CLOSE_LOOK:
        entries = Ledger.load(layout).writers
        settled = _settled_size(layout, {writer: entries[writer] for writer in writers if writer in entries})
    return (used - settled) / max(limit - settled, 1)


def _settled_size(layout: Layout, entries: Mapping[str, WriterEntry]) -> int:
    """How many bytes at the beginning of these writers' segments are settled, of those that are written to."""
    total = 0
    for writer_id, entry in entries.items():
        with suppressed(OSError):  # it is gone, or not begun
            path = os.path.join(layout.writer(writer_id), segment_name(entry.segment))
            total += min(inside.lstat(path).st_size, entry.offset)
    return total


def _size_of_segments(layout: Layout, writers: Collection[str]) -> int:
    """What is quickly counted: all of them, whoever still writes to them."""
    total = 0
    for writer_id in writers:
        with suppressed(OSError), inside.entries(layout.writer(writer_id)) as found:
            for one in found:
                if one.name.endswith(SEGMENT_SUFFIX):
                    with suppressed(OSError):  # removed just now
                        total += one.stat(follow_symlinks=False).st_size
    return total


def _is_full(layout: Layout) -> bool:
    """Whether what nobody will write to again is too much by itself."""
    total, finished, asked = 0, 0, []
    for writer_id in layout.writer_ids():
        directory = layout.writer(writer_id)
        who = read_who(os.path.join(directory, WHO))
        asked.append(Limits.decode(who.get("limits")))
        with suppressed(OSError):
            segments = list_segments(directory)
            upto = blackbox.finished_upto(directory, segments.numbered, dead=is_dead(directory, who))
            for name in (*map(segment_name, segments.numbered), *segments.extras):
                with suppressed(OSError):
                    size = occupied(inside.lstat(os.path.join(directory, name)))
                    total += size
                    finished += size if (segment_number(name) or 0) <= upto else 0
    return finished > spool_limit(widest(asked).spool, layout.base, total)
