"""A safety net below all work of a leader: an unexpected error affects only the step in which it happens.

The step concerns one record, which is set aside; one writer's directory, which is passed over for a while; or a task
for all writers, which is skipped in this scan. Each kind of error is logged once in ``flusher.log``. Exceptions: a
ledger that cannot be written, or a spool that is no longer ours, ends the lead (SpoolError).
"""

from __future__ import annotations

import os
import time
import traceback
from types import TracebackType
from typing import Optional

from lastword.descriptors import closing
from lastword.errors import SpoolError
from lastword.flusher import schedule
from lastword.interruption import failures, suppressed
from lastword.spool.layout import Layout, open_private, write_all

#: Most characters logged of one failure, and most failures logged.
_MOST_SAID = 4000
_MOST_KINDS = 50


class Net:
    """The recent failures of one leader."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._out: dict[str, float] = {}  # writer → when it is tried again, by the monotonic clock
        self._said: set[tuple[str, str]] = set()

    def below(self, what: str) -> _Below:
        """Return a context manager that catches an error and logs it as a failure of ``what``."""
        return _Below(self, what)

    def put_out(self, writer_id: str) -> None:
        """Pass this writer over for a while."""
        self._out[writer_id] = time.monotonic() + schedule.STUCK_WAIT

    def passed_over(self) -> set[str]:
        """Return the writers that are currently passed over."""
        now = time.monotonic()
        self._out = {writer_id: until for writer_id, until in self._out.items() if now < until}
        return set(self._out)

    def say(self, what: str, error: BaseException) -> None:
        """Log the error, unless this kind was logged before."""
        kind = (what, type(error).__name__)
        if kind in self._said or len(self._said) >= _MOST_KINDS:
            return
        self._said.add(kind)
        told = "".join(traceback.format_exception(type(error), error, error.__traceback__))[-_MOST_SAID:]
        text = f"{what} failed; all else goes on:\n{told}".encode("utf-8", "backslashreplace")
        appending = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with suppressed(OSError, SpoolError), closing(open_private(self._layout.flusher_log, appending)) as log:
            write_all(log, text)


class _Below:
    """One step. ``failed`` is the error that it failed with, or None."""

    def __init__(self, net: Net, what: str) -> None:
        self._net = net
        self._what = what
        self.failed: Optional[BaseException] = None

    def __enter__(self) -> _Below:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], _: Optional[TracebackType]
    ) -> bool:
        if kind is None or error is None or issubclass(kind, SpoolError) or not issubclass(kind, failures()):
            return False
        self.failed = error
        self._net.say(self._what, error)
        return True
