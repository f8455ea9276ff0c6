"""Directories that are ours alone, and the way that leads to them.

The boundary: whatever this user or root does to the spool is their own business; nobody else may be able to read it, to
change it or to put something in its place. A directory of ours is therefore never one that a symbolic link leads to,
belongs to us, and has mode 0700. Whoever may write to a directory above it could still exchange it (unless the sticky
bit is set): ``secure_way`` looks at all of them.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional

from lastword.errors import SpoolError
from lastword.event import new_id
from lastword.interruption import failures

#: How the name ends of what was moved out of the way.
MOVED_SUFFIX = ".moved"

#: What helps where a directory cannot be used, whatever is wrong with it.
ELSEWHERE = "name a directory of your own in LASTWORD_SPOOL"

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOKS = 10
_DUPLICATE: int = getattr(fcntl, "F_DUPFD_CLOEXEC", fcntl.F_DUPFD)  # PyPy has only the latter
_BY_EFFECTIVE_IDS = os.access in os.supports_effective_ids


def beside_standard_streams(descriptor: int) -> int:
    """The same under a number above 2, which those of a program have that was started without standard streams: what it
    prints would come into our file. To be called before the file is locked: closing the lower number drops the lock.
    """
    if descriptor > 2:
        return descriptor
    try:
        higher = fcntl.fcntl(descriptor, _DUPLICATE, 3)
        os.set_inheritable(higher, False)
        return higher
    finally:
        os.close(descriptor)


@contextmanager
def private_directory(path: str, within: Optional[int] = None, *, make: bool) -> Iterator[int]:
    """Open a directory of ours, for the descriptor; where ``make`` says so, make it if it is missing and close it to
    others.

    ``within`` is the descriptor of the directory that it lies in: what is done to the path meanwhile then leads nowhere
    else. Raises OSError, and SpoolError for what is no directory of ours.
    """
    name = path if within is None else os.path.basename(path)
    made = make and _make(name, within)
    descriptor = beside_standard_streams(_open(path, name, within, made=made))
    try:
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
    finally:
        os.close(descriptor)


def secure_way(directory: str, *, strict: bool, make: bool) -> None:
    """Look at ``directory`` and all that is above it, on the way down; what is missing is made where ``make`` says so.
    Raises OSError or SpoolError.

    Root goes through no directory of somebody else (``sudo`` keeps HOME). Everybody else is only as particular where
    ``strict`` says so; then neither may others write to any of them, unless its sticky bit is set. The directory for
    temporary files may have none (an emptyDir in a container), as long as nobody else has left anything there.
    """
    for path in _steps(directory):
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            if not make:
                raise
            found = _make_step(path)
        if not stat.S_ISDIR(found.st_mode):
            raise SpoolError(f"{path} is not a directory; {ELSEWHERE}")
        problem = _foreign(path, found) if strict or os.geteuid() == 0 else None
        if problem is None and strict:
            problem = _open_to_others(path, found)
            problem = None if problem is None or _is_ours_alone(path) else problem
        if problem is not None:
            raise SpoolError(f"{problem}; no spool is kept below that unless it is named: {ELSEWHERE}")


def _foreign(path: str, found: os.stat_result) -> Optional[str]:
    # In a container that does not know the machine's root, the owner of / is whom we see in its stead.
    if found.st_uid in (os.geteuid(), 0) or found.st_uid == os.stat("/").st_uid:
        return None
    return f"{path} belongs to uid {found.st_uid}"


def _open_to_others(path: str, found: os.stat_result) -> Optional[str]:
    if found.st_mode & stat.S_ISVTX:
        return None
    if found.st_mode & stat.S_IWOTH:
        return f"everybody may write to {path}, whose sticky bit is not set"
    # Our own group and root's are trusted: with a umask of 002 every home is open to its user's own group.
    if found.st_mode & stat.S_IWGRP and found.st_gid not in (0, os.getegid()):
        return f"group {found.st_gid} may write to {path}, whose sticky bit is not set"
    return None


def temporary() -> str:
    """The directory for temporary files."""
    return os.environ.get("TMPDIR") or "/tmp"


def _is_ours_alone(path: str) -> bool:
    """Whether it is the directory for temporary files, and all in there belongs to this user or root."""
    if path != os.path.realpath(temporary()):
        return False
    for _ in range(_LOOKS):  # what was renamed or removed under one look is seen by the next
        try:
            owners = {os.lstat(os.path.join(path, name)).st_uid for name in os.listdir(path)}
        except FileNotFoundError:
            continue
        return owners <= {os.geteuid(), 0}
    return False


def _steps(directory: str) -> list[str]:
    """``/a/b`` → ``/``, ``/a``, ``/a/b``."""
    steps = [directory]
    while steps[-1] != os.path.dirname(steps[-1]):
        steps.append(os.path.dirname(steps[-1]))
    return steps[::-1]


def _make_step(path: str) -> os.stat_result:
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        return os.lstat(path)
    if os.lstat(path).st_mode & 0o700 != 0o700:  # a umask that takes our own rights
        os.chmod(path, 0o755)
    return os.lstat(path)


def _make(name: str, within: Optional[int]) -> bool:
    """Make the directory if it is missing; a file in its place is moved out of the way."""
    try:
        os.mkdir(name, 0o700, dir_fd=within)
    except FileExistsError:
        if within is None or not _move_file_away(name, within):
            return False
        return _make(name, within)
    return True


def _move_file_away(name: str, within: int) -> bool:
    """Give a file another name. Neither step can hit a directory that another process makes in its place meanwhile."""
    try:
        if not stat.S_ISREG(os.lstat(name, dir_fd=within).st_mode):
            return False
        os.link(name, f"{name}.{new_id()}{MOVED_SUFFIX}", src_dir_fd=within, dst_dir_fd=within)
        os.unlink(name, dir_fd=within)
    except failures(OSError):
        return False
    return True


def _open(path: str, name: str, within: Optional[int], *, made: bool) -> int:
    try:
        try:
            return os.open(name, _DIRECTORY, dir_fd=within)
        except PermissionError:
            if not made:
                raise
            os.chmod(name, 0o700, dir_fd=within)  # a umask that takes our own rights
            return os.open(name, _DIRECTORY, dir_fd=within)
    except NotADirectoryError:
        what = f"{path} is not a directory (a symbolic link is not accepted)"
        raise SpoolError(f"{what}; move it away, or {ELSEWHERE}") from None
