"""What is done where a flusher breaks down, whichever way it runs."""

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
    """A traceback as it may stand in ``flusher.log``: it may quote anybody."""
    return printable(without_secrets(text))


def report(layout: Layout, log: Callable[[], None]) -> None:
    """Have ``log`` write down the exception that is being handled, and nobody start another flusher at once.

    A spool that was removed needs no flusher, so that is no trouble; one that was exchanged is not written to.
    """
    if os.path.lexists(layout.spool):
        log()
        with suppressed(OSError, SpoolError):
            layout.check()
            start.pause(layout, time.time() + schedule.PAUSE_AFTER_TROUBLE)
