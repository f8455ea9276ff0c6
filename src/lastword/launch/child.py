"""Start a process that is a child of the program for only a millisecond or two, without the program noticing.

A direct child would show up in the program's ``os.wait()``, and its end in a SIGCHLD handler. So the child is
``/bin/sh``, which starts the actual process in the background, ends at once and is reaped here; without a shell, the
process itself must end soon. The thread that does this blocks SIGCHLD meanwhile and consumes it, so that a
single-threaded program does not notice. In a program with several threads another thread may get the signal, and then
finds no child to wait for.

This module uses ``posix`` because gevent and eventlet replace functions in ``os``: theirs leave the child to their
loop, which stands still during a capture.
"""

from __future__ import annotations

import errno
import os
import posix
import signal
import time
from collections.abc import Iterable
from typing import Any, Optional

from lastword.descriptors import beside_standard_streams
from lastword.interruption import failures, suppressed
from lastword.native import native

_SHELL = "/bin/sh"

#: Seconds to wait for the end of the child; one that takes longer is reaped at a later start.
_PATIENCE = 0.25

_INTERVAL = 0.0005


class Children:
    """The children started here by this process and not yet reaped. Safe to inherit over a fork."""

    def __init__(self) -> None:
        self._left: list[tuple[int, int]] = []  # (pid of the starting process, pid of the child)

    def start(
        self, arguments: list[str], environment: dict[str, str], *, log: Optional[int], answer_within: float
    ) -> None:
        """Start a process with ``arguments`` in a group of its own, with its stderr on the descriptor ``log``.

        It writes a byte to its stdout when it begins well; wait for it ``answer_within`` seconds (0: do not wait).
        Raises OSError: EAGAIN if there may be room for a process in a moment, ENOEXEC if it ended without that byte.
        """
        before = _mask_to_restore()  # before it changes: an interruption may follow at once
        try:
            if before is not None:
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
            if answer_within:
                self._start_and_hear(arguments, environment, log, answer_within)
            else:
                self._await(self._spawn(arguments, environment, None, log), None, 0.0)
        finally:
            _unblock_sigchld(before)

    def reap(self) -> None:
        """Reap the children that have ended."""
        for starter, pid in list(self._left):
            if starter != os.getpid() or _status(pid) is not None:
                self._forget(starter, pid)

    def _start_and_hear(
        self, arguments: list[str], environment: dict[str, str], log: Optional[int], answer_within: float
    ) -> None:
        reading, writing = map(beside_standard_streams, os.pipe())
        try:
            os.set_blocking(reading, False)
            try:
                pid = self._spawn(arguments, environment, writing, log)
            finally:
                os.close(writing)  # once only, even if an interruption follows at once
            self._await(pid, reading, answer_within)
        finally:
            os.close(reading)

    def _spawn(
        self, arguments: list[str], environment: dict[str, str], output: Optional[int], log: Optional[int]
    ) -> int:
        spawn = _posix_spawn if hasattr(posix, "posix_spawn") else _fork_and_exec
        try:
            pid = spawn([_SHELL, "-c", '"$@" &', "sh", *arguments], environment, output, log)
        except failures(OSError) as error:
            if error.errno not in (errno.ENOENT, errno.EACCES, errno.EPERM):
                raise
            pid = spawn(arguments, environment, output, log)
        self._left.append((os.getpid(), pid))
        return pid

    def _await(self, pid: int, reading: Optional[int], answer_within: float) -> None:
        """Reap the child, and read its answer from ``reading``, if both come in time."""
        sleep, began = native("time", "sleep"), time.monotonic()
        reaped = False
        answer: Optional[bytes] = None
        while time.monotonic() - began < max(_PATIENCE, answer_within):
            if not reaped and (status := _status(pid)) is not None:
                reaped = True
                self._forget(os.getpid(), pid)
                if status:
                    raise OSError(errno.EAGAIN, f"{_SHELL} could start no process (exit status {status})")
            if reading is not None and answer is None:
                with suppressed(BlockingIOError):
                    answer = posix.read(reading, 1)
            if answer == b"":
                raise OSError(errno.ENOEXEC, "it ended while it started")
            if reaped and (reading is None or answer or time.monotonic() - began > answer_within):
                return
            sleep(_INTERVAL)

    def _forget(self, starter: int, pid: int) -> None:
        with suppressed(ValueError):  # another thread has removed it
            self._left.remove((starter, pid))


def _status(pid: int) -> Optional[int]:
    """Return the exit status of an ended child (0 if other code has reaped it), or None while it runs."""
    try:
        found, status = posix.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0
    return None if found != pid else status


def _mask_to_restore() -> Optional[Iterable[int]]:
    """Return the signals that this thread blocks; None if there is no need to block SIGCHLD."""
    if not hasattr(signal, "sigtimedwait"):
        return None
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    hears = signal.SIGCHLD in blocked or signal.getsignal(signal.SIGCHLD) not in (signal.SIG_DFL, signal.SIG_IGN)
    return blocked if hears else None


def _unblock_sigchld(before: Optional[Iterable[int]]) -> None:
    """Consume a pending SIGCHLD of this process, and restore the mask ``before``.

    Several pending SIGCHLD are merged into one: if a child of the program has ended too, the signal is sent again.
    """
    if before is None:
        return
    try:
        waits = signal.sigtimedwait({signal.SIGCHLD}, 0)
        if waits is not None and _another_has_ended():
            os.kill(os.getpid(), signal.SIGCHLD)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _another_has_ended() -> bool:
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def _posix_spawn(arguments: list[str], environment: dict[str, str], output: Optional[int], log: Optional[int]) -> int:
    streams = [  # the last one first: without standard streams ``log`` may have a lower number
        (os.POSIX_SPAWN_OPEN, its, os.devnull, os.O_RDWR, 0) if mine is None else (os.POSIX_SPAWN_DUP2, mine, its)
        for its, mine in ((2, log), (1, output), (0, None))
    ]
    catchable = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    # A group of its own from the start: a kill of the program's process group is not meant for the flusher.
    options: dict[str, Any] = {"file_actions": streams, "setpgroup": 0, "setsigmask": [], "setsigdef": catchable}
    return posix.posix_spawn(arguments[0], arguments, environment, **options)


def _fork_and_exec(arguments: list[str], environment: dict[str, str], output: Optional[int], log: Optional[int]) -> int:
    """Do the same on PyPy, which has no ``posix_spawn``."""
    pid = posix.fork()
    if pid:
        with suppressed(OSError):  # done in parent and child, since either may come first
            os.setpgid(pid, pid)
        return pid
    try:
        os.setpgid(0, 0)
        null = os.open(os.devnull, os.O_RDWR)
        for mine, its in ((log, 2), (output, 1), (null, 0)):
            os.dup2(null if mine is None else mine, its)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execve(arguments[0], arguments, environment)
    finally:
        os._exit(127)
