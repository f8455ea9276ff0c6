"""Events that a client gets from hooks, without a call: uncaught exceptions, log records, warnings."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Optional

from lastword.admission.gate import IGNORED
from lastword.assembly import message_event
from lastword.capture.origin import MESSAGE
from lastword.client import Client
from lastword.event import Event, Level
from lastword.hooks import excepthooks, log_records, shown_warnings
from lastword.interruption import failures
from lastword.nesting import MAX_LOGGED, captures, leave
from lastword.scope import breadcrumbs, of_asyncio

if TYPE_CHECKING:
    from contextvars import Context
    from logging import LogRecord

ASYNCIO, LOGGING = "asyncio", "logging"

_WARNING, _ERROR = 30, 40  # of logging, which need not be loaded yet


def install(client: Client) -> None:
    """Install the hooks that the configuration of ``client`` asks for; they report to ``client`` and to no other."""
    import logging  # 15 ms if the program has not imported it, which ``import lastword`` must not cost

    listener = _Listener(client)
    breadcrumbs.watch_collections()
    excepthooks.install(listener.hear_uncaught)
    log_records.install(logging, listener.hear_log_record)
    if listener.keeps_breadcrumb(_WARNING):
        shown_warnings.install(listener.hear_warning)
    else:
        shown_warnings.uninstall()


def uninstall() -> None:
    """Remove all hooks."""
    excepthooks.uninstall()
    log_records.uninstall()
    breadcrumbs.unwatch_collections()
    shown_warnings.uninstall()


class _Listener:
    def __init__(self, client: Client) -> None:
        self._client = client
        levels = [client.config.log_events, client.config.log_breadcrumbs, _ERROR]
        self._lowest = min(level for level in levels if level is not None)

    def hear_uncaught(self, error: BaseException, traceback: Optional[TracebackType], mechanism: str) -> None:
        # An exception in a finalizer does not end the program.
        level: Level = "error" if mechanism == excepthooks.UNRAISABLE else "fatal"
        is_ctrl_c = mechanism == excepthooks.EXCEPTHOOK and issubclass(type(error), KeyboardInterrupt)
        if is_ctrl_c and not self._client.reports_ctrl_c:
            self._client.recorder.refuse(IGNORED)
            return
        self._client.report(error, traceback, mechanism, handled=False, level=level)

    def hear_warning(self, text: str, file: str, line: int) -> None:
        breadcrumbs.add_breadcrumb(text, category="warnings", level="warning", data={"file": file, "line": line})

    def hear_log_record(self, record: LogRecord) -> None:
        number: float = record.levelno
        if type(number) is not int:  # the program may have put anything there
            number = log_records.number_of(record)
        if number < self._lowest or not log_records.is_ours_to_hear(record):
            return
        elsewhere = self._context_of(record, number)
        if elsewhere is None:
            self._take(record, number)
        else:
            elsewhere.run(self._take, record, number)

    def _context_of(self, record: LogRecord, number: float) -> Optional[Context]:
        """Return the context of the task or callback that failed, if an event loop logs the failure elsewhere."""
        if number >= _ERROR and log_records.name_of(record) == ASYNCIO:
            return of_asyncio.context_of_asyncio()
        return of_asyncio.context_of_failure() if self._makes_event(record, number) else None

    @captures.counts
    def _take(self, record: LogRecord, number: float) -> None:
        self._client.begin()
        before, makes_event = captures.level, self._makes_event(record, number)
        try:
            keeps_breadcrumb = self.keeps_breadcrumb(number)
            if before >= MAX_LOGGED or not (keeps_breadcrumb or makes_event):
                return
            captures.level = before + 1
            text = log_records.text_of(record, self._client.settings.scrub_text)
            if keeps_breadcrumb:  # before the event, which shows the exception but not the logged text
                level, logger = log_records.level_of(record), log_records.name_of(record)
                breadcrumbs.add_breadcrumb(text, category=logger, level=level, type="log")
            if makes_event:
                self._capture(record, text)
        except failures() as trouble:
            if not makes_event:
                raise
            self._client.recorder.refuse_for_defect(trouble)
        except BaseException as interruption:
            if makes_event:
                self._client.count_interruption(interruption)
            raise
        finally:
            leave(before)

    def keeps_breadcrumb(self, level: float) -> bool:
        lowest = self._client.config.log_breadcrumbs
        return lowest is not None and level >= lowest

    def _makes_event(self, record: LogRecord, number: float) -> bool:
        lowest = self._client.config.log_events
        return (lowest is not None and number >= lowest) or _is_uncaught_in_asyncio(record)

    def _capture(self, record: LogRecord, text: str) -> None:
        # The text that asyncio logs about an exception is in the event only if log records become events.
        logged = log_records.Logged(record, text, with_content=self._client.config.log_events is not None)
        found = log_records.exception_of(record, text)
        if found is None:
            self._capture_text(record, text, logged)
        elif _is_uncaught_in_asyncio(record):
            self._client.report(*found, ASYNCIO, handled=False, level="error", logged=logged)
        else:
            self._client.report(*found, LOGGING, handled=True, level=log_records.level_of(record), logged=logged)

    def _capture_text(self, record: LogRecord, text: str, logged: log_records.Logged) -> None:
        client = self._client

        def read() -> Event:
            level = log_records.level_of(record)
            event = message_event(text, level=level, settings=client.settings, mechanism=LOGGING, stack=logged.stack)
            logged.add_to(event)
            return event

        try:
            client.capture(None, lambda: logged.origin(MESSAGE), read)
        except RecursionError:
            client.uncounted += 1
        except failures() as trouble:
            client.recorder.refuse_for_defect(trouble)


def _is_uncaught_in_asyncio(record: LogRecord) -> bool:
    """Return whether asyncio logs an uncaught exception, which is reported at any setting of log levels."""
    is_error = log_records.name_of(record) == ASYNCIO and log_records.number_of(record) >= _ERROR
    return is_error and log_records.has_exception(record)
