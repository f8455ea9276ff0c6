"""The flusher as a process of its own: its log, its signals, its way out."""

from __future__ import annotations

import os
import resource
import signal
import traceback
from types import FrameType
from typing import TYPE_CHECKING, Optional

from lastword.flusher import breakdown
from lastword.flusher.succession import Succession
from lastword.spool import start
from lastword.spool.layout import Layout, open_private

if TYPE_CHECKING:
    from lastword.flusher.loop import Flusher

_MAX_LOG = 256 << 10
_NICENESS = 5


def run_detached(spool: str, coming: Optional[int] = None) -> None:
    """Lead the spool at ``spool`` until there is nothing more to do. Troubles go to ``flusher.log``. Never raises.

    ``coming`` is the descriptor by which this process holds ``helper.lock``; it is closed once this process leads.
    """
    layout = Layout(spool)
    try:
        layout.check()  # before anything is written there: what was a spool of ours when we were started may be a trap
        _send_errors_to(layout.flusher_log)
        _be_a_good_neighbour()
        succession = Succession(layout, coming)
        if not succession.may_try():
            start.clear_failures(layout)
            return
        flusher = _load_flusher(layout)
        if flusher is None:
            return

        def stop(_number: int, _frame: Optional[FrameType]) -> None:
            flusher.stop()

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, stop)
        flusher.run(succession.must_leave)
        while succession.wait():
            flusher.run(succession.must_leave)
    except Exception:
        breakdown.report(layout, traceback.print_exc)


def _load_flusher(layout: Layout) -> Optional[Flusher]:
    """Only a process that will probably lead pays for this import: requests alone takes 80 ms.

    Where it fails, the start has failed, which whoever made it has written down; several of these make a program send
    by a thread of its own, which may have ways to import that we do not have here.
    """
    try:
        from lastword.flusher.loop import Flusher
    except Exception:
        traceback.print_exc()
        return None
    return Flusher(layout)


def _send_errors_to(path: str) -> None:
    try:
        descriptor = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except OSError:  # no room, or no file: what there is to send is sent all the same
        return
    if os.fstat(descriptor).st_size > _MAX_LOG:
        os.ftruncate(descriptor, 0)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _be_a_good_neighbour() -> None:
    os.nice(_NICENESS)
    try:  # where the kernel shares its time among sessions, niceness counts only within one: ours steps back as a whole
        with open("/proc/self/autogroup", "w") as autogroup:
            autogroup.write(str(_NICENESS))
    except OSError:
        pass  # no such sharing here
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError):
        pass  # macOS refuses "unlimited"
