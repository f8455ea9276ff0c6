"""The handler set up by the last ``initialize``: it records reports."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, Optional

from lastword import diagnostics
from lastword.capture.settings import CaptureSettings
from lastword.client import Client
from lastword.config import Config
from lastword.dsn import Destination, Dsn
from lastword.event import Event, Needs, Origin
from lastword.foreign_text import one_line
from lastword.interruption import failures, suppressed

_ORIGIN = Origin("report", "", 0)


def capture_settings(scrub_source: Callable[[Sequence[str]], list[str]] = list) -> CaptureSettings:
    """Return the settings of reports: no local variables; other threads are captured separately."""
    return CaptureSettings(
        needs=Needs(message_stack=True, memory=True),
        is_sensitive=lambda name: False,
        local_variables=False,
        scrub_source=scrub_source,
        syntax_error_places=False,
    )


class EndpointConfig(Config):
    """Options for an endpoint URL that is used unchanged and need not fit a DSN."""

    submission_url = ""

    @property
    def destination(self) -> Destination:
        return self.destination_at(Dsn(wire="backtrace", url=self.submission_url, token=""))


class Handler:
    """Records reports in the spool.

    Attributes:
        client: the client that records and sends them.
        tab_width, context_line_count, collect_source_code: as given to ``initialize``.
        exit_timeout: the most seconds that ``finalize`` waits.
        settings: the settings for capturing reports.
    """

    def __init__(
        self,
        client: Client,
        *,
        tab_width: Any,
        context_line_count: int,
        collect_source_code: bool,
        exit_timeout: float,
        debug: bool,
    ) -> None:
        self.client = client
        self.tab_width = tab_width
        self.context_line_count = context_line_count
        self.collect_source_code = collect_source_code
        self.exit_timeout = exit_timeout
        self.settings = capture_settings(client.recorder.rules.scrub_source)
        self._debug = debug

    def keep(self, read: Callable[[], Event]) -> Optional[str]:
        """Record the event that ``read`` makes; return its id once it is safe on disk, else None. Raises nothing."""
        try:
            event_id = self.client.capture(None, lambda: _ORIGIN, read)
        except RecursionError:
            self.client.uncounted += 1
            event_id = None
        except failures() as trouble:
            self.client.recorder.refuse_for_defect(trouble)
            event_id = None
        if self._debug:
            print_debug(f"the report {event_id} is safe in the spool" if event_id else _why_lost())
        return event_id

    def finish(self) -> None:
        """Wait at most ``exit_timeout`` seconds for pending reports to arrive; the others stay in the spool."""
        self.client.wait_at_end(max(0.0, self.exit_timeout))
        diagnostics.tell()


class globs:  # noqa: N801
    """The state of this process, under the names that programs and their tests use."""

    next_except_hook: Optional[Callable[..., Any]] = None
    attachments: Any = []  # noqa: RUF012  a list of paths; programs append to it
    handler: Optional[Handler] = None
    endpoint: Optional[str] = None
    debug_backtrace = False


def print_debug(text: str) -> None:
    """Write ``text`` to standard error, for ``debug_backtrace``."""
    with suppressed(Exception):  # standard error may be missing or replaced
        sys.stderr.write(f"backtracepython: {one_line(text, diagnostics.MOST_OF_NOTE)}\n")


def _why_lost() -> str:
    reasons = diagnostics.waiting()
    return f"a report was not kept: {reasons[-1]}" if reasons else "a report was not kept"
