"""The names of everything in the spool directory, and how its files are made.

Everything lies in ``<spool>/v1``, a directory of ours with mode 0700; every file has mode 0600, whatever the umask.
Files not named here are not ours and are left alone, except those in a writer's directory, which are removed with it::

    destinations/<key>.json      where records go; the key is part of the content's SHA-256; never changed
    flusher.lock                 held by the flusher that leads
    successor.lock               held by a newer version's flusher while it waits for the leader to leave
    start.lock, start.json       held by the process that starts a flusher; failures so far and not-before
    helper.lock                  held by the helper that was started, from its second act until it leads
    ledger.a, ledger.b           which records are settled (``spool.ledger``)
    birth/<id>/, writers/<id>/   one per process, built aside, then renamed into place
        alive.lock               held by that process for its life
        who.json                 which process that is (``spool.identity``)
        blackbox                 its state besides its records (``spool.blackbox``)
        000001.seg …             its records (``spool.record``), at most 1 MiB each
        x-<random>.seg           one record, written without the append lock
        d-<number>-<offset>-<random>.seg   one record that waits alone, copied from there by the flusher
    orders/                      requests of commands to the flusher (``spool.orders``)
    redirects/                   records that go elsewhere than they say (``spool.redirects``)
    cli.lock                     held, as a flock, by a command that changes the spool: one at a time
    probe.lock                   exists for a moment, to test whether locks work here
    refused/<reason>             refusals of processes that have no writer (``spool.refused``)
    flusher.json                 the leader: pid and version (``spool.leader``)
    in_flight.json               events that the flusher is sending at this moment (``flusher.strikes``)
    set_aside/                   records refused for good, or damaged, each with its reason
    flusher.log                  the flusher's own errors, capped
    <name>.<random>.moved        a foreign file found under one of these names
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

from lastword import checked
from lastword.descriptors import closing
from lastword.errors import SpoolError
from lastword.event import new_id
from lastword.interruption import failures, suppressed
from lastword.spool import inside
from lastword.spool.inside import FORMAT as FORMAT
from lastword.spool.inside import is_writer_id as is_writer_id
from lastword.spool.inside import open_private as open_private
from lastword.spool.ownership import MOVED_SUFFIX, private_directory, secure_way, way_without_links

ALIVE_LOCK, WHO, BLACKBOX = "alive.lock", "who.json", "blackbox"
EXTRA_PREFIX, DEFERRED_PREFIX, SEGMENT_SUFFIX = "x-", "d-", ".seg"

#: Suffix of a file that is being written, or was when its process was killed.
UNFINISHED_SUFFIX = ".aside"

#: Seconds within which two changes of a directory may have the same mtime: mtimes are coarse.
_MTIME_GRAIN = 1.0

#: Errors of opening that mean: this is not a file that this user may open. Another try would give the same.
NO_FILE_OF_OURS = (errno.ENXIO, errno.ELOOP, errno.EISDIR, errno.ENOTDIR, errno.EACCES, errno.EPERM)

_NUMBERED = re.compile(r"(?!000000)(?:[0-9]{6}|[1-9][0-9]{6,8})\.seg")
_DEFERRED = re.compile(r"d-([0-9]{1,9})-([0-9]{1,9})-[0-9a-f]{32}\.seg")


class Layout:
    """Paths inside one spool directory. Makes and checks nothing."""

    def __init__(self, spool: str) -> None:
        self.named = os.path.abspath(spool)  # it may lead through links
        parent, name = os.path.split(self.named)
        real_parent, self._links = way_without_links(parent)
        self.spool = os.path.join(real_parent, name)  # one path per file, which ``lock`` relies on
        self.base = os.path.join(self.spool, FORMAT)
        self.destinations = self._in_base("destinations")
        self.birth = self._in_base("birth")
        self.writers = self._in_base("writers")
        self.set_aside = self._in_base("set_aside")
        self.flusher_lock = self._in_base("flusher.lock")
        self.successor_lock = self._in_base("successor.lock")
        self.start_lock = self._in_base("start.lock")
        self.helper_lock = self._in_base("helper.lock")
        self.start_state = self._in_base("start.json")
        self.ledger_copies = (self._in_base("ledger.a"), self._in_base("ledger.b"))
        self.in_flight = self._in_base("in_flight.json")
        self.orders = self._in_base("orders")
        self.redirects = self._in_base("redirects")
        self.cli_lock = self._in_base("cli.lock")
        self.probe_lock = self._in_base("probe.lock")
        self.refused = self._in_base("refused")
        self.leader = self._in_base("flusher.json")
        self.flusher_log = self._in_base("flusher.log")

    def _in_base(self, name: str) -> str:
        return os.path.join(self.base, name)

    def destination(self, key: str) -> str:
        return f"{self.destinations}/{key}.json"

    def writer(self, writer_id: str) -> str:
        return f"{self.writers}/{writer_id}"  # any text is safe here: ``inside`` accepts no path that leads elsewhere

    def writer_ids(self) -> set[str]:
        """Return the id of every writer in its place, dead or alive; other entries are not ours. Raises OSError."""
        with inside.entries(self.writers) as entries:
            return {entry.name for entry in entries if is_writer_id(entry.name) and entry.is_dir(follow_symlinks=False)}

    def wake_flusher(self) -> None:
        """Touch the directory that the flusher checks each time: it then scans everything (``flusher.glance``)."""
        with suppressed(OSError):  # the flusher scans everything now and then by itself
            inside.touch(self.writers)

    def hurry_flusher(self) -> None:
        """Make the leader try waiting records at once: it checks the time of its lock file (``flusher.haste``)."""
        with suppressed(OSError):
            inside.touch(self.flusher_lock)

    def has_writers(self) -> bool:
        """Return whether any process has left something here, or still may."""
        try:
            return bool(self.writer_ids())
        except failures(OSError):
            return False

    def is_there(self) -> bool:
        """Return whether the path leads to a spool of ours."""
        try:
            with inside.directory(self.base, changes=True, anew=True):
                return True
        except failures(OSError):
            return False

    def prepare(self, *, is_default: bool = False, inner: tuple[str, ...] = ()) -> None:
        """Make missing directories and check that all are ours alone; raises SpoolError. ``inner``: directories to make
        besides those that every spool has.

        If nobody named this spool (``is_default``), no other user may be able to exchange it either.
        """
        with self._opened(make=True, is_default=is_default) as v1:
            for path in (*self._inner, *inner):
                with private_directory(path, v1, make=True):
                    pass

    def check(self, *, is_default: bool = False) -> None:
        """Check that a spool is there and is ours alone, as ``prepare`` does, but make nothing. Raises SpoolError."""
        with self._opened(make=False, is_default=is_default):
            pass

    def unmake(self) -> None:
        """Remove what ``prepare`` made, if no writer has come to use it."""
        if self.has_writers():
            return
        for path in self._inner:
            with suppressed(OSError):  # it is not empty
                inside.rmdir(path)
        with suppressed(OSError, SpoolError), self._opened_spool(make=False) as spool:
            os.rmdir(FORMAT, dir_fd=spool)

    def mend(self) -> None:
        """Make missing directories in an existing spool of ours; raises SpoolError if there is none, or it is not ours.

        A directory that cannot be made costs only its own content, and ``lastword status`` reports it.
        """
        with self._opened(make=False) as v1:
            for path in self._inner:
                with suppressed(OSError, SpoolError), private_directory(path, v1, make=True):
                    pass

    @contextmanager
    def _opened(self, *, make: bool, is_default: bool = False) -> Iterator[int]:
        """Yield a descriptor of ``base``: it and the spool that it lies in are the boundary."""
        try:
            with (
                self._opened_spool(make=make, is_default=is_default) as s,
                private_directory(self.base, s, make=make) as v1,
            ):
                yield v1
        except failures(OSError) as error:
            raise SpoolError(f"the spool {self.spool} cannot be used: {error}") from None

    @contextmanager
    def _opened_spool(self, *, make: bool, is_default: bool = False) -> Iterator[int]:
        way = secure_way(os.path.dirname(self.spool), self._links, strict=is_default, make=make)
        with way as above, private_directory(self.spool, above, make=make, over_a_file=False) as spool:
            yield spool

    @property
    def _inner(self) -> tuple[str, ...]:
        return self.destinations, self.birth, self.writers, self.set_aside


def segment_name(number: int) -> str:
    return f"{number:06d}{SEGMENT_SUFFIX}"


def segment_number(name: str) -> Optional[int]:
    """Return the number of a numbered segment; None for any other file name."""
    return int(name[: -len(SEGMENT_SUFFIX)]) if _NUMBERED.fullmatch(name) else None


def is_extra_segment(name: str) -> bool:
    """Return whether it is an ``x-`` or ``d-`` segment, which holds one record."""
    written = name.startswith(EXTRA_PREFIX) and name.endswith(SEGMENT_SUFFIX)
    return written or _DEFERRED.fullmatch(name) is not None


def deferred_name(number: int, offset: int) -> str:
    """Return a new name for the segment of a record that waits alone, copied from ``offset`` of segment ``number``."""
    return f"{DEFERRED_PREFIX}{number:06d}-{offset}-{new_id()}{SEGMENT_SUFFIX}"


def deferred_from(name: str) -> Optional[tuple[int, int]]:
    """Return the segment number and offset that a record that waits alone was copied from; None for other names."""
    found = _DEFERRED.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else None


def remove_directory(path: str) -> bool:
    """Remove a writer's directory and its files, its lock last; return whether it is gone. Files that cannot be removed
    stay.
    """
    try:
        for name in sorted(inside.listdir(path), key=lambda name: name == ALIVE_LOCK):
            with suppressed(OSError):  # a directory, which is not ours: remove the rest
                inside.unlink(os.path.join(path, name))
        inside.rmdir(path)
    except FileNotFoundError:
        return not inside.lexists(path)
    except failures(OSError):
        return False
    return True


def open_in_place(path: str, flags: int) -> int:
    """Open like ``open_private``, but first rename a foreign file in its place. No other process may open the file for
    writing meanwhile (the caller holds its lock).
    """
    try:
        return open_private(path, flags)
    except failures(OSError) as error:
        if error.errno not in NO_FILE_OF_OURS:
            raise
    move_away(path)
    return open_private(path, flags)


def move_away(path: str) -> None:
    """Rename what is at ``path``, so that a human can examine it; raises OSError."""
    inside.rename(path, f"{path}.{new_id()}{MOVED_SUFFIX}")


def reserve(path: str, size: int) -> None:
    """Allocate the first ``size`` bytes of a file, zeros where there were none. Best effort."""
    if not hasattr(os, "posix_fallocate"):
        return
    with suppressed(OSError):  # not there yet
        if inside.lstat(path).st_size >= size:
            return
    with suppressed(OSError), closing(open_private(path, os.O_WRONLY | os.O_CREAT)) as descriptor:
        os.posix_fallocate(descriptor, 0, size)


def read_small_file(path: str, limit: int = 1 << 20) -> bytes:
    """Return the first ``limit`` bytes of a spool file; raises OSError."""
    with closing(open_private(path, os.O_RDONLY)) as descriptor:
        return read_at(descriptor, 0, limit)


def read_at(descriptor: int, offset: int, length: int) -> bytes:
    """Return ``length`` bytes of a file, or fewer where it ends; a length beyond its end costs no memory."""
    length = min(length, max(os.fstat(descriptor).st_size - offset, 0))
    pieces = []
    while length > 0 and (piece := os.pread(descriptor, length, offset)):
        pieces.append(piece)
        length -= len(piece)
        offset += len(piece)
    return b"".join(pieces)


def read_object(path: str, limit: int = 1 << 20) -> dict[str, Any]:
    """Return the JSON object in a small spool file; raises OSError, or ValueError if it holds anything else."""
    return checked.mapping(checked.json_value(read_small_file(path, limit)))


def write_in_place(path: str, content: bytes, size: int = 0) -> None:
    """Write ``content`` over the beginning of a file: as far as the file reaches, this needs no room on a full disk. An
    empty or new file first gets ``size`` zeros. No other process may write to it meanwhile. Raises OSError.
    """
    with closing(open_in_place(path, os.O_WRONLY | os.O_CREAT)) as descriptor:
        if os.fstat(descriptor).st_size == 0:
            write_all(descriptor, bytes(size))
        at, view = 0, memoryview(content)
        while at < len(view):
            at += os.pwrite(descriptor, view[at:], at)


def write_whole_file(path: str, content: bytes, by: str = "") -> None:
    """Put ``content`` at ``path`` in one step; raises OSError.

    ``by``: a suffix for the temporary file, needed if another process may write the same file at the same time.
    """
    aside = f"{path}{by}{UNFINISHED_SUFFIX}"
    with suppressed(FileNotFoundError):
        inside.unlink(aside)  # left by a process that was killed in the midst of this
    descriptor = open_private(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        with closing(descriptor):
            write_all(descriptor, content)
        inside.rename(aside, path)
    except failures(OSError):
        inside.unlink(aside)
        raise


def write_all(descriptor: int, content: bytes) -> None:
    """Write every byte of ``content``; raises OSError."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def may_have_changed(mtime: int, before: int, now: float) -> bool:
    """Return whether a directory may have changed whose mtime (ns) is ``mtime`` and was ``before``; ``now`` in Unix
    seconds.
    """
    return mtime != before or now - mtime / 1e9 < _MTIME_GRAIN
