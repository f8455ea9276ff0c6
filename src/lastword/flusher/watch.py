"""Watch one writer: which of its records wait, in what order, and whether it is dead.

A record is read twice: here, to find it and its destination, and again when it is sent. In between only its place is
kept, for at most ``WINDOW`` records of a writer, so a backlog of any size takes constant memory.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Iterator
from itertools import chain
from typing import Optional, Union

from lastword.descriptors import KeptDescriptor
from lastword.flusher.glance import Glance
from lastword.flusher.syncing import Syncer
from lastword.flusher.waiting_line import State, Waiting
from lastword.interruption import failures, suppressed
from lastword.spool import blackbox, inside
from lastword.spool.identity import is_dead, program_of, read_who
from lastword.spool.layout import (
    WHO,
    Layout,
    deferred_from,
    deferred_name,
    may_have_changed,
    segment_name,
    segment_number,
    write_whole_file,
)
from lastword.spool.ledger import MAX_ABOVE, WriterEntry, dropped
from lastword.spool.limits import Limits
from lastword.spool.reader import Line, Segments, list_segments, read_bytes, read_lines, read_record, size_of
from lastword.spool.record import Damage, Record
from lastword.spool.redirects import Redirect, Redirects, resolve

WINDOW = MAX_ABOVE
MOST_ALONE = 1024  # records of a writer that wait alone, each in a file of its own


class WatchedWriter:
    """The read side of one writer's directory. ``dead`` and ``gone`` never become false again."""

    def __init__(
        self, layout: Layout, writer_id: str, entry: WriterEntry, redirects: Optional[Redirects] = None
    ) -> None:
        self.id = writer_id
        self._redirects = redirects or Redirects(layout)
        self.directory = layout.writer(writer_id)
        self.entry = entry
        self.dead = self.gone = False
        who = read_who(os.path.join(self.directory, WHO))
        self.limits = Limits.decode(who.get("limits"))
        self.is_flushers = who.get("role") == "flusher"
        self.program = program_of(who)
        self.born = float(who["born"]) if type(who.get("born")) is float else None  # Unix seconds
        self.destination: Optional[str] = None  # named by all of its records read so far
        self.segments = Segments()
        self._settled_sizes: dict[str, int] = {}
        self.changed = True  # perhaps, since the last sync
        self._syncer, self._glance = Syncer(self.directory), Glance(self.directory)
        self._listed_mtime = -1
        self._window: deque[Waiting] = deque()
        self._extras: dict[str, list[Waiting]] = {}
        self._number, self._offset = entry.segment, entry.offset
        self._again = 0, 0  # (number of a segment that is read again, seq of its last record already known)
        self._read_to_end = False  # and nothing more can come
        self._caught_up = False  # with everything the last scan saw
        self._unreadable = False  # something could not be read in the last scan
        self.news: set[Optional[str]] = set()  # the destinations of the records read since this was last emptied

    def refresh(self, now: float, *, full: bool = True) -> bool:
        """Check again whether the writer is alive, and list its segments; ``now`` in Unix seconds.

        False if a glance showed no change, which is enough unless a writer came, went or began a segment (``full``).
        If true, ``take_in`` is due.
        """
        idle = not (full or self._window or self._extras or self._unreadable or self.dead)
        if idle and self._glance.shows_no_change(now):
            return False
        open_one = [os.path.join(self.directory, segment_name(number)) for number in self.segments.numbered[-1:]]
        self.changed = self._glance.remember(open_one[0] if open_one else None, now) or self.changed
        self.dead = self.dead or is_dead(self.directory)
        self._unreadable = False
        self._list(now)
        return True

    def take_in(self) -> None:
        """Read the new records that the last scan saw, as far as there is room in the window."""
        if not self.gone:
            self._read_numbered()
            self._read_extras()

    def sync(self) -> None:
        """Sync to the physical disk the data written since the last call."""
        if self.changed:
            self._syncer.sync(self.segments, self._listed_mtime)
            self.changed = False

    def waiting(self) -> Iterator[Waiting]:
        """Yield the lines that are not settled: those in numbered segments, oldest first, then those in x- segments."""
        for line in (*self._window, *chain.from_iterable(self._extras.values())):
            if not line.is_settled:
                yield line

    @property
    def exhausted(self) -> bool:
        """Whether the writer is dead and every byte of it is settled."""
        return self.dead and self._read_to_end and not (self._unreadable or self._window or self._extras)

    @property
    def has_more(self) -> bool:
        """Whether any line waits, or may be found by reading on."""
        return bool(self._window or self._extras or not self._caught_up)

    def read(self, line: Waiting) -> Union[Record, Damage]:
        """Read the record from disk; raises OSError."""
        found = read_record(os.path.join(self.directory, line.segment), line.start, line.end)
        other = isinstance(found, Record) and found.id != line.event_id
        return Damage("another record is in its place") if other else found

    def refill(self) -> None:
        """Read on in the segments that the last scan saw, if at least half of the window is free."""
        if not (self._caught_up or self.gone) and len(self._window) <= WINDOW // 2:
            self._read_numbered()

    @property
    def open_segment(self) -> Optional[tuple[KeptDescriptor, int]]:
        """(descriptor, size) of the segment that grows with any new record; None if its size is not enough to check."""
        return self._glance.open_segment

    def close(self) -> None:
        """Close the descriptors that are kept open."""
        self._glance.close()

    @property
    def horizon(self) -> float:
        """The Unix time after which this writer's records may not be in the window."""
        return float("inf") if self._caught_up or not self._window else self._window[-1].captured_at

    def knows(self, found: Segments) -> bool:
        """Return whether the last scan saw all of these segments."""
        return set(found.names) <= set(self.segments.names)

    def defer(self, line: Waiting) -> None:
        """Move a record that must wait alone to a segment of its own, so that the records behind it can be settled.

        It stays the same record, held. Raises OSError. If the next checkpoint is never made, the next flusher removes
        the new segment.
        """
        if line.number is None:  # it already has a segment of its own
            self.entry.tries[line.segment] = line.suspicions
            return
        if len(self._extras) >= MOST_ALONE:
            raise OSError(errno.ENOSPC, "Too many records of this writer wait alone already", self.directory)
        name = deferred_name(line.number, line.start)
        path = os.path.join(self.directory, name)
        content = read_bytes(os.path.join(self.directory, line.segment), line.start, line.end)
        write_whole_file(path, content.rstrip(b"\n") + b"\n")
        copy = line.copied_to(name, len(content))
        self._extras[name] = [copy]
        self.segments = Segments(self.segments.numbered, (*self.segments.extras, name))
        self.entry.tries[name] = line.suspicions
        line.state = State.SETTLED  # in this place
        self.entry.above.add((line.number, line.start))
        self._slide()

    def settle(self, line: Waiting, outcome: Optional[str]) -> None:
        """Count ``line`` under ``outcome``; None for a line that was never a record, or is lost."""
        line.state = State.SETTLED if outcome or line.damage else State.LOST
        if line.state is State.LOST and line.number is None:
            outcome = dropped("damaged")  # in numbered segments a missing number shows this
        if outcome is not None:
            self.entry.tally[outcome] += 1
        if line.number is None:
            self.entry.tries.pop(line.segment, None)
            if not deferred_from(line.segment):  # deferred records are counted by their number
                self.entry.extras_seen += outcome is not None
            if all(part.is_settled for part in self._extras[line.segment]):
                self._settled_sizes[line.segment] = self._extras.pop(line.segment)[-1].end
                self.entry.extras.add(line.segment)
            return
        self.entry.above.add((line.number, line.start))
        self._slide()

    def settled_segments(self) -> list[str]:
        """Return the names of the existing segments that are completely settled and will not grow."""
        return self.entry.settled_segments(self.segments)

    def drop(self, name: str, reason: str) -> None:
        """Settle everything in one removable segment as dropped; all earlier segments must be settled."""
        number = segment_number(name)
        if number is None:
            self._read_extras()
        for line in [line for line in self.waiting() if line.segment == name]:
            self.settle(line, dropped(reason) if line.damage is None else None)
        if number is not None and self._number <= number:
            self._drop_unread(name, number, dropped(reason))
        self._slide()

    def _drop_unread(self, name: str, number: int, outcome: str) -> None:
        """Do the part of ``drop`` for lines that were never in the window."""
        if self._number < number:
            self._number, self._offset = number, 0
        for line in read_lines(os.path.join(self.directory, name), self._offset, finished=True):
            self._offset = line.end
            if isinstance(line.found, Damage):
                continue
            if (number, line.start) not in self.entry.above:
                self.entry.tally[outcome] += 1
            self.entry.advance(number, line.end, line.found.seq)
        self._settled_sizes[name] = self._offset
        self._number, self._offset = number + 1, 0

    def settled_size(self, name: str, *, default: int) -> int:
        """Return how many bytes of a settled segment were read; ``default`` if another flusher read it."""
        return self._settled_sizes.pop(name, default)

    def forget_unlinked(self) -> None:
        """Remove the names of x- segments that no longer exist from the ledger entry."""
        self.entry.extras.intersection_update(self.segments.extras)

    def _list(self, now: float) -> None:
        try:
            found = inside.lstat(self.directory)
            if not stat.S_ISDIR(found.st_mode):
                raise FileNotFoundError
            mtime = found.st_mtime_ns
            if may_have_changed(mtime, self._listed_mtime, now):
                self.segments = list_segments(self.directory)
                self._listed_mtime = mtime
        except failures(FileNotFoundError):
            self.gone = True
        except failures(OSError) as error:
            self._cannot_read(self.directory, error, 0o700)

    def _cannot_read(self, path: str, error: OSError, mode: int) -> None:
        """Note that ``path`` could not be read: the next scan tries again. Restore permissions that were taken away."""
        self._unreadable = True
        if isinstance(error, PermissionError):
            with suppressed(OSError):
                inside.take_back(path, mode)

    def _read_numbered(self) -> None:
        self._read_to_end = self._caught_up = False
        numbers = self.segments.numbered  # check which are finished before reading, so no record can come in between
        finished = blackbox.finished_upto(self.directory, numbers, dead=self.dead)
        while len(self._window) < WINDOW:
            next_one = bisect_left(numbers, self._number)
            if next_one == len(numbers):
                self._read_to_end = self._caught_up = True
                break
            number = numbers[next_one]
            if number != self._number:
                self._number, self._offset = number, 0
            at_end = self._read_segment(number, finished=number <= finished)
            if not (at_end and number <= finished):
                self._caught_up = at_end
                break
            self._settled_sizes[segment_name(number)] = self._offset
            self._number, self._offset = number + 1, 0
        self._slide()

    def _read_segment(self, number: int, *, finished: bool) -> bool:
        """Read lines until the window is full; true if the end was reached."""
        name = segment_name(number)
        path = os.path.join(self.directory, name)
        size = size_of(path)
        if not finished and size == self._offset:
            return True
        if size is not None and size < self._offset and not self._starts_over(number, size):
            return False
        try:
            for line in read_lines(path, self._offset, finished=finished):
                self._offset = line.end
                if self._is_known(number, line.found):
                    continue
                waiting = self._waiting_at(name, number, line)
                if (number, line.start) in self.entry.above:
                    waiting.state = State.SETTLED
                self._window.append(waiting)
                if len(self._window) >= WINDOW:
                    return False
        except failures(OSError) as error:
            self._cannot_read(path, error, 0o600)
            return False
        return True

    def _starts_over(self, number: int, size: int) -> bool:
        """Prepare to read a segment again that was truncated from outside to ``size`` bytes: everything recorded since
        is new. False as long as lines of it wait, because lines are identified by their place.
        """
        for line in list(self._window):
            if line.number == number and line.end > size and line.state is State.HELD:
                self.settle(line, None)
        if any(line.number == number for line in self._window):
            return False
        self.entry.above -= {place for place in self.entry.above if place[0] == number}
        self._again, self._offset = (number, self.entry.seq), 0
        return True

    def _is_known(self, number: int, found: Union[Record, Damage]) -> bool:
        return number == self._again[0] and isinstance(found, Record) and (found.seq or 0) <= self._again[1]

    def _waiting_at(self, name: str, number: Optional[int], line: Line) -> Waiting:
        waiting = Waiting(name, number, line)
        self.destination = waiting.to or self.destination
        waiting.to = self._redirects.resolve(waiting.to, self.id, name, line.start)
        self.news.add(waiting.to)
        return waiting

    def redirect(self, redirects: Collection[Redirect]) -> None:
        """Apply redirects that were given after these records were read."""
        for line in self.waiting():
            line.to = resolve(redirects, line.to, self.id, line.segment, line.start)

    def _slide(self) -> None:
        """Move ``low`` over everything settled at the head of the window."""
        while self._window and self._window[0].is_settled:
            line = self._window.popleft()
            assert line.number is not None
            self.entry.above.discard((line.number, line.start))
            self.entry.advance(line.number, line.end, line.seq, gone=line.state is State.LOST)
        if self._window:
            head = self._window[0]
            assert head.number is not None
            self.entry.advance(head.number, head.start, None)
        else:
            self.entry.above.clear()
            self.entry.advance(self._number, self._offset, None)

    def _read_extras(self) -> None:
        for name in self.segments.extras:
            if name in self._extras or name in self.entry.extras or len(self._extras) >= WINDOW:
                continue
            path = os.path.join(self.directory, name)
            if self.entry.is_leftover(name):
                self.entry.extras.add(name)
                continue
            try:
                lines = list(read_lines(path, 0, finished=self.dead))
            except failures(OSError) as error:
                self._cannot_read(path, error, 0o600)
                continue
            if lines:
                self._extras[name] = [self._waiting_at(name, None, line) for line in lines]
                if name in self.entry.tries:  # it failed under another flusher
                    for waiting in self._extras[name]:
                        waiting.suspicions, waiting.failed_at = self.entry.tries[name], time.monotonic()
            elif self.dead:  # created and never written to
                self.entry.extras.add(name)
