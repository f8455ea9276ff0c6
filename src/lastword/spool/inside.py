"""Operations on the files of a spool, each relative to a directory descriptor.

A path that was checked may lead elsewhere by the time it is used: a user who may write to a directory above the spool
can exchange the spool or put a link in its place. So nothing in a spool is opened, changed or removed by its whole
path. The directories on the way are opened one after the other, none through a link. Those from the spool's own down,
and the file opened in the last of them, must belong to one user: to this one or, where root only reads, to the owner of
the spool. A name enters a path only if it is one that a spool has.

The leader works below the descriptor that it opened first (``kept``): if the spool is exchanged meanwhile, the new one
is not touched. Code that does many things in a directory opens the way there once (``kept_to_look``).

Paths have the form that ``layout.Layout`` gives them; this module splits them. Errors are OSError; a path that cannot
be in a spool raises PermissionError.
"""

from __future__ import annotations

import _thread
import errno
import os
import re
import stat
from collections.abc import Iterator
from typing import NamedTuple, Optional

from lastword.descriptors import beside_standard_streams, close_if_same, closing, identity_of
from lastword.interruption import failures, suppressed
from lastword.spool.ownership import open_without_links, private_directory

#: The directory in the spool that holds everything.
FORMAT = "v1"

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO in a file's place must not block. Regular files ignore it.
_SAFELY = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

_OF_WRITERS = ("writers", "birth")
_ABOVE_WRITERS = tuple(f"/{name}" for name in _OF_WRITERS)
_DIRECTORIES = (*_OF_WRITERS, "destinations", "set_aside", "orders", "redirects", "refused")
_WRITER_ID = re.compile("[0-9a-f]{32}")


def is_writer_id(name: str) -> bool:
    return _WRITER_ID.fullmatch(name) is not None


class _Directory(NamedTuple):
    """A directory that is kept open: its path, descriptor, identity and owner, and the process that opened it."""

    path: str
    descriptor: int
    identity: tuple[int, int]
    owner: int
    pid: int


class _Kept(_thread._local):
    """The directories that this thread works below, outermost first.

    Per thread: other threads of the program go by the path, also to a spool that was removed and made anew.
    """

    directories: tuple[_Directory, ...] = ()


_kept = _Kept()


class kept:  # noqa: N801 (a class costs half of what a generator does)
    """Make this thread do everything in a spool directory, and in those below it, relative to one descriptor of it."""

    _changes = True

    def __init__(self, path: str) -> None:
        self._path = path
        self._one: Optional[_Directory] = None

    def __enter__(self) -> None:
        self._before = _kept.directories
        descriptor = open_directory(self._path, changes=self._changes)
        found = os.fstat(descriptor)
        self._one = _Directory(self._path, descriptor, identity_of(found), found.st_uid, os.getpid())
        _kept.directories = (*self._before, self._one)

    def __exit__(self, *_: object) -> None:
        _kept.directories = self._before
        if self._one is not None:
            close_if_same(self._one.descriptor, self._one.identity)


class kept_to_look(kept):  # noqa: N801
    """Like ``kept``, to do many things in a directory in less time. If it cannot be opened, each operation goes by the
    path and raises its own error. Not for a generator that yields meanwhile: operations of the code that runs then
    would be done there, too.
    """

    _changes = False

    def __enter__(self) -> None:
        with suppressed(OSError):
            super().__enter__()


def directory(path: str, *, changes: bool = False, anew: bool = False) -> closing:
    """Open a directory as ``open_directory`` does, for a ``with`` block."""
    return closing(open_directory(path, changes=changes, anew=anew))


def open_directory(path: str, *, changes: bool = False, anew: bool = False) -> int:
    """Open a directory of a spool; the caller closes the descriptor. Root may open that of another user unless it
    ``changes`` anything; ``anew`` goes by the path even if this thread keeps a descriptor on the way.
    """
    descriptor, _, is_kept = _reached(path, changes, anew)
    return beside_standard_streams(os.open(".", _DIRECTORY, dir_fd=descriptor)) if is_kept else descriptor


def open_private(path: str, flags: int) -> int:
    """Open a regular file of a spool, owned by the spool's owner; a new file gets mode 0600, whatever the umask. ELOOP
    means that it is a link, ENXIO that it is another kind of file.
    """
    with _Place(path, changes=bool(flags & _CHANGES)) as place:
        descriptor = beside_standard_streams(os.open(place.name, flags | _SAFELY, 0o600, dir_fd=place.within))
    return _regular(descriptor, path, place.owner, flags)


def open_to_probe(path: str) -> int:
    """Open a file only to query its lock: neither it nor its directory is read or changed. Each capture does this, so
    it takes one step unless this thread leads.
    """
    if _kept.directories and path.startswith(_kept.directories[0].path):
        return open_private(path, os.O_RDONLY)
    descriptor = beside_standard_streams(os.open(path, os.O_RDONLY | _SAFELY))
    return _regular(descriptor, path, os.geteuid() or os.fstat(descriptor).st_uid, os.O_RDONLY)


def identities_by_path(path: str) -> tuple[tuple[int, int], ...]:
    """Return the identities of what the path leads to just now: the spool, its ``v1`` and the file. Opens no
    descriptor, because the program may have none left. FileNotFoundError also means that a link stands in the place of
    a directory.
    """
    base, _ = _taken_apart(os.path.dirname(path))
    spool, v1, file = os.lstat(os.path.dirname(base)), os.lstat(base), os.lstat(path)
    if not (stat.S_ISDIR(spool.st_mode) and stat.S_ISDIR(v1.st_mode)):
        raise FileNotFoundError(errno.ENOENT, "The spool is no directory any more", path)
    return tuple(map(identity_of, (spool, v1, file)))


def lstat(path: str) -> os.stat_result:
    """Return the status of what is at ``path``; links are not followed."""
    with _Place(path, changes=False) as place:
        return os.lstat(place.name, dir_fd=place.within)


def lexists(path: str) -> bool:
    """Return whether anything is there, a link included."""
    try:
        lstat(path)
    except failures(OSError):
        return False
    return True


def is_directory(path: str) -> bool:
    """Return whether it is a directory, not a link to one."""
    try:
        return stat.S_ISDIR(lstat(path).st_mode)
    except failures(OSError):
        return False


def listdir(path: str) -> list[str]:
    """Return the names in a directory."""
    with entries(path) as found:
        return [one.name for one in found]


class entries:  # noqa: N801
    """The entries of a directory, for a ``with`` block. Do not scan the same directory again inside the block: both
    scans would share one position.
    """

    def __init__(self, path: str) -> None:
        self._descriptor, _, self._is_kept = _reached(path, changes=False)
        try:
            self._found = os.scandir(self._descriptor)
        except failures(OSError):
            self._close()
            raise

    def __enter__(self) -> Iterator[os.DirEntry[str]]:
        return self._found

    def __exit__(self, *_: object) -> None:
        try:
            self._found.close()
        finally:
            self._close()

    def _close(self) -> None:
        if not self._is_kept:
            os.close(self._descriptor)


def unlink(path: str) -> None:
    """Remove a file, or a link."""
    with _Place(path) as place:
        os.unlink(place.name, dir_fd=place.within)


def rmdir(path: str) -> None:
    """Remove an empty directory."""
    with _Place(path) as place:
        os.rmdir(place.name, dir_fd=place.within)


def rename(old: str, new: str) -> None:
    """Rename ``old`` to ``new``, replacing a file that has that name."""
    with _Place(old) as before, _Place(new) as after:
        os.rename(before.name, after.name, src_dir_fd=before.within, dst_dir_fd=after.within)


def make_directory(path: str) -> None:
    """Make a directory of ours if it is missing, and close it to other users; raises SpoolError too."""
    with _Place(path) as place, private_directory(path, place.within, make=True):
        pass


def touch(path: str, times: Optional[tuple[float, float]] = None) -> None:
    """Set the times of a file or a directory (Unix seconds); None sets them to now."""
    with _Place(path) as place:
        os.utime(place.name, times, dir_fd=place.within, follow_symlinks=False)


def take_back(path: str, mode: int) -> None:
    """Give this user back the rights to its file or directory that somebody took away."""
    with _Place(path) as place:
        found = os.lstat(place.name, dir_fd=place.within)
        if found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode):
            os.chmod(place.name, mode, dir_fd=place.within)


class _Place:
    """The open directory that a file or another directory lies in, its owner, and the name in it."""

    def __init__(self, path: str, *, changes: bool = True) -> None:
        above, _, self.name = path.rpartition("/")
        if self.name in ("", ".", "..") or (above.endswith(_ABOVE_WRITERS) and not is_writer_id(self.name)):
            raise PermissionError(errno.EPERM, "There is no such name in a spool", path)
        self._path = path
        self.within, self.owner, self._is_kept = _reached(above, changes)

    def __enter__(self) -> _Place:
        return self

    def __exit__(self, kind: object, error: Optional[BaseException], _: object) -> None:
        _name_the_path(error, self._path)
        if not self._is_kept:
            os.close(self.within)


def _name_the_path(error: Optional[BaseException], path: str) -> None:
    """Make an error of the kernel name the whole path, where it names an entry of the directory only."""
    if isinstance(error, OSError) and error.filename is not None:
        error.filename = path


def _taken_apart(path: str) -> tuple[str, list[str]]:
    """Return the path of ``v1``, and the names of the directories from there to the directory ``path``."""
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


def _reached(path: str, changes: bool, anew: bool = False) -> tuple[int, int, bool]:
    """Return a descriptor of a directory, its owner, and whether it is kept; if not, the caller closes it."""
    one = None if anew or not _kept.directories else _kept_on_the_way_to(path)
    if one is None:
        base, names = _taken_apart(path)
        descriptor, owner = _open_base(base, changes)
    else:
        descriptor, owner = one.descriptor, one.owner
        if changes:
            _may_be_used(owner, path, changes)
        if one.path == path:
            return descriptor, owner, True
        names = path[len(one.path) + 1 :].split("/")
    is_kept = one is not None
    for name in names:
        above, closes = descriptor, not is_kept
        try:
            descriptor, is_kept = _checked(os.open(name, _DIRECTORY, dir_fd=above), path, owner), False
        except OSError as error:
            _name_the_path(error, path)
            raise
        finally:
            if closes:
                os.close(above)
    return descriptor, owner, is_kept


def _kept_on_the_way_to(path: str) -> Optional[_Directory]:
    """Return the innermost directory that this thread keeps on the way to ``path``, in the same spool: one spool may
    lie in another. Each operation calls this, mostly for the innermost directory itself or one in it: then no path has
    to be split.
    """
    base, pid = "", os.getpid()
    above, _, name = path.rpartition("/")
    for one in reversed(_kept.directories):
        if one.pid != pid:
            continue
        if not (one.path == path or (one.path == above and _is_directory_in(above, name))):
            end = len(one.path)
            if not (path.startswith(one.path) and path[end : end + 1] == "/"):
                continue
            base = base or _taken_apart(path)[0]
            if end < len(base):
                continue
        try:
            if identity_of(os.fstat(one.descriptor)) == one.identity:
                return one
        except failures(OSError):
            pass
        raise OSError(errno.EBADF, "The descriptor of the spool was closed by the program", path)
    return None


def _is_directory_in(above: str, name: str) -> bool:
    """Return whether a spool has a directory of this name in its directory ``above``."""
    return (
        is_writer_id(name) if above.endswith(_ABOVE_WRITERS) else name in _DIRECTORIES and above.endswith(f"/{FORMAT}")
    )


def _open_base(base: str, changes: bool) -> tuple[int, int]:
    with closing(open_without_links(os.path.dirname(base), _DIRECTORY)) as spool:
        owner = os.fstat(spool).st_uid
        _may_be_used(owner, base, changes)
        return _checked(os.open(FORMAT, _DIRECTORY, dir_fd=spool), base, owner), owner


def _may_be_used(owner: int, path: str, changes: bool) -> None:
    user = os.geteuid()
    if owner != user and (changes or user):
        raise PermissionError(errno.EPERM, f"It belongs to uid {owner}", path)


def _checked(descriptor: int, path: str, owner: int) -> int:
    """Return the descriptor if it belongs to ``owner``; otherwise close it and raise PermissionError."""
    descriptor = beside_standard_streams(descriptor)
    found = os.fstat(descriptor)
    if found.st_uid != owner:
        os.close(descriptor)
        raise PermissionError(errno.EPERM, f"It belongs to uid {found.st_uid}", path)
    return descriptor


def _regular(descriptor: int, path: str, owner: int, flags: int) -> int:
    """Return the descriptor if it is a regular file of ``owner``; otherwise close it and raise OSError."""
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
