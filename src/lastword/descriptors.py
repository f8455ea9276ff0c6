"""Descriptors of files: close ours after use, keep them apart from the program's, and read small files by one."""

from __future__ import annotations

import fcntl
import os
import stat
from typing import Optional

from lastword.interruption import failures, suppressed

_DUPLICATE: int = getattr(fcntl, "F_DUPFD_CLOEXEC", fcntl.F_DUPFD)  # PyPy has only the latter


def beside_standard_streams(descriptor: int) -> int:
    """Return a descriptor of the same file with a number above 2.

    In a program that was started without standard streams our file may get number 0, 1 or 2, and the program's output
    would be written into it. Call this before locking the file: closing the lower number drops the lock.
    """
    if descriptor > 2:
        return descriptor
    try:
        higher = fcntl.fcntl(descriptor, _DUPLICATE, 3)
        fcntl.fcntl(higher, fcntl.F_SETFD, fcntl.FD_CLOEXEC)  # PyPy's `os.set_inheritable` fails for O_PATH
        return higher
    finally:
        os.close(descriptor)


def identity_of(found: os.stat_result) -> tuple[int, int]:
    """Return the device and inode of a file."""
    return found.st_dev, found.st_ino


class closing(int):  # noqa: N801 (named like contextlib.closing)
    """A descriptor that a ``with`` block closes at its end. An int, because no code of ours may run between its opening
    and the block: an interruption there would leave it open.
    """

    __enter__ = int.__int__

    def __exit__(self, *_: object) -> None:
        os.close(self)


class KeptDescriptor:
    """A descriptor that a thread of the program keeps open for longer than a moment. The program may close it, and its
    number may then be another file's.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._identity = identity_of(os.fstat(number))

    def size(self) -> Optional[int]:
        """Return the size of its file in bytes; None if the descriptor is closed, or is another file's by now."""
        found = self._found()
        return None if found is None else found.st_size

    def is_there(self) -> bool:
        """Return whether it still is the descriptor of its file, and the file has not been removed."""
        found = self._found()
        return found is not None and found.st_nlink > 0

    def _found(self) -> Optional[os.stat_result]:
        try:
            found = os.fstat(self.number)
        except failures(OSError):
            return None
        return found if identity_of(found) == self._identity else None

    def close(self) -> None:
        """Close it, unless it is another file's."""
        close_if_same(self.number, self._identity)


def close_if_same(descriptor: int, identity: tuple[int, int]) -> None:
    """Close ``descriptor`` if it still is the file of this (device, inode).

    A program that daemonises closes every descriptor, and another file may then get the number.
    """
    with suppressed(OSError):  # closed already
        if identity_of(os.fstat(descriptor)) == identity:
            os.close(descriptor)


def beginning_of(path: str, limit: int) -> bytes:
    """Return the first ``limit`` bytes of a regular file, by one read; b"" if there is no such file.

    Files under /proc count as regular. More reads would show different moments of them.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except failures(OSError, ValueError):
        return b""
    try:
        return os.read(descriptor, limit) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except failures(OSError):
        return b""
    finally:
        os.close(descriptor)
