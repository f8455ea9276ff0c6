"""What the lock does not show about the leader: the version it runs, and whether it is at work.

Specification: ``flusher.json``, ``{"pid":…,"lastword":…,"since":…,"signs":true}`` on one line, written by a flusher as
soon as it has the lock, which only flushers take. The file stays when the flusher leaves, so it counts only while the
lock is held. While the flusher is at work it sets the file's time every few seconds (``signs``). None of this needs a
pid, because the pid of a process in another PID namespace is not visible.
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
from lastword.spool.identity import stat_of
from lastword.spool.layout import Layout, read_object, write_whole_file
from lastword.version import __version__

#: Seconds between two signs of life, and seconds without one after which a leader counts as standing still. Scanning
#: a large spool on a busy machine takes some seconds.
SIGN_INTERVAL = 5.0
_STILL_AFTER = 30.0


def announce(layout: Layout) -> None:
    """Write ``flusher.json`` for this process, which now leads; if there is no room, remove the old file."""
    told = {"pid": os.getpid(), "lastword": __version__, "since": time.time(), "signs": True}
    try:
        write_whole_file(layout.leader, json.dumps(told).encode("ascii") + b"\n")
    except failures(OSError):
        with suppressed(OSError):  # the previous leader's data is not true of this one
            inside.unlink(layout.leader)


def give_sign(layout: Layout) -> None:
    """Show that this process, the leader, is at work: set the time of ``flusher.json``."""
    now = time.time()
    with suppressed(OSError):
        inside.touch(layout.leader, (now, now))  # not by a file server's clock, which may be wrong


def version_of(layout: Layout) -> Optional[str]:
    """Return the version of lastword that the leader runs; None if it has not written one."""
    try:
        return checked.line(_told(layout).get("lastword"), 64)
    except failures(OSError, ValueError, RecursionError):
        return None


def _told(layout: Layout) -> dict[str, Any]:
    """Return the data that the leader wrote about itself. Raises OSError or ValueError."""
    return read_object(layout.leader, 4096)


def is_outdated(layout: Layout) -> bool:
    """Return whether the leader runs an older version than this process; False if its version is unknown."""
    version = version_of(layout)
    return version is not None and _as_numbers(version) < _as_numbers(__version__)


def _as_numbers(version: str) -> list[int]:
    """Return 0, 10, 2 for ``0.10.2rc1``. Versions equal in these numbers need no hand-over."""
    return [int(number) for number in re.findall(r"[0-9]{1,9}", re.split("[^0-9.]", version)[0])]


def stands_still(layout: Layout, pid: Optional[int]) -> bool:
    """Return whether the leader (``pid``, from ``lock.holder``) does nothing while it holds the lock.

    It is stopped (SIGSTOP, Ctrl-Z), its container is frozen, or it hangs; meanwhile no other process sends. A stopped
    process that is visible from here is detected at once, any other after ``_STILL_AFTER`` seconds. False if the leader
    runs an older version, which gives no signs of life.
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
        return stat_of(pid)[0] in (b"T", b"t")
    except failures(OSError, ValueError, IndexError):  # the process is gone, or there is no /proc
        return False
