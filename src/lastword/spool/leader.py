"""Who leads, as far as the lock does not tell: the version it runs, and whether it is at work.

Specification: ``flusher.json``, ``{"pid":…,"lastword":…,"since":…,"signs":true}`` on one line, written by a flusher as
soon as it has the lock, which nobody else takes. It stays when the flusher leaves, so it counts only while the lock is
held. As long as the flusher is at work it sets the file's time every few seconds (``signs``). None of that needs a pid:
that of a process in another pid namespace is not visible.
"""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any, Optional

from lastword import checked
from lastword.interruption import failures, suppressed
from lastword.spool import inside
from lastword.spool.layout import Layout, read_object, write_whole_file
from lastword.version import __version__

#: Seconds between two signs of life, and without one after which a leader stands still. A look at a large spool on a
#: busy machine takes some seconds.
SIGN_INTERVAL = 5.0
_STILL_AFTER = 30.0


def announce(layout: Layout) -> None:
    """Say which version this process, which has just come to lead, is of; where there is no room, nothing is said."""
    told = {"pid": os.getpid(), "lastword": __version__, "since": time.time(), "signs": True}
    try:
        write_whole_file(layout.leader, json.dumps(told).encode("ascii") + b"\n")
    except failures(OSError):
        with suppressed(OSError):  # what the one before has said is not true of this one
            inside.unlink(layout.leader)


def give_sign(layout: Layout) -> None:
    """Say that this process, which leads, is at work."""
    now = time.time()
    with suppressed(OSError):
        inside.touch(layout.leader, (now, now))  # not by the clock of a file server, which may go wrong


def version_of(layout: Layout) -> Optional[str]:
    """The version of lastword that whoever leads runs; None where it has not said so."""
    try:
        return checked.told(_told(layout).get("lastword"), 64)
    except failures(OSError, ValueError, RecursionError):
        return None


def _told(layout: Layout) -> dict[str, Any]:
    """What whoever leads has said of itself. Raises OSError or ValueError."""
    return read_object(layout.leader, 4096)


def is_outdated(layout: Layout) -> bool:
    """Whether whoever leads runs an older version than this one; False where it has not said."""
    version = version_of(layout)
    return version is not None and _as_numbers(version) < _as_numbers(__version__)


def _as_numbers(version: str) -> list[int]:
    """``0.10.2rc1`` is 0, 10, 2: versions that differ in less follow each other without a hand-over."""
    return [int(number) for number in re.findall(r"[0-9]{1,9}", re.split("[^0-9.]", version)[0])]


def stands_still(layout: Layout, pid: Optional[int]) -> bool:
    """Whether a process leads (``pid``, as ``lock.holder`` tells it) and does nothing: it is stopped (SIGSTOP, Ctrl-Z),
    its container is frozen, or it hangs. While it holds its lock nobody else sends.

    A stopped process that is visible from here is known at once, any other after ``_STILL_AFTER`` seconds. False when
    it cannot be told: it is of an older version, which gives no sign.
    """
    if pid is None:
        return False
    if pid and _is_stopped(pid):
        return True
    try:
        since_sign = time.time() - inside.lstat(layout.leader).st_mtime
        return bool(_told(layout).get("signs")) and abs(since_sign) > _STILL_AFTER
    except failures(OSError, ValueError, RecursionError):
        return False


def _is_stopped(pid: int) -> bool:
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except failures(OSError):  # it is gone, or there is no /proc
        return False
    try:
        state = os.read(descriptor, 4096).rpartition(b")")[2].split()[:1]  # the name in brackets may hold spaces
    except failures(OSError):
        return False
    finally:
        os.close(descriptor)
    return state in ([b"T"], [b"t"])
