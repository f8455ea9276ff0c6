"""Who leads, as far as the lock does not tell: the version it runs, and whether it is at work.

Specification: ``flusher.json``, ``{"pid":…,"start_time":…,"lastword":…,"since":…}`` on one line, written by a flusher
once it has the lock. It stays when the flusher leaves, so it counts only while that very process holds the lock.
"""

from __future__ import annotations

import json
import os
import re
import time
from typing import Optional

from lastword.spool.identity import start_time
from lastword.spool.layout import Layout, read_small_file, write_whole_file
from lastword.version import __version__


def announce(layout: Layout) -> None:
    """Say which version this process, which has just come to lead, is of; where there is no room, nothing is said."""
    pid = os.getpid()
    told = {"pid": pid, "start_time": start_time(pid), "lastword": __version__, "since": time.time()}
    try:
        write_whole_file(layout.leader, json.dumps(told).encode("ascii") + b"\n")
    except OSError:
        pass


def version_of(layout: Layout, pid: int) -> Optional[str]:
    """The version of lastword that process ``pid``, which leads, runs; None where it has not said so."""
    try:
        told = json.loads(read_small_file(layout.leader, 4096).decode("ascii"))
        if told["pid"] == pid and told["start_time"] == start_time(pid):
            return str(told["lastword"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def is_outdated(layout: Layout, pid: int) -> bool:
    """Whether process ``pid``, which leads, runs an older version than this one; False where it has not said."""
    version = version_of(layout, pid)
    return version is not None and _as_numbers(version) < _as_numbers(__version__)


def _as_numbers(version: str) -> list[int]:
    """``0.10.2rc1`` is 0, 10, 2: versions that differ in less follow each other without a hand-over."""
    return [int(number) for number in re.findall(r"\d+", re.split("[^0-9.]", version)[0])]


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
