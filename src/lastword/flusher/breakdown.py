"""Handle the breakdown of a flusher, whether it runs as a process or as a thread."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from lastword.errors import SpoolError
from lastword.flusher import schedule
from lastword.foreign_text import printable, without_secrets
from lastword.interruption import suppressed
from lastword.spool import start
from lastword.spool.layout import Layout


def for_log(text: str) -> str:
    """Return a traceback made safe for ``flusher.log``: it may quote secrets or foreign text."""
    return printable(without_secrets(text))


def report(layout: Layout, log: Callable[[], None]) -> None:
    """Have ``log`` write down the exception being handled, and keep processes from starting a flusher at once.

    A removed spool needs no flusher, so nothing is logged. A spool that was replaced is not written to.
    """
    if os.path.lexists(layout.spool):
        log()
        with suppressed(OSError, SpoolError):
            layout.check()
            start.pause(layout, time.time() + schedule.PAUSE_AFTER_TROUBLE)
