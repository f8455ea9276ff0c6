"""Where reports go: what the last ``initialize`` has set up."""

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
    """Reports have no local variables; their other threads are taken apart from this."""
    needs = Needs(message_stack=True, memory=True)
    return CaptureSettings(
        needs=needs,
        is_sensitive=_is_never_sensitive,
        local_variables=False,
        scrub_source=scrub_source,
        syntax_error_places=False,
    )


def _is_never_sensitive(name: str) -> bool:
    return False


class EndpointConfig(Config):
    """Options for an endpoint that is used as it is: it need not have the shape of a DSN."""

    submission_url = ""

    @property
    def destination(self) -> Destination:
        return self.destination_at(Dsn(wire="backtrace", url=self.submission_url, token=""))


class Handler:
    """Takes reports to the spool.

    Attributes:
        client: what records and sends them.
        tab_width, context_line_count, collect_source_code: as they were given to ``initialize``.
        exit_timeout: seconds that ``finalize`` waits at most.
        settings: how reports are taken.
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
        """Record the event that ``read`` makes; its id once it is safe on disk, else None. Raises nothing."""
        try:
            event_id = self.client.capture(None, lambda: _ORIGIN, read)
        except RecursionError:
            self.client.uncounted += 1
            event_id = None
        except failures() as trouble:
            self.client.recorder.refuse_for_defect(trouble)
            event_id = None
        if self._debug:
            say(f"the report {event_id} is safe in the spool" if event_id else _why_lost())
        return event_id

    def finish(self) -> None:
        """Give what is pending its time to arrive. What has not arrived by then stays in the spool."""
        self.client.wait_at_end(max(0.0, self.exit_timeout))
        diagnostics.tell()


class globs:  # noqa: N801
    """The state of this process, under the names by which programs and their tests reach for it."""

    next_except_hook: Optional[Callable[..., Any]] = None
    attachments: Any = []  # noqa: RUF012  of paths; programs append to it
    handler: Optional[Handler] = None
    endpoint: Optional[str] = None
    debug_backtrace = False


def say(text: str) -> None:
    """What ``debug_backtrace`` is for."""
    with suppressed(Exception):  # there may be no standard error, or anything in its place
        sys.stderr.write(f"backtracepython: {one_line(text, diagnostics.MOST_OF_NOTE)}\n")


def _why_lost() -> str:
    reasons = diagnostics.waiting()
    return f"a report was not kept: {reasons[-1]}" if reasons else "a report was not kept"
