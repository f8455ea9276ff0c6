"""What a leader's lock does not tell: whether the process that holds it is at work."""

from __future__ import annotations

import os


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped: by SIGSTOP, a terminal's Ctrl-Z or a debugger.

    A leader that is stopped sends nothing, and while it holds its lock nobody else will. False when it cannot be told:
    the process is gone, or there is no ``/proc``.
    """
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return False
    try:
        state = os.read(descriptor, 4096).rpartition(b")")[2].split()[:1]  # the name in brackets may hold spaces
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return state in ([b"T"], [b"t"])
