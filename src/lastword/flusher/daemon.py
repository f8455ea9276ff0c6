"""The flusher as a process of its own: its log, its signals, its exit."""

from __future__ import annotations

import io
import os
import resource
import signal
import sys
import time
import traceback
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Optional

from lastword.flusher import breakdown, schedule
from lastword.flusher.succession import Succession
from lastword.spool import start
from lastword.spool.identity import is_dead
from lastword.spool.layout import Layout, open_private
from lastword.spool.lock import holder

if TYPE_CHECKING:
    from lastword.flusher.loop import Flusher

_MAX_LOG = 256 << 10
_NICENESS = 5
_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

#: How many times a flusher that breaks down tries again, each time after a pause, before it leaves that to the next.
_MOST_TRIES = 20


def run_detached(
    spool: str, coming: Optional[int] = None, interpreter: str = sys.executable, not_before: float = 0.0
) -> None:
    """Lead the spool at ``spool`` until there is nothing more to do. Errors go to ``flusher.log``. Never raises.

    ``coming`` is the descriptor with which this process holds ``helper.lock``. Once it leads, it records in that file
    that ``interpreter`` works, and closes it. It waits until ``not_before`` (Unix seconds).
    """
    layout = Layout(spool)
    try:
        layout.check()  # before writing: since the start of this process the spool may have been replaced by a trap
        if coming is not None and not start.is_helper_lock(layout, coming):
            os.close(coming)
            coming = None
        _send_errors_to(layout.flusher_log)
        _be_a_good_neighbour()
        _leave_when_told()
        stopped_at = start.load(layout).stopped_at
        if not _outwait(layout, not_before, only_for_the_living=stopped_at > 0):
            return
    except Exception:
        traceback.print_exc()
        return
    for _ in range(_MOST_TRIES):
        try:
            if not _lead(layout, Succession(layout, coming, interpreter), stopped_at) or not _is_second_self():
                return
        except Exception:
            breakdown.report(layout, traceback.print_exc)
            _leave_when_told()
        coming = start.lock_helper(layout)
        state = start.load(layout)
        stopped_at = state.stopped_at
        if coming is None or not _outwait(layout, state.not_before, only_for_the_living=stopped_at > 0):
            return


def _lead(layout: Layout, succession: Succession, stopped_at: float) -> bool:
    """Lead as long as needed. Return whether it was stopped and a flusher has to come back after the pause.

    ``stopped_at`` is when the previous flusher was told to stop, in Unix seconds, or 0.
    """
    if not succession.may_try():
        start.clear_failures(layout)
        return False
    flusher = _load_flusher(layout, time.monotonic() + schedule.stop_left(stopped_at, time.time()))
    if flusher is None:
        return False

    def stop(_number: int, _frame: Optional[FrameType]) -> None:
        flusher.stop()

    for number in _STOPPING:
        signal.signal(number, stop)
    flusher.run(succession.must_leave)
    while succession.wait():
        flusher.run(succession.must_leave)
    return flusher.is_needed_again


def _is_second_self() -> bool:
    """Fork; true in the child, which goes on. The parent ends, because the process that stopped it waits for that."""
    _leave_when_told()
    return os.fork() == 0


def _leave_when_told() -> None:
    for number in _STOPPING:
        signal.signal(number, _leave)


def _leave(_number: int, _frame: Optional[FrameType]) -> None:
    """Exit on a signal while this process does not lead: with status 0, as always."""
    os._exit(0)


def _outwait(layout: Layout, not_before: float, *, only_for_the_living: bool = False) -> bool:
    """Wait until ``not_before`` (Unix seconds), 60 s at most. Return false, at once, if this flusher is not needed:
    another one leads, the spool is gone, or, with ``only_for_the_living``, no process that has written is alive.
    (A service that stops waits for this process.)
    """
    ends = time.monotonic() + min(max(not_before - time.time(), 0.0), start.MAX_WAIT)
    while (left := ends - time.monotonic()) > 0:
        if holder(layout.flusher_lock) is not None or not layout.is_there():
            return False
        if only_for_the_living and all(is_dead(layout.writer(id)) for id in layout.writer_ids()):
            return False
        time.sleep(min(left, schedule.LOOK_INTERVAL))
    return True


def _load_flusher(layout: Layout, stop_ends: float) -> Optional[Flusher]:
    """Import and create the flusher: only in a process that will probably lead, as requests alone takes 80 ms.

    If the import fails, the start has failed, as its starter has already recorded. After several failed starts a
    program sends with a thread of its own, which may be able to import what this process cannot.
    """
    try:
        from lastword.flusher.loop import Flusher
    except Exception:
        traceback.print_exc()
        return None
    return Flusher(layout, stop_ends=stop_ends)


def _send_errors_to(path: str) -> None:
    try:
        descriptor = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except OSError:  # no room, or not a regular file: events are sent nevertheless
        return
    if os.fstat(descriptor).st_size > _MAX_LOG:
        os.ftruncate(descriptor, 0)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    sys.stderr = _Log(sys.stderr.buffer, "utf-8", "backslashreplace", line_buffering=True)


class _Log(io.TextIOWrapper):
    """Cleans text for ``flusher.log``: it may quote foreign text, and is read on terminals."""

    def write(self, text: str) -> int:
        super().write(breakdown.for_log(text))
        return len(text)


def _be_a_good_neighbour() -> None:
    os.nice(_NICENESS)
    # If the kernel groups processes by session, niceness counts only within one: lower the whole session.
    with suppress(OSError), open("/proc/self/autogroup", "w") as autogroup:
        autogroup.write(str(_NICENESS))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS refuses "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
