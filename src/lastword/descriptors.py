"""Keep lastword's file descriptors apart from the program's standard streams."""

from __future__ import annotations

import fcntl
import os

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
