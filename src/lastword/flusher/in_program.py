"""The flusher inside the program: in a thread of its own, or in the thread that calls ``flush``."""

from __future__ import annotations

import os
import traceback
from typing import Callable

from lastword import diagnostics
from lastword.descriptors import closing
from lastword.errors import SpoolError
from lastword.flusher import breakdown
from lastword.flusher.loop import Flusher
from lastword.flusher.succession import Succession, is_taken
from lastword.interruption import failures, suppressed
from lastword.spool.layout import Layout, open_private, write_all


def lead(layout: Layout, until: Callable[[], bool] = lambda: False) -> None:
    """Lead the spool, unless another flusher does, until there is nothing more to do, a newer version waits for the
    lead, or ``until()`` is true.

    Errors go to ``flusher.log``, because the program must not be disturbed. Raises only interruptions from outside,
    for example a time limit (see ``interruption``).
    """
    try:
        layout.check()
        if not is_taken(layout):
            succession = Succession(layout, survives_removal=True)
            Flusher(layout).run(lambda: until() or succession.must_leave())
    except failures():
        breakdown.report(layout, lambda: _log(layout))


def _log(layout: Layout) -> None:
    text = breakdown.for_log(traceback.format_exc())
    try:
        layout.check()
        descriptor = open_private(layout.flusher_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except failures(OSError, SpoolError) as error:
        diagnostics.note("spool", f"events are not sent: {error}")
        return
    with suppressed(OSError), closing(descriptor):
        write_all(descriptor, text.encode("utf-8", "backslashreplace"))
