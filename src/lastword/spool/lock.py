"""Lifetime locks: held by a process until it ends, however it ends.

They are POSIX record locks on files of their own. The kernel drops them at any death, a forked child does not inherit
them (a ``flock`` stays held while a forked child of the dead owner lives), and asking for the holder takes no lock.
This module handles their limits:

* closing *any* descriptor of the file drops the lock, so this process does not open a file again that it has locked,
  not even to probe it, and a thread that locks a file waits for the probes that have it open;
* they do not exclude the threads of one process, so ``_claims`` does; nor its interpreters, each of which has its own
  ``_claims``: any but the main one first checks the process's own descriptors;
* only ``LOCK_NB``: a blocking wait can make an application's own ``lockf`` fail with EDEADLK.

This module cannot see other code that opens the file, as a program does that archives its own spool. ``keep`` repairs
that.
"""

from __future__ import annotations

import _thread
import fcntl
import os
import struct
import sys
import time
from typing import Optional

from lastword.descriptors import close_if_same, closing, identity_of
from lastword.interruption import failures
from lastword.spool import inside
from lastword.spool.layout import open_private

try:
    import _interpreters  # type: ignore[import-not-found]
except ImportError:
    try:
        import _xxsubinterpreters as _interpreters  # type: ignore[import-not-found] # its name before 3.13
    except ImportError:
        _interpreters = None  # PyPy has none

if sys.platform.startswith("linux"):
    _FLOCK, _TYPE_AT, _PID_AT = "hhqqi", 0, 4  # l_type l_whence l_start l_len l_pid
    _ASK = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
else:  # macOS and the BSDs
    _FLOCK, _TYPE_AT, _PID_AT = "qqihh", 3, 2  # l_start l_len l_pid l_type l_whence
    _ASK = struct.pack(_FLOCK, 0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)

#: (pid, path) of every file that this process has locked or is about to. A forked child ignores its parent's claims,
#: which have the parent's pid; likewise with ``_probes``. Both change in single steps, without a lock that a fork could
#: leave held: a probe first enters itself and then checks for claims, locking first claims and then checks for probes.
_claims: dict[tuple[int, str], object] = {}

#: (pid, path, thread) of every probe that has the file open, or is about to.
_probes: list[tuple[int, str, int]] = []

#: Seconds that a lock waits for the probes of other threads to close its file, where the program waits for us.
_PROBE_WAIT = 0.005

#: Whether this is not the process's first interpreter. Only the first one ever leads, or lasts.
IN_SUBINTERPRETER = _interpreters is not None and _interpreters.get_current() != _interpreters.get_main()


class LifetimeLock:
    """A lock that this process holds until ``release`` or its death."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._pid = os.getpid()
        self._descriptor = descriptor
        self._identity = identity_of(os.fstat(descriptor))
        try:
            self._place = inside.identities_by_path(path)
        except failures(OSError):  # removed meanwhile, as ``probe.lock`` is by other processes
            self._place = ()

    @classmethod
    def acquire(cls, path: str, patience: Optional[float] = None) -> Optional[LifetimeLock]:
        """Take the lock at ``path``, making the file if it is missing. Return None if any process holds it, this one
        included, or if another thread still probes it after ``patience`` seconds (None: 5 ms).

        Raises OSError if the file cannot be opened or locked at all.
        """
        claim, mine = (os.getpid(), path), object()
        lock = None
        try:
            if _claims.setdefault(claim, mine) is mine:  # setdefault is one step: of two threads, one wins
                lock = cls._opened_and_locked(path, _PROBE_WAIT if patience is None else patience)
            return lock
        finally:
            if lock is None and _claims.get(claim) is mine:
                del _claims[claim]

    @classmethod
    def _opened_and_locked(cls, path: str, patience: float) -> Optional[LifetimeLock]:
        if IN_SUBINTERPRETER and _locked_by_this_process(path):
            return None
        # Before locking, because the end of a probe would drop the lock. Later probes see our claim.
        if not _await_probes(path, patience):
            return None
        descriptor, lock = open_private(path, os.O_RDWR | os.O_CREAT), None
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lock = cls(path, descriptor)
            return lock
        except failures(BlockingIOError, PermissionError):
            return None
        finally:
            if lock is None:  # also if an interruption came after the locking
                os.close(descriptor)

    def moves_to(self, path: str) -> None:
        """Note that the locked file is about to be renamed, so that this process does not open it by its new name."""
        _claims[self._pid, path] = self
        _claims.pop((self._pid, self.path), None)
        self.path = path

    def keep(self) -> bool:
        """Return True if the lock is held and the path still leads to its file, in the same spool and through no link
        in its place; False if the lock is lost.

        Takes the lock again if other code of this process has dropped it and no other process has taken it since. The
        file or the descriptor may be another one by now: people remove spools, and programs close descriptors, whose
        numbers other files then get.
        """
        if os.getpid() != self._pid:
            return False
        try:
            place = inside.identities_by_path(self.path)
            if place != self._place or not self._identity == place[-1] == identity_of(os.fstat(self._descriptor)):
                return False
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except failures(OSError):
            return False
        return True

    def release(self) -> None:
        """Drop the lock. In a forked child this only closes the inherited descriptor; the parent keeps its lock."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        try:
            close_if_same(descriptor, self._identity)
        finally:
            if os.getpid() == self._pid:  # after closing, which would drop a lock that another thread took meanwhile
                _claims.pop((self._pid, self.path), None)


def holder(path: str) -> Optional[int]:
    """Return the pid of the process that holds the lock at ``path``; 0 if its pid is not visible from here; None if no
    process does.

    Takes no lock. A missing file has no holder; other errors raise OSError.
    """
    me = os.getpid()
    probe = (me, path, _thread.get_ident())
    try:
        _probes.append(probe)
        if (me, path) in _claims or (IN_SUBINTERPRETER and _locked_by_this_process(path)):
            return me
        return _ask_kernel(path)
    finally:
        if probe in _probes:
            _probes.remove(probe)


def _ask_kernel(path: str) -> Optional[int]:
    try:
        descriptor = inside.open_to_probe(path)
    except FileNotFoundError:
        return None
    try:
        answer = struct.unpack_from(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, _ASK))
    finally:
        os.close(descriptor)
    return None if answer[_TYPE_AT] == fcntl.F_UNLCK else max(int(answer[_PID_AT]), 0)


def _await_probes(path: str, patience: float) -> bool:
    """Wait until no other thread has ``path`` open to probe it; return False if that takes longer than ``patience``
    seconds.

    A probe of this thread itself, interrupted by a signal handler, continues only when the handler and its lock are
    done.
    """
    deadline = time.monotonic() + patience
    while any(probe[:2] == (os.getpid(), path) and probe[2] != _thread.get_ident() for probe in tuple(_probes)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.0002)
    return True


def _locked_by_this_process(path: str) -> bool:
    """Return whether any descriptor of this process, whichever interpreter opened it, holds the lock at ``path``."""
    try:
        wanted = identity_of(inside.lstat(path))
        names = os.listdir("/proc/self/fd")
    except failures(OSError):
        return False
    return any(_is_locked_by(name, wanted) for name in names)


def _is_locked_by(number: str, wanted: tuple[int, int]) -> bool:
    """Return whether descriptor ``number`` is the ``wanted`` file and holds a lock, according to the kernel's
    ``fdinfo``.
    """
    try:
        if identity_of(os.stat(f"/proc/self/fd/{number}")) != wanted:
            return False
        with closing(os.open(f"/proc/self/fdinfo/{number}", os.O_RDONLY)) as descriptor:
            return b"POSIX" in os.read(descriptor, 4096)
    except failures(OSError):  # closed meanwhile
        return False
