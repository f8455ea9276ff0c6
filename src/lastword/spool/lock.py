"""Lifetime locks: held by a process until it ends, however it ends.

They are POSIX record locks on files of their own. The kernel drops them at any death, a forked child does not inherit
them (a ``flock`` stays held while a forked child of the dead owner lives), and asking who holds one takes no lock. What
they demand in return, and what this module sees to:

* closing *any* descriptor of the file drops the lock, so a file that this process has locked is opened exactly once
  and never again here, not even to probe it;
* they do not exclude the threads of one process, so ``_claims`` does;
* only ``LOCK_NB``: a blocking wait can make an application's own ``lockf`` fail with EDEADLK.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from typing import Optional

from lastword.spool.layout import open_private

if sys.platform.startswith("linux"):
    _FLOCK, _TYPE_AT, _PID_AT = "hhqqi", 0, 4  # l_type l_whence l_start l_len l_pid
    _ASK = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
else:  # macOS and the BSDs
    _FLOCK, _TYPE_AT, _PID_AT = "qqihh", 3, 2  # l_start l_len l_pid l_type l_whence
    _ASK = struct.pack(_FLOCK, 0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)

#: (pid, path) of every file that this process has locked or is about to. A forked child finds its parent's claims under
#: the parent's pid and so makes nothing of them.
_claims: dict[tuple[int, str], object] = {}


class LifetimeLock:
    """A lock that this process holds. Drop it with ``release``, or by dying."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._pid = os.getpid()
        self._descriptor = descriptor
        found = os.fstat(descriptor)
        self._identity = (found.st_dev, found.st_ino)

    @classmethod
    def acquire(cls, path: str) -> Optional[LifetimeLock]:
        """Take the lock at ``path``, making the file if it is missing; None when anybody has it, this process included.

        Raises OSError when the file cannot be opened or locked at all.
        """
        claim, mine = (os.getpid(), path), object()
        if _claims.setdefault(claim, mine) is not mine:  # setdefault is one step: of two threads, one wins
            return None
        descriptor = -1
        try:
            descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cls(path, descriptor)
        except OSError as error:
            del _claims[claim]
            if descriptor >= 0:
                os.close(descriptor)
            if isinstance(error, (BlockingIOError, PermissionError)) and descriptor >= 0:
                return None
            raise

    def moves_to(self, path: str) -> None:
        """Say that the locked file is about to be renamed, so that nobody here opens it under its new name."""
        _claims[self._pid, path] = self
        _claims.pop((self._pid, self.path), None)
        self.path = path

    def in_place(self) -> bool:
        """Whether the path still leads to the locked file (people remove spools, and the next one is not ours)."""
        try:
            found = os.stat(self.path)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def release(self) -> None:
        """Drop the lock. In a forked child this only closes what was inherited; the parent keeps its lock."""
        _claims.pop((os.getpid(), self.path), None)
        close_if_same(self._descriptor, self._identity)


def holder(path: str) -> Optional[int]:
    """The pid of the process that holds the lock at ``path``; 0 if it is not visible from here; None if nobody does.

    Takes no lock. A missing file is held by nobody; other troubles raise OSError.
    """
    if (os.getpid(), path) in _claims:
        return os.getpid()
    try:
        descriptor = open_private(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        answer = struct.unpack_from(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, _ASK))
    finally:
        os.close(descriptor)
    return None if answer[_TYPE_AT] == fcntl.F_UNLCK else max(int(answer[_PID_AT]), 0)


def close_if_same(descriptor: int, identity: tuple[int, int]) -> None:
    """Close ``descriptor`` if it still is the file of this (device, inode).

    A program that daemonises closes every descriptor, and the number then becomes somebody else's.
    """
    try:
        found = os.fstat(descriptor)
        if (found.st_dev, found.st_ino) == identity:
            os.close(descriptor)
    except OSError:
        pass  # closed already
