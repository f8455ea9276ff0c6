"""The names of everything in the spool directory, and how its files come into being.

Everything lies in ``<spool>/v1``, a directory of ours with mode 0700; every file has mode 0600, whatever the umask.
What is not named here is not ours and is left alone, except for files in a writer's directory, which go with it::

    destinations/<key>.json      where records go; the key is part of the content's SHA-256; never changed
    flusher.lock                 held by the process that sends
    successor.lock               held by a newer version's flusher while it waits for the one that leads to leave
    start.lock, start.json       held by the process that starts one; failures so far and not-before
    helper.lock                  held by the one that was started, from its second act until it leads
    ledger.a, ledger.b           what was settled (``spool.ledger``)
    birth/<id>/, writers/<id>/   one per process, built aside, then renamed into place
        alive.lock               held by that process for its life
        who.json                 which process that is (``spool.identity``)
        blackbox                 what it has to tell besides records (``spool.blackbox``)
        000001.seg …             its records (``spool.record``), at most 1 MiB each
        x-<random>.seg           one record, written past the append lock
        d-<number>-<offset>-<random>.seg   one record that waits alone, copied from there by the flusher
    orders/                      what a command asks of the flusher (``spool.orders``)
    redirects/                   what goes elsewhere than its record says (``spool.redirects``)
    cli.lock                     held, as a flock, by a command that changes the spool: one at a time
    probe.lock                   there for a moment, to see whether locks work here
    refused/<reason>             refusals of processes that have no writer (``spool.refused``)
    flusher.json                 who leads: pid and version (``spool.leader``)
    in_flight.json               what the flusher is sending at this moment (``flusher.strikes``)
    set_aside/                   refused for good, or damaged, each with its reason
    flusher.log                  the flusher's own trouble, capped
    <name>.<random>.moved        what stood in the place of one of these and was none
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

from lastword import checked
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

#: How the name of a file ends that is being written, or was when somebody was killed.
UNFINISHED_SUFFIX = ".aside"

#: Seconds within which two changes of a directory may have the same mtime: mtimes are coarse.
_MTIME_GRAIN = 1.0

#: What opening says of a thing that is no file which this user may open, and that will say so the next time too.
NO_FILE_OF_OURS = (errno.ENXIO, errno.ELOOP, errno.EISDIR, errno.ENOTDIR, errno.EACCES, errno.EPERM)

_NUMBERED = re.compile(r"(?!000000)(?:[0-9]{6}|[1-9][0-9]{6,8})\.seg")
_DEFERRED = re.compile(r"d-([0-9]{1,9})-([0-9]{1,9})-[0-9a-f]{32}\.seg")


class Layout:
    """Paths inside one spool directory. Makes nothing and checks nothing."""

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
        return f"{self.writers}/{writer_id}"  # whatever stands there, no path elsewhere comes of it: see ``inside``

    def writer_ids(self) -> set[str]:
        """Every writer that has its place, dead or alive. What else lies there is not ours. Raises OSError."""
        with inside.entries(self.writers) as entries:
            return {entry.name for entry in entries if is_writer_id(entry.name) and entry.is_dir(follow_symlinks=False)}

    def wake_flusher(self) -> None:
        """Touch the directory that a flusher looks at each time: it then looks at everything (``flusher.glance``)."""
        with suppressed(OSError):  # it does so now and then by itself
            inside.touch(self.writers)

    def hurry_flusher(self) -> None:
        """Have whoever leads try at once what waits: it looks at the time of its lock's file (``flusher.haste``)."""
        with suppressed(OSError):
            inside.touch(self.flusher_lock)

    def has_writers(self) -> bool:
        """Whether any process has left something here, or still may."""
        try:
            return bool(self.writer_ids())
        except failures(OSError):
            return False

    def is_there(self) -> bool:
        """Whether the path leads to a spool of ours."""
        try:
            with inside.directory(self.base, changes=True, anew=True):
                return True
        except failures(OSError):
            return False

    def prepare(self, *, is_default: bool = False, inner: tuple[str, ...] = ()) -> None:
        """Make the directories that are missing and check that all are ours alone; raises SpoolError. ``inner``: others
        in it than those that every spool has.

        Where nobody named this spool (it is ``is_default`` for), nobody else may be able to exchange it either.
        """
        with self._opened(make=True, is_default=is_default) as v1:
            for path in (*self._inner, *inner):
                with private_directory(path, v1, make=True):
                    pass

    def check(self, *, is_default: bool = False) -> None:
        """Check that a spool is there and is ours alone, as ``prepare`` does; makes nothing. Raises SpoolError."""
        with self._opened(make=False, is_default=is_default):
            pass

    def unmake(self) -> None:
        """Take back what ``prepare`` has made where nothing has come of it."""
        if self.has_writers():
            return
        for path in self._inner:
            with suppressed(OSError):  # something is in there
                inside.rmdir(path)
        with suppressed(OSError, SpoolError), self._opened_spool(make=False) as spool:
            os.rmdir(FORMAT, dir_fd=spool)

    def mend(self) -> None:
        """Make what is missing inside a spool that is there and is ours; raises SpoolError where it is not.

        What cannot be mended costs only what lies there, and ``lastword status`` says so.
        """
        with self._opened(make=False) as v1:
            for path in self._inner:
                with suppressed(OSError, SpoolError), private_directory(path, v1, make=True):
                    pass

    @contextmanager
    def _opened(self, *, make: bool, is_default: bool = False) -> Iterator[int]:
        """A descriptor of ``base``: it, and the spool that it lies in, are the boundary."""
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
    """The number of a numbered segment; None for any other file name."""
    return int(name[: -len(SEGMENT_SUFFIX)]) if _NUMBERED.fullmatch(name) else None


def is_extra_segment(name: str) -> bool:
    """Whether it is a segment beside the numbered ones, of a record of its own or of one that waits alone."""
    written = name.startswith(EXTRA_PREFIX) and name.endswith(SEGMENT_SUFFIX)
    return written or _DEFERRED.fullmatch(name) is not None


def deferred_name(number: int, offset: int) -> str:
    """A new name for the segment of a record that waits alone, which was at ``offset`` of segment ``number``."""
    return f"{DEFERRED_PREFIX}{number:06d}-{offset}-{new_id()}{SEGMENT_SUFFIX}"


def deferred_from(name: str) -> Optional[tuple[int, int]]:
    """The place that a record that waits alone was copied from; None for any other file name."""
    found = _DEFERRED.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else None


def remove_directory(path: str) -> bool:
    """Remove a writer's directory and its files, its lock last; true once it is gone. What cannot be removed stays."""
    try:
        for name in sorted(inside.listdir(path), key=lambda name: name == ALIVE_LOCK):
            with suppressed(OSError):  # a directory, which is not ours: the rest goes all the same
                inside.unlink(os.path.join(path, name))
        inside.rmdir(path)
    except FileNotFoundError:
        return not inside.lexists(path)
    except failures(OSError):
        return False
    return True


def open_in_place(path: str, flags: int) -> int:
    """``open_private`` for a file that nobody else opens for writing meanwhile (its lock is held): whatever stands in
    its place and is no file of ours is given another name.
    """
    try:
        return open_private(path, flags)
    except failures(OSError) as error:
        if error.errno not in NO_FILE_OF_OURS:
            raise
    move_away(path)
    return open_private(path, flags)


def move_away(path: str) -> None:
    """Give what stands at ``path`` another name, for a human to look at; raises OSError."""
    inside.rename(path, f"{path}.{new_id()}{MOVED_SUFFIX}")


def reserve(path: str, size: int) -> None:
    """Make sure that the first ``size`` bytes of a file are there, as zeros where they were not. Best effort."""
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        if inside.lstat(path).st_size >= size:
            return
    except failures(OSError):
        pass  # not there yet
    try:
        descriptor = open_private(path, os.O_WRONLY | os.O_CREAT)
    except failures(OSError):
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except failures(OSError):
        pass
    finally:
        os.close(descriptor)


def read_small_file(path: str, limit: int = 1 << 20) -> bytes:
    """The first ``limit`` bytes of a spool file; raises OSError."""
    descriptor = open_private(path, os.O_RDONLY)
    try:
        pieces = []
        while limit > 0:
            piece = os.read(descriptor, limit)
            if not piece:
                break
            pieces.append(piece)
            limit -= len(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def read_object(path: str, limit: int = 1 << 20) -> dict[str, Any]:
    """The JSON object in a small spool file; raises OSError, or ValueError where it holds anything else."""
    return checked.mapping(checked.json_value(read_small_file(path, limit)))


def write_in_place(path: str, content: bytes, size: int) -> None:
    """Write ``content``, with blanks up to ``size`` bytes, over what a file holds: once that is there, it needs no room
    on a full disk. Nobody else may write to it meanwhile. Raises OSError.
    """
    descriptor = open_in_place(path, os.O_WRONLY | os.O_CREAT)
    try:
        write_all(descriptor, content.ljust(size))
    finally:
        os.close(descriptor)


def write_whole_file(path: str, content: bytes, by: str = "") -> None:
    """Put ``content`` at ``path`` in one step; raises OSError.

    ``by``: what tells it from a file that another process puts there at the same time, where that may be.
    """
    aside = f"{path}{by}{UNFINISHED_SUFFIX}"
    with suppressed(FileNotFoundError):
        inside.unlink(aside)  # left by somebody who was killed in the midst of this
    descriptor = open_private(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        try:
            write_all(descriptor, content)
        finally:
            os.close(descriptor)
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
    """Whether a directory may have, whose mtime (ns) is ``mtime`` and was ``before``; ``now`` in Unix seconds."""
    return mtime != before or now - mtime / 1e9 < _MTIME_GRAIN
