"""Directories that are ours alone, and the way that leads to them.

The boundary: this user and root may do anything to the spool; no other user may be able to read it, to change it or to
put something in its place. A directory of ours is therefore never a symbolic link, belongs to us, and has mode 0700. A
user who may write to a directory above it could still exchange it (unless the sticky bit is set): ``secure_way`` checks
all of them, and goes down by descriptors, so that the directories checked are the ones used.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Optional

from lastword.descriptors import beside_standard_streams, closing
from lastword.errors import SpoolError
from lastword.event import new_id
from lastword.interruption import failures, suppressed

#: Suffix of a file that was moved out of the way.
MOVED_SUFFIX = ".moved"

#: Advice that helps whatever is wrong with a directory.
ELSEWHERE = "name a directory of your own in LASTWORD_SPOOL"

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A directory on the way need not be readable: the right to go through it is enough. PyPy has no O_PATH.
_THROUGH = getattr(os, "O_PATH", 0o10000000 if sys.platform.startswith("linux") else getattr(os, "O_SEARCH", 0))
_STEP = _THROUGH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOKS = 10
_MOST_LINKS = 40
_BY_EFFECTIVE_IDS = os.access in os.supports_effective_ids


class Link(NamedTuple):
    """A symbolic link on the way to a spool, its owner, and the owner of the directory that it lies in (uids)."""

    path: str
    owner: int
    owner_above: int


def way_without_links(path: str) -> tuple[str, list[Link]]:
    """Resolve the absolute ``path`` as ``os.path.realpath`` does; return the result and the links followed."""
    here, names = "/", path.split("/")[::-1]
    links: list[Link] = []
    while names:
        name = names.pop()
        if name in ("", ".", ".."):
            here = os.path.dirname(here) if name == ".." else here
            continue
        step = os.path.join(here, name)
        try:
            found = os.lstat(step)
            target = os.readlink(step) if stat.S_ISLNK(found.st_mode) and len(links) < _MOST_LINKS else None
            owner_above = os.lstat(here).st_uid if target is not None else 0
        except failures(OSError):  # missing, or not visible to this user
            target = None
        if target is None:
            here = step
            continue
        links.append(Link(step, found.st_uid, owner_above))
        names += target.split("/")[::-1]
        here = "/" if target.startswith("/") else here
    return here, links


@contextmanager
def private_directory(path: str, within: int, *, make: bool, over_a_file: bool = True) -> Iterator[int]:
    """Open a directory of ours and yield its descriptor; with ``make``, make it if it is missing and close it to other
    users. A file in its place is moved out of the way, unless ``over_a_file`` is false.

    ``within`` is the descriptor of its parent directory, so changes to the path meanwhile have no effect. Raises
    OSError, or SpoolError if it is not a directory of ours.
    """
    name = os.path.basename(path)
    try:
        made = make and _make(name, within, over_a_file)
        descriptor = beside_standard_streams(_open(path, name, within, made=made))
    except failures(OSError) as error:
        raise OSError(error.errno, error.strerror, path) from None
    with closing(descriptor):
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid():
            whose = f"{path} belongs to uid {found.st_uid}, not to uid {os.geteuid()}"
            raise SpoolError(f"{whose}; root, or its owner, can remove it, or {ELSEWHERE}")
        if make:
            if stat.S_IMODE(found.st_mode) != 0o700:
                os.fchmod(descriptor, 0o700)
            if not os.access(name, os.W_OK | os.X_OK, dir_fd=within, effective_ids=_BY_EFFECTIVE_IDS):
                raise SpoolError(f"{path} cannot be written to; chmod 700 it, or {ELSEWHERE}")
        yield descriptor


@contextmanager
def secure_way(directory: str, links: Iterable[Link], *, strict: bool, make: bool) -> Iterator[int]:
    """Check everything on the way to ``directory`` and yield a descriptor of it; with ``make``, make what is missing.
    ``links`` were followed to resolve its path. Raises OSError or SpoolError.

    Root goes through no directory or link of another user (``sudo`` keeps HOME). Other users are held to this only if
    ``strict`` is set; then no other user may be able to write to any of them either, unless its sticky bit is set. The
    directory for temporary files may lack that bit (an emptyDir in a container), as long as no other user has left
    anything there.
    """
    for link in links:
        _refuse_strange(link, strict)
    here = beside_standard_streams(os.open("/", _STEP))
    try:
        for path in _steps(directory):
            if path != "/":
                above, here = here, _step(path, here, make)
                os.close(above)
            problem = _problem(path, here, strict)
            if problem is not None:
                why = "no spool is kept below that unless it is named" if strict else "root keeps no spool below that"
                raise SpoolError(f"{problem}; {why}; {ELSEWHERE}")
        yield here
    finally:
        os.close(here)


def open_without_links(path: str, flags: int) -> int:
    """Open a directory at an absolute path, following no link on the way; raises OSError."""
    *above, name = path.strip("/").split("/")
    here = beside_standard_streams(os.open("/", _STEP))
    try:
        for step in above:
            before, here = here, beside_standard_streams(os.open(step, _STEP, dir_fd=here))
            os.close(before)
        return beside_standard_streams(os.open(name, flags, dir_fd=here))
    except failures(OSError) as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        os.close(here)


def _refuse_strange(link: Link, strict: bool) -> None:
    """Refuse a link of another user; the kernel does so, too, in a directory that everybody may write to
    (``protected_symlinks``).
    """
    if link.owner in (os.geteuid(), 0, os.stat("/").st_uid):
        return
    if strict or os.geteuid() == 0 or link.owner != link.owner_above:
        raise SpoolError(f"{link.path} is a link of uid {link.owner}, which is not followed; {ELSEWHERE}")


def _problem(path: str, descriptor: int, strict: bool) -> Optional[str]:
    found = os.fstat(descriptor)
    problem = _foreign(path, found) if strict or os.geteuid() == 0 else None
    if problem is None and strict:
        problem = _open_to_others(path, found)
        problem = None if problem is None or _is_ours_alone(path, descriptor) else problem
    return problem


def _foreign(path: str, found: os.stat_result) -> Optional[str]:
    # In a container that does not know the machine's root, files of that root show the owner of / instead.
    if found.st_uid in (os.geteuid(), 0) or found.st_uid == os.stat("/").st_uid:
        return None
    return f"{path} belongs to uid {found.st_uid}"


def _open_to_others(path: str, found: os.stat_result) -> Optional[str]:
    if found.st_mode & stat.S_ISVTX:
        return None
    if found.st_mode & stat.S_IWOTH:
        return f"everybody may write to {path}, whose sticky bit is not set"
    # Our own group and root's are trusted: with a umask of 002 every home is writable for its user's own group.
    if found.st_mode & stat.S_IWGRP and found.st_gid not in (0, os.getegid()):
        return f"group {found.st_gid} may write to {path}, whose sticky bit is not set"
    return None


def temporary() -> str:
    """Return the directory for temporary files."""
    return os.environ.get("TMPDIR") or "/tmp"


def _is_ours_alone(path: str, descriptor: int) -> bool:
    """Return whether it is the directory for temporary files, and everything in it belongs to this user or root."""
    if path != os.path.realpath(temporary()):
        return False
    with closing(beside_standard_streams(os.open(".", _DIRECTORY, dir_fd=descriptor))) as readable:
        for _ in range(_LOOKS):  # a file renamed or removed during one scan is handled by the next
            with suppressed(FileNotFoundError):
                owners = {os.lstat(name, dir_fd=readable).st_uid for name in os.listdir(readable)}
                return owners <= {os.geteuid(), 0}
    return False


def _steps(directory: str) -> list[str]:
    """``/a/b`` → ``/``, ``/a``, ``/a/b``."""
    steps = [directory]
    while steps[-1] != os.path.dirname(steps[-1]):
        steps.append(os.path.dirname(steps[-1]))
    return steps[::-1]


def _step(path: str, above: int, make: bool) -> int:
    """Return a descriptor of the directory at ``path``, which lies in the directory open as ``above``."""
    name = os.path.basename(path)
    try:
        try:
            return beside_standard_streams(os.open(name, _STEP, dir_fd=above))
        except FileNotFoundError:
            if not make:
                raise
        with suppressed(FileExistsError):  # made by another process meanwhile
            os.mkdir(name, 0o755, dir_fd=above)
            _take_rights(name, above)
        return beside_standard_streams(os.open(name, _STEP, dir_fd=above))
    except failures(OSError) as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise SpoolError(f"{path} is not a directory; {ELSEWHERE}") from None
        raise OSError(error.errno, error.strerror, path) from None


def _make(name: str, within: int, over_a_file: bool) -> bool:
    """Make the directory if it is missing, with ``over_a_file`` also where a file is in its place; return whether it
    was made.
    """
    try:
        os.mkdir(name, 0o700, dir_fd=within)
    except FileExistsError:
        return over_a_file and _move_file_away(name, within) and _make(name, within, over_a_file)
    return True


def _take_rights(name: str, within: int) -> None:
    """Give ourselves the rights to a directory that we made, which a umask may withhold. Another user may have put
    something in its place: no link is followed, and another user's file is left as it is.
    """
    if os.chmod in os.supports_follow_symlinks:
        found = os.lstat(name, dir_fd=within)
        if found.st_uid == os.geteuid() and found.st_mode & 0o700 != 0o700:
            os.chmod(name, stat.S_IMODE(found.st_mode) | 0o700, dir_fd=within, follow_symlinks=False)
        return
    with closing(beside_standard_streams(os.open(name, _STEP, dir_fd=within))) as descriptor:
        found = os.fstat(descriptor)
        if found.st_uid == os.geteuid() and found.st_mode & 0o700 != 0o700:
            os.chmod(f"/proc/self/fd/{descriptor}", stat.S_IMODE(found.st_mode) | 0o700)


def _move_file_away(name: str, within: int) -> bool:
    """Rename a file; return whether that worked. Neither step can affect a directory that another process makes in its
    place meanwhile.
    """
    try:
        if not stat.S_ISREG(os.lstat(name, dir_fd=within).st_mode):
            return False
        os.link(name, f"{name}.{new_id()}{MOVED_SUFFIX}", src_dir_fd=within, dst_dir_fd=within)
        os.unlink(name, dir_fd=within)
    except failures(OSError):
        return False
    return True


def _open(path: str, name: str, within: int, *, made: bool) -> int:
    try:
        try:
            return os.open(name, _DIRECTORY, dir_fd=within)
        except PermissionError:
            if not made:
                raise
            _take_rights(name, within)
            return os.open(name, _DIRECTORY, dir_fd=within)
    except NotADirectoryError:
        what = f"{path} is not a directory (a symbolic link is not accepted)"
        raise SpoolError(f"{what}; move it away, or {ELSEWHERE}") from None
