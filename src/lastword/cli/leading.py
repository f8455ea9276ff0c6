"""Lead from the command line: the flusher runs in a thread, so the main thread can watch it and handle signals."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Optional

from lastword.errors import SpoolError
from lastword.flusher.schedule import DRAIN_AT_TERM
from lastword.flusher.succession import Succession, is_taken
from lastword.spool import start
from lastword.spool.layout import Layout


class Leading:
    """A flusher in a thread of this process, started at once.

    It ends by itself if another flusher already leads, or if one of a newer version waits to lead.
    """

    def __init__(self, layout: Layout, *, stays: bool = False, succession: Optional[Succession] = None) -> None:
        # Imported here so that only a command that leads pays for importing `requests`.
        from lastword.flusher.loop import Flusher

        self._layout = layout
        self._succession = succession or Succession(layout, survives_removal=True)
        self._flusher = Flusher(layout, stays=stays)
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lastword-flusher")
        self._run = pool.submit(self._flusher.run, self._succession.must_leave)
        pool.shutdown(wait=False)

    def has_left(self, within: float) -> bool:
        """Wait at most ``within`` seconds for its end; return whether it ended. Raises its SpoolError or OSError."""
        ended = bool(wait([self._run], timeout=within).done)
        if ended:
            self._run.result()
        return ended

    def stop(self) -> None:
        """Ask it to finish the running requests, within seconds, and leave."""
        self._flusher.stop()

    def end(self, within: float) -> None:
        """Make it leave ``within`` seconds and wait for that; the next flusher may lead at once.

        Raises SpoolError or OSError.
        """
        self._flusher.stop(within)
        self._run.result()
        start.clear_failures(self._layout)


class StandIn:
    """Lead while no other process does, for the length of a ``with`` block.

    At the end of the block it finishes the running requests, but not beyond ``deadline`` (monotonic clock).
    """

    def __init__(self, layout: Layout, deadline: float = math.inf) -> None:
        self._layout = layout
        self._deadline = deadline
        self._leading: Optional[Leading] = None

    def __enter__(self) -> StandIn:
        return self

    def __exit__(self, *_: object) -> None:
        if self._leading is not None:
            with _spool_errors():
                self._leading.end(min(max(self._deadline - time.monotonic(), 0.0), DRAIN_AT_TERM))

    def lead_if_needed(self) -> None:
        """Start leading if no process leads any more; the caller repeats this call. Raises SpoolError."""
        with _spool_errors():
            if self._leading is None and not is_taken(self._layout):
                self._leading = Leading(self._layout)
            elif self._leading is not None and self._leading.has_left(0.0):
                self._leading = None


@contextmanager
def _spool_errors() -> Iterator[None]:
    """Turn an OSError (for instance, a lock that is not a regular file) into a SpoolError."""
    try:
        yield
    except OSError as error:
        raise SpoolError(f"this spool cannot be led: {error}") from None
