"""A writer: one process's own directory in the spool, and the only way into it.

Appending is ``fstat → write → count → roll`` under one lock of this process's threads, and nothing more. It waits for
no other process. A thread that finds the lock taken by itself (a signal handler or a finalizer interrupted an append)
does not wait; another thread waits at most 5 ms. A thread that does not get the lock writes a segment of its own,
``x-<random>.seg``.

The lock is necessary: without it two threads that rolled at once lost acknowledged records and wrote others into a file
of the application.
"""

from __future__ import annotations

import errno
import os
import time
from typing import Optional

from lastword.descriptors import KeptDescriptor, close_if_same, closing, identity_of
from lastword.dsn import Destination
from lastword.errors import RecordRefused, SpoolError
from lastword.event import new_id
from lastword.interruption import failures, suppressed
from lastword.nesting import Turn
from lastword.spool import blackbox, destination, identity, inside, ledger, start
from lastword.spool.layout import (
    ALIVE_LOCK,
    BLACKBOX,
    EXTRA_PREFIX,
    SEGMENT_SUFFIX,
    WHO,
    Layout,
    open_private,
    remove_directory,
    segment_name,
)
from lastword.spool.limits import Limits
from lastword.spool.lock import LifetimeLock
from lastword.spool.record import MAX_BODY, MAX_RECORD, frame

MAX_SEGMENT = 1 << 20

DEFAULT_LIMITS = Limits()

_fdatasync = getattr(os, "fdatasync", os.fsync)  # macOS has only the latter

_LOCK_WAIT = 0.005
_HEAD = 80  # bytes of a body, which hold its id
_PATH_CHECK_INTERVAL = 1.0
_BIRTH_ATTEMPTS = 20
_NEW_SEGMENT = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL


class WriterLost(Exception):
    """This writer can no longer be written to, for a reason other than the record: make another one."""


class Writer:
    """The writer of this process. A forked child must not use it (see ``pid``) but ``abandon`` it and make its own.

    Attributes:
        id: 32 random hex digits, the directory's name.
        pid: the process it belongs to.
    """

    def __init__(self, layout: Layout, writer_id: str, alive: LifetimeLock) -> None:
        self.layout = layout
        self.id = writer_id
        self.pid = os.getpid()
        self._directory = layout.writer(writer_id)
        self._alive = alive
        self._destinations: set[str] = set()
        self._lock = Turn(Writer.append, Writer.refuse, Writer.abandon)
        self._state = blackbox.WriterState()
        self._box: Optional[KeptDescriptor] = None  # of the black box; kept, because refusals come in large numbers
        self._stored_for = 1  # the number of the open segment when the state was last stored in the black box
        self._unposted: list[tuple[str, int]] = []  # reasons and numbers of refusals that are not in the state yet
        self._extras: list[None] = []  # one for each x- segment; appending to a list needs no lock
        self._number = 0  # of the open segment
        self._descriptor = -1
        self._identity = (0, 0)
        self._position = (0, 0)  # (seq of the last record, size of the segment): one value, so that both change at once
        self._attempted = 0  # length of the last line whose write was begun
        self._attempt = self._newest = b""  # the heads of the last record begun and the last written; they hold the id
        self._torn = False  # the segment ends in the middle of a line
        self._path_checked = time.monotonic()

    @classmethod
    def born(cls, layout: Layout, limits: Limits = DEFAULT_LIMITS, role: str = "") -> Writer:
        """Make this process's writer: built aside, locked, then renamed into place. Raises OSError or SpoolError.

        ``limits`` are the ones that this program asks for. A flusher gives a ``role`` to writers that it makes beside
        its work and lets go of at once: ``flusher`` for its reports, ``replay``.
        """
        who = {**identity.describe_this_process(), "role": role, "limits": limits.encode()}
        trouble = None
        for _ in range(_BIRTH_ATTEMPTS):
            layout.check()
            try:
                writer = cls._built(layout, identity.encode(who))
            except failures(FileNotFoundError) as error:
                trouble = error
                continue
            if writer._is_complete():
                return writer
            writer.discard()
        # Each time a flusher saw the cradle before its lock was there, and removed it as that of a dead process.
        raise SpoolError(f"no writer could be made in {layout.birth}: its files disappear ({trouble})")

    @classmethod
    def _built(cls, layout: Layout, who: bytes) -> Writer:
        writer_id = new_id()
        cradle = os.path.join(layout.birth, writer_id)
        alive = None
        try:
            _make_cradle(cradle)
            alive = LifetimeLock.acquire(os.path.join(cradle, ALIVE_LOCK))
            if alive is None:
                raise SpoolError(f"the new lock in {cradle} is taken: the file system's locks do not work")
            _write_new_file(os.path.join(cradle, WHO), who)
            blackbox.create(os.path.join(cradle, BLACKBOX))
            writer = cls(layout, writer_id, alive)
            writer._open_segment(cradle, 1)
            alive.moves_to(os.path.join(layout.writer(writer_id), ALIVE_LOCK))
            ledger.preallocate(layout)
            start.preallocate(layout)
            inside.rename(cradle, layout.writer(writer_id))
        except BaseException:
            if alive is not None:
                alive.release()
            remove_directory(cradle)
            raise
        return writer

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()

    def _is_complete(self) -> bool:
        try:
            names = inside.listdir(self._directory)
        except failures(FileNotFoundError):
            return False
        return {ALIVE_LOCK, WHO, BLACKBOX, segment_name(1)} <= set(names) and self._alive.keep()

    @property
    def recorded(self) -> int:
        """The number of records that this writer has acknowledged."""
        return self._position[0] + len(self._extras)

    @property
    def segment(self) -> int:
        """The number of the open segment."""
        return self._number

    @property
    def written(self) -> int:
        """Bytes in its numbered segments; each full one counts as the largest possible."""
        return self._number * MAX_SEGMENT + self._position[1]

    def sync(self) -> None:
        """Wait until the open segment is on the disk itself; errors are left to the flusher's next scan."""
        with suppressed(OSError):
            if identity_of(os.fstat(self._descriptor)) == self._identity:
                _fdatasync(self._descriptor)

    def append(self, body: bytes, to: Optional[Destination]) -> None:
        """Append one record; once this returns, it survives the process.

        ``body`` comes from ``record.encode_event``. Raises RecordRefused with the reason to count it under, or
        WriterLost.
        """
        if len(body) > MAX_BODY:
            raise RecordRefused("too large", f"the record has {len(body)} bytes, the limit is {MAX_RECORD}")
        try:
            if to is not None and to.key not in self._destinations:
                destination.store(self.layout, to)
                self._destinations.add(to.key)
            if self._lock.take(_LOCK_WAIT):
                try:
                    self._append_numbered(body)
                finally:
                    self._lock.give_back()
            else:
                self._append_extra(body)
        except failures(FileNotFoundError) as error:
            raise WriterLost(str(error)) from None
        except failures(OSError) as error:
            raise _refusal(error) from None

    def has_just_written(self, event_id: str) -> bool:
        """Return whether an ``append`` that was interrupted has recorded the event all the same.

        Also False if another thread has appended meanwhile.
        """
        sought = event_id.encode("ascii")
        if sought in self._newest:
            return True
        try:
            whole = self._position[1] + self._attempted
            return sought in self._attempt and os.fstat(self._descriptor).st_size == whole
        except failures(OSError):
            return False

    def refuse(self, reason: str, count: int = 1) -> None:
        """Count events that were captured but not recorded. Never raises."""
        self._unposted.append((reason, count))
        self._stored_for = 0
        try:
            if self._lock.take(_LOCK_WAIT):
                try:
                    self._store_state()
                finally:
                    self._lock.give_back()
        except RecursionError:  # it is stored with the next record
            pass

    def abandon(self) -> None:
        """Let go of what this process holds of the writer: inherited over a fork, lost, or not needed.

        Another thread may be about to write: its descriptor is not closed under it, or the record would go into the
        file that gets the number next. If that thread does not finish in time, the descriptor stays open.
        """
        if os.getpid() != self.pid:
            close_if_same(self._descriptor, self._identity)
            self._close_box()
        elif self._lock.take(_LOCK_WAIT):
            try:
                descriptor, self._descriptor = self._descriptor, -1
                close_if_same(descriptor, self._identity)
                self._close_box()
            finally:
                self._lock.give_back()
        self._alive.release()

    def discard(self) -> None:
        """Remove a writer that nobody has used: another thread of this process made one first."""
        self.abandon()
        remove_directory(self._directory)

    def _append_numbered(self, body: bytes) -> None:
        self._check_descriptor()
        seq, size = self._position
        line = frame(body, seq + 1)
        if size and size + len(line) > MAX_SEGMENT:
            self._roll()
            size = 0
        elif self._torn:
            line = b"\n" + line
        if self._stored_for != self._number:  # just rolled, or storing failed the last time (no room on disk or stack)
            self._store_state()
        self._attempted, self._attempt = len(line), body[:_HEAD]
        if os.write(self._descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, "the write came up short")
        self._newest = self._attempt
        self._position = (seq + 1, size + len(line))
        self._torn = False

    def _check_descriptor(self) -> None:
        """Make sure that the descriptor is still our segment's, and account for what the last write left there."""
        try:
            found = os.fstat(self._descriptor)
        except failures(OSError):
            raise WriterLost("the segment's descriptor was closed") from None
        if identity_of(found) != self._identity or found.st_nlink < 1:
            raise WriterLost("the segment's descriptor is another file's, or the segment was removed")
        now = time.monotonic()
        if now - self._path_checked >= _PATH_CHECK_INTERVAL:
            by_path = inside.identities_by_path(os.path.join(self._directory, segment_name(self._number)))
            if by_path[-1] != self._identity:
                raise WriterLost("another file is in the segment's place")
            if not self._alive.keep():
                raise WriterLost("the lock that says this process lives was lost")
            self._path_checked = now
        seq, size = self._position
        if found.st_size < size:  # truncated by other code: its readers remember a position beyond its end
            self._roll()
        elif found.st_size != size:
            # The last write was complete but its return was interrupted (a signal handler raised), or it came up short.
            whole = found.st_size == size + self._attempted
            self._torn = not whole
            self._position = (seq + whole, found.st_size)

    def _roll(self) -> None:
        descriptor, identity = self._descriptor, self._identity
        try:
            self._open_segment(self._directory, self._number + 1)
            self.layout.wake_flusher()
        finally:
            if self._descriptor != descriptor:
                close_if_same(descriptor, identity)

    def _open_segment(self, directory: str, number: int) -> None:
        while True:
            try:
                descriptor = open_private(os.path.join(directory, segment_name(number)), _NEW_SEGMENT)
                break
            except failures(FileExistsError):  # made by a roll that was interrupted before it switched over
                number += 1
        found = os.fstat(descriptor)
        self._descriptor, self._identity, self._number = descriptor, identity_of(found), number
        self._position = (self._position[0], 0)
        self._torn = False

    def _append_extra(self, body: bytes) -> None:
        path = os.path.join(self._directory, f"{EXTRA_PREFIX}{new_id()}{SEGMENT_SUFFIX}")
        _write_new_file(path, frame(body, None))
        self._newest = body[:_HEAD]
        self._extras.append(None)
        self.layout.wake_flusher()

    def _store_state(self) -> None:
        """Store in the black box which segments are sealed, and the refusals."""
        number, refused = self._number, self._state.refused
        self._stored_for = 0
        self._state.sealed_upto = number - 1
        while self._unposted:
            reason, count = self._unposted.pop()
            refused[reason] = refused.get(reason, 0) + count
        try:
            if self._box is None or not self._box.is_there():
                self._close_box()
                self._box = KeptDescriptor(open_private(os.path.join(self._directory, BLACKBOX), os.O_WRONLY))
            blackbox.store(self._box.number, self._state)
            self._stored_for = 0 if self._unposted else number
        except failures(OSError):
            pass  # the state is kept, and stored with the next record

    def _close_box(self) -> None:
        box, self._box = self._box, None
        if box is not None:
            box.close()


def _make_cradle(path: str) -> None:
    """Make the directory; raises SpoolError or OSError. FileNotFoundError means that it was removed again."""
    try:
        inside.make_directory(path)
    except SpoolError:
        inside.lstat(path)  # raises FileNotFoundError if it was removed; else the directory itself is wrong
        raise


def _write_new_file(path: str, content: bytes) -> None:
    """Make a file in one write; raises OSError, and then leaves no part of it behind."""
    with closing(open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)) as descriptor:
        try:
            if os.write(descriptor, content) != len(content):
                raise OSError(errno.ENOSPC, "the write came up short", path)
        except failures(OSError):
            inside.unlink(path)
            raise


def _refusal(error: OSError) -> RecordRefused:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return RecordRefused("disk full" if full else "disk error", str(error))
