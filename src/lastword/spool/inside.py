"""Acts on what lies in a spool, each done below a descriptor of it.

A path that was looked at may lead elsewhere by the time it is used: who may write above the spool exchanges it, or puts
a link in its place. So nothing in a spool is opened, changed or removed by its whole path. The directories on the way,
from the spool's own down, are opened one after the other, none through a link; they, and what is opened in the last of
them, must belong to one user: to this one, or, where root only looks, to whoever owns the spool. A name enters a path
only if it is one that a spool has.

Who leads works below the descriptor that it began with (``kept``): a spool that is exchanged meanwhile is not touched.

Paths are as ``layout.Layout`` makes them, and are taken apart here. All of these raise OSError. A path that can be none
in a spool is a PermissionError.
"""

from __future__ import annotations

import _thread
import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional

from lastword.interruption import failures
from lastword.spool.ground import beside_standard_streams, private_directory

#: The directory in the spool that everything lies in.
FORMAT = "v1"

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A FIFO in a file's place must keep nobody waiting: hence O_NONBLOCK, which regular files know nothing of.
_SAFELY = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

_OF_WRITERS = ("writers", "birth")
_DIRECTORIES = (*_OF_WRITERS, "destinations", "set_aside", "orders", "redirects", "refused")
_WRITER_ID = re.compile("[0-9a-f]{32}")


def is_writer_id(name: str) -> bool:
    return _WRITER_ID.fullmatch(name) is not None


class _Kept(_thread._local):
    """What this thread works below, if it leads: the path of ``v1``, its descriptor, and its identity.

    Of the thread alone: others of the program come by the path, to a spool that was removed and made anew, too.
    """

    base: Optional[str] = None
    pid = 0
    descriptor = -1
    identity = (0, 0)


_kept = _Kept()


@contextmanager
def kept(base: str) -> Iterator[None]:
    """Have this thread do everything in the spool whose ``v1`` is at ``base`` below one descriptor of it."""
    before = dict(vars(_kept))
    descriptor = _open_base(base, changes=True)
    found = os.fstat(descriptor)
    identity = found.st_dev, found.st_ino
    vars(_kept).update(base=base, pid=os.getpid(), descriptor=descriptor, identity=identity)
    try:
        yield
    finally:
        vars(_kept).clear()
        vars(_kept).update(before)
        if _is_still(descriptor, identity):  # a program that closes every descriptor gives the number to another file
            os.close(descriptor)


@contextmanager
def directory(path: str, *, changes: bool = False, anew: bool = False) -> Iterator[int]:
    """Open a directory of a spool, for its descriptor. Root may look at that of another user, unless it ``changes``
    anything; ``anew`` comes by the path also where this thread works below a descriptor that it keeps.
    """
    descriptor = open_directory(path, changes=changes, anew=anew)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_directory(path: str, *, changes: bool = False, anew: bool = False) -> int:
    """The same for who closes it himself."""
    base, names = _taken_apart(path)
    descriptor, owner = _base(base, changes, anew)
    for name in names:
        above = descriptor
        try:
            descriptor = _checked(os.open(name, _DIRECTORY, dir_fd=above), path, owner)
        finally:
            os.close(above)
    return descriptor


def open_private(path: str, flags: int) -> int:
    """Open a regular file of a spool, which belongs to whom the spool belongs to; one that is made has mode 0600,
    whatever the umask. ELOOP says that it is a link, ENXIO that it is something else.
    """
    changes = bool(flags & _CHANGES)
    with _place(path, changes=changes) as (within, name):
        owner = os.fstat(within).st_uid
        descriptor = beside_standard_streams(os.open(name, flags | _SAFELY, 0o600, dir_fd=within))
    return _regular(descriptor, path, owner, flags)


def open_to_probe(path: str) -> int:
    """Open a file to ask about its lock, and for nothing else: neither it nor its directory is read or changed. Each
    capture does that, so it takes one step where nobody leads from this thread.
    """
    if _kept.base is not None and path.startswith(_kept.base):
        return open_private(path, os.O_RDONLY)
    descriptor = beside_standard_streams(os.open(path, os.O_RDONLY | _SAFELY))
    return _regular(descriptor, path, os.geteuid() or os.fstat(descriptor).st_uid, os.O_RDONLY)


def identities_by_path(path: str) -> tuple[tuple[int, int], ...]:
    """What the path leads to just now: the identities of the spool, of its ``v1`` and of the file. Takes no descriptor,
    of which the program may have none left. FileNotFoundError says that a link stands in the place of a directory, too.
    """
    base, _ = _taken_apart(os.path.dirname(path))
    spool, v1, file = os.lstat(os.path.dirname(base)), os.lstat(base), os.lstat(path)
    if not (stat.S_ISDIR(spool.st_mode) and stat.S_ISDIR(v1.st_mode)):
        raise FileNotFoundError(errno.ENOENT, "The spool is no directory any more", path)
    return tuple((found.st_dev, found.st_ino) for found in (spool, v1, file))


def lstat(path: str) -> os.stat_result:
    """What lies there, links not followed."""
    with _place(path, changes=False) as (within, name):
        return os.lstat(name, dir_fd=within)


def lexists(path: str) -> bool:
    """Whether anything is there, a link included."""
    try:
        lstat(path)
    except failures(OSError):
        return False
    return True


def is_directory(path: str) -> bool:
    """Whether it is a directory, and no link to one."""
    try:
        return stat.S_ISDIR(lstat(path).st_mode)
    except failures(OSError):
        return False


def listdir(path: str) -> list[str]:
    """The names in a directory."""
    with directory(path) as descriptor:
        return os.listdir(descriptor)


@contextmanager
def entries(path: str) -> Iterator[Iterator[os.DirEntry[str]]]:
    """What is in a directory."""
    with directory(path) as descriptor, os.scandir(descriptor) as found:
        yield found


def unlink(path: str) -> None:
    """Remove a file, or a link."""
    with _place(path) as (within, name):
        os.unlink(name, dir_fd=within)


def rmdir(path: str) -> None:
    """Remove a directory that is empty."""
    with _place(path) as (within, name):
        os.rmdir(name, dir_fd=within)


def rename(old: str, new: str) -> None:
    """Give it another name, in the place of what has that name."""
    with _place(old) as (within, name), _place(new) as (new_within, new_name):
        os.rename(name, new_name, src_dir_fd=within, dst_dir_fd=new_within)


def make_directory(path: str) -> None:
    """Make a directory of ours if it is missing, and close it to others; raises SpoolError too."""
    with _place(path) as (within, _), private_directory(path, within, make=True):
        pass


def touch(path: str, times: Optional[tuple[float, float]] = None) -> None:
    """Set the times of a file or a directory (Unix seconds), to now where none are given."""
    with _place(path) as (within, name):
        os.utime(name, times, dir_fd=within, follow_symlinks=False)


def take_back(path: str, mode: int) -> None:
    """Give this user the rights to a file or a directory that somebody took away."""
    with _place(path) as (within, name):
        found = os.lstat(name, dir_fd=within)
        if found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode):
            os.chmod(name, mode, dir_fd=within)


@contextmanager
def _place(path: str, *, changes: bool = True) -> Iterator[tuple[int, str]]:
    """The directory that a file or another directory lies in, open, and its name there."""
    above, name = os.path.split(path)
    with directory(above, changes=changes) as within:
        if name in ("", ".", "..") or (os.path.basename(above) in _OF_WRITERS and not is_writer_id(name)):
            raise PermissionError(errno.EPERM, "There is no such name in a spool", path)
        yield within, name


def _taken_apart(path: str) -> tuple[str, list[str]]:
    """The path of ``v1``, and the names of the directories below it on the way to ``path``, which is one itself."""
    if path.endswith(f"/{FORMAT}"):
        return path, []
    above, found, below = path.rpartition(f"/{FORMAT}/")
    names = below.split("/")
    known = found and names[0] in _DIRECTORIES
    if len(names) > 1:
        known = known and names[0] in _OF_WRITERS and len(names) == 2 and is_writer_id(names[1])
    if not known:
        raise PermissionError(errno.EPERM, "There is no such directory in a spool", path)
    return f"{above}/{FORMAT}", names


def _base(base: str, changes: bool, anew: bool) -> tuple[int, int]:
    """A new descriptor of ``v1``, and the user whom it belongs to."""
    if _kept.base == base and _kept.pid == os.getpid() and not anew:
        if not _is_still(_kept.descriptor, _kept.identity):
            raise OSError(errno.EBADF, "The descriptor of the spool was closed by the program", base)
        descriptor = beside_standard_streams(os.open(".", _DIRECTORY, dir_fd=_kept.descriptor))
    else:
        descriptor = _open_base(base, changes)
    return descriptor, os.fstat(descriptor).st_uid


def _open_base(base: str, changes: bool) -> int:
    spool = os.open(os.path.dirname(base), _DIRECTORY)
    try:
        owner = os.fstat(spool).st_uid
        if owner != os.geteuid() and (changes or os.geteuid()):
            raise PermissionError(errno.EPERM, f"It belongs to uid {owner}", base)
        return _checked(os.open(FORMAT, _DIRECTORY, dir_fd=spool), base, owner)
    finally:
        os.close(spool)


def _checked(descriptor: int, path: str, owner: int) -> int:
    """The same, if it belongs to ``owner``."""
    descriptor = beside_standard_streams(descriptor)
    found = os.fstat(descriptor)
    if found.st_uid != owner:
        os.close(descriptor)
        raise PermissionError(errno.EPERM, f"It belongs to uid {found.st_uid}", path)
    return descriptor


def _regular(descriptor: int, path: str, owner: int, flags: int) -> int:
    """The same, if it is a file of ``owner``."""
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.ENXIO, "It is not a regular file", path)
        if found.st_uid != owner:
            raise PermissionError(errno.EPERM, "It belongs to another user", path)
        if flags & os.O_CREAT and stat.S_IMODE(found.st_mode) != 0o600:
            os.fchmod(descriptor, 0o600)
    except failures(OSError):
        os.close(descriptor)
        raise
    return descriptor


def _is_still(descriptor: int, identity: tuple[int, int]) -> bool:
    try:
        found = os.fstat(descriptor)
    except failures(OSError):
        return False
    return (found.st_dev, found.st_ino) == identity
