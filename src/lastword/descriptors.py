"""Descriptors of ours, which are not those of the program's standard streams."""

from __future__ import annotations

import fcntl
import os

_DUPLICATE: int = getattr(fcntl, "F_DUPFD_CLOEXEC", fcntl.F_DUPFD)  # PyPy has only the latter


def beside_standard_streams(descriptor: int) -> int:
    """The same under a number above 2, which those of a program have that was started without standard streams: what it
    prints would come into our file. To be called before the file is locked: closing the lower number drops the lock.
    """
    if descriptor > 2:
        return descriptor
    try:
        higher = fcntl.fcntl(descriptor, _DUPLICATE, 3)
        fcntl.fcntl(higher, fcntl.F_SETFD, fcntl.FD_CLOEXEC)  # PyPy's `os.set_inheritable` can do this to no step
        return higher
    finally:
        os.close(descriptor)
