"""Settling: put verdicts into the ledger and the ledger on disk, and only then remove files from the spool.

After a segment is unlinked, its open descriptor is read once more ``GRAVE_TIME`` later: a writer that looks dead from
here (its lock lost, its process in another PID namespace) may have been between its check and its write. Records found
there are written to x- segments of the same writer.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Callable

from lastword.descriptors import KeptDescriptor
from lastword.event import new_id
from lastword.flusher import schedule
from lastword.flusher.retention import SetAside
from lastword.flusher.waiting_line import Waiting
from lastword.flusher.watch import WatchedWriter
from lastword.interruption import failures, suppressed
from lastword.spool import aside, blackbox, inside
from lastword.spool.identity import is_dead
from lastword.spool.layout import (
    BLACKBOX,
    EXTRA_PREFIX,
    SEGMENT_SUFFIX,
    Layout,
    is_writer_id,
    open_private,
    remove_directory,
    write_whole_file,
)
from lastword.spool.ledger import Ledger, dropped, set_aside
from lastword.spool.limits import Limits
from lastword.spool.reader import TORN, list_segments, read_lines_of, size_of
from lastword.spool.record import Damage, body_of, frame

#: Seconds between the unlink and the last read of the descriptor.
GRAVE_TIME = 0.2

#: Most descriptors kept open for that.
MOST_GRAVES = 128


@dataclass(frozen=True)
class Grave:
    """An unlinked segment whose descriptor is still open; its first ``size`` bytes are settled."""

    writer: WatchedWriter
    descriptor: KeptDescriptor
    size: int
    closes_at: float

    def is_due(self, now: float) -> bool:
        """Return whether the grave time is over, or the clock was set back."""
        return not now < self.closes_at <= now + GRAVE_TIME


class Bookkeeper:
    """Keeps the ledger; the only part of the flusher that removes events from the spool."""

    def __init__(
        self, layout: Layout, ledger: Ledger, limit_set_aside: Callable[[], int] = lambda: Limits().set_aside
    ) -> None:
        self.ledger = ledger
        self.set_aside = SetAside(layout, ledger, limit_set_aside)
        self._layout = layout
        self._unstored = 0
        self._first_unstored_at = 0.0
        self._graves: list[Grave] = []
        self.steps = 0  # number of things settled or removed

    @property
    def has_graves(self) -> bool:
        return bool(self._graves)

    @property
    def is_behind(self) -> bool:
        """Whether a checkpoint is needed, or an unlinked segment must be read once more."""
        return bool(self._unstored or self._graves)

    def settle(self, writer: WatchedWriter, line: Waiting, outcome: str | None, now: float) -> None:
        """Count ``line`` under ``outcome``; None for a line that was never a record, or is lost."""
        writer.settle(line, outcome)
        self.steps += 1
        self.mark_changed(now)

    def settle_refused(self, writer: WatchedWriter, line: Waiting, why: str, reason: str, now: float) -> None:
        """Set the record aside, counted under ``why``: refused, failed or poison. ``reason`` is for people.

        Raises OSError if there is no room for it; the record then stays where it is.
        """
        self._put_aside(writer, line, f"{line.event_id}.record", aside.Head(why, reason, now, line.to))
        self.settle(writer, line, set_aside(why), now)

    def settle_damage(self, writer: WatchedWriter, line: Waiting, damage: Damage, now: float) -> None:
        """Set damaged bytes aside. They are not counted as a record: the missing sequence number shows the loss.

        Raises OSError if there is no room, unless a kill or a full disk tore the line: it was never acknowledged, so it
        is settled without a copy.
        """
        torn = damage.reason == TORN
        try:
            if (size_of(os.path.join(writer.directory, line.segment)) or 0) > line.start:  # else it was truncated
                name = f"{writer.id}-{line.segment}-{line.start}.damaged"
                self._put_aside(writer, line, name, aside.Head("damaged", damage.reason, now, line.to))
        except failures(OSError):
            if not torn:
                raise
        writer.entry.interrupted += torn
        self.settle(writer, line, None, now)

    def checkpoint_is_due(self, now: float) -> bool:
        return schedule.checkpoint_due(verdicts=self._unstored, since=now - self._first_unstored_at)

    def checkpoint(self) -> None:
        """Put the ledger on disk; raises SpoolError."""
        self.ledger.store(self._layout)
        self._unstored = 0

    def mark_changed(self, now: float) -> None:
        """Note that the ledger in memory differs from the one on disk."""
        if self._unstored == 0:
            self._first_unstored_at = now
        self._unstored += 1

    def clean_up(self, writers: Collection[WatchedWriter], now: float) -> bool:
        """Remove settled files after a checkpoint; true if anything was removed or rescued. Raises SpoolError."""
        rescued = self._open_graves(now)
        removable = [(writer, name) for writer in writers for name in writer.settled_segments()]
        retirable = [writer for writer in writers if self._may_retire(writer)]
        for writer in retirable:
            self.ledger.retire(writer.id, blackbox.load(os.path.join(writer.directory, BLACKBOX)).refused)
        if self._unstored or retirable:
            self.checkpoint()
        buried = 0
        for writer, name in removable:
            if len(self._graves) == MOST_GRAVES:  # the rest are removed once some of these are closed
                break
            buried += self._bury(writer, name, now)
        for writer in writers:
            writer.forget_unlinked()
        removed = [
            id for id in self.ledger.retired if not is_writer_id(id) or remove_directory(self._layout.writer(id))
        ]
        if removed:
            self.ledger.retired.difference_update(removed)
            self.mark_changed(now)
        self.steps += rescued + buried + len(retirable) + len(removed)
        return bool(rescued or buried or retirable or removed)

    def write_off(self, writer: WatchedWriter, now: float) -> None:
        """Count a writer's held events as dropped, because its directory was removed from outside."""
        for line in list(writer.waiting()):
            writer.settle(line, dropped("removed") if line.damage is None else None)
        if writer.entry.settled:
            self.ledger.retire(writer.id, {})
            self.ledger.retired.discard(writer.id)  # there is nothing to remove
        else:
            del self.ledger.writers[writer.id]
        self.mark_changed(now)

    def close(self) -> None:
        """Read each unlinked segment a last time and close its descriptor."""
        self._open_graves(float("inf"))

    def _put_aside(self, writer: WatchedWriter, line: Waiting, name: str, head: aside.Head) -> None:
        self.set_aside.added(aside.put(self._layout, name, head, writer.id, line.segment, line.start, line.end))

    def _may_retire(self, writer: WatchedWriter) -> bool:
        if not writer.exhausted or writer.gone or any(grave.writer is writer for grave in self._graves):
            return False
        try:
            return not list_segments(writer.directory).names
        except failures(OSError):
            return False

    def _bury(self, writer: WatchedWriter, name: str, now: float) -> bool:
        path = os.path.join(writer.directory, name)
        try:
            descriptor = open_private(path, os.O_RDONLY)
        except failures(OSError):
            return False
        try:
            inside.unlink(path)
        except failures(OSError):
            os.close(descriptor)
            return False
        settled = writer.settled_size(name, default=os.fstat(descriptor).st_size)
        self._graves.append(Grave(writer, KeptDescriptor(descriptor), settled, now + GRAVE_TIME))
        return True

    def _open_graves(self, now: float) -> int:
        rescued = 0
        due = [grave for grave in self._graves if grave.is_due(now)]
        self._graves = [grave for grave in self._graves if not grave.is_due(now)]
        for grave in due:
            number = grave.descriptor.number
            lines = read_lines_of(number, grave.size, finished=False) if grave.descriptor.size() is not None else ()
            for line in lines:
                if not isinstance(line.found, Damage):
                    self._rescue(grave, os.pread(number, line.end - line.start, line.start))
                    rescued += 1
            grave.descriptor.close()
        return rescued

    def _rescue(self, grave: Grave, line: bytes) -> None:
        path = os.path.join(grave.writer.directory, f"{EXTRA_PREFIX}{new_id()}{SEGMENT_SUFFIX}")
        write_whole_file(path, frame(body_of(line), None))


def sweep_births(layout: Layout) -> None:
    """Remove the remains of writers whose process was killed while it created them: they hold no records yet."""
    names: list[str] = []
    with suppressed(OSError):  # the directory was replaced by a link, which is not followed: all else goes on
        names = inside.listdir(layout.birth)
    for name in filter(is_writer_id, names):
        cradle = os.path.join(layout.birth, name)
        if is_dead(cradle):
            remove_directory(cradle)
