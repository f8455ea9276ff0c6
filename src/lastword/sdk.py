"""The public calls, and the only process-wide state: what ``init`` set up."""

from __future__ import annotations

import atexit
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Optional

from lastword import diagnostics
from lastword.admission import Gate
from lastword.capture import CaptureSettings, context, exception_event, message_event, uncaught
from lastword.capture.origin import origin_of_exception, origin_of_message
from lastword.config import Config
from lastword.event import FLOOD_TAG, LEVELS, Event, Level, Needs, Origin
from lastword.launch import Launcher
from lastword.reporter import Reporter
from lastword.scrub import is_sensitive
from lastword.wire import FORMATS

#: How often ``flush`` looks whether everything is settled, in seconds.
_FLUSH_LOOK = 0.02


class _Client:
    """Everything that one ``init`` decides."""

    def __init__(self, config: Config) -> None:
        destination = config.destination
        self.config = config
        self.gate = Gate(config)
        self.reporter = Reporter(config)
        self.earlier: list[Reporter] = []  # of earlier calls of init, with their writers
        self.launcher = Launcher()
        self.uncounted = 0  # captures for whose refusal there was no stack left
        self.sends = destination is not None and config.flusher != "hold"
        self.settings = CaptureSettings(
            needs=FORMATS[destination.dsn.wire].NEEDS if destination else Needs(message_stack=True),
            is_sensitive=is_sensitive,
            environment=config.environment,
            release=config.release,
        )

    def take_over(self, previous: _Client) -> None:
        """Go on with what ``previous`` began; a writer has one destination, so a new one gets a new writer."""
        if previous.config.destination == self.config.destination and previous.config.spool == self.config.spool:
            self.reporter.go_on_with_writers_of(previous.reporter)
            self.earlier = previous.earlier
        else:
            self.earlier = [*previous.earlier, previous.reporter]
        self.gate.floods = previous.gate.floods
        self.launcher = previous.launcher

    def capture(
        self, error: Optional[BaseException], locate: Callable[[], Origin], read: Callable[[], Event]
    ) -> Optional[str]:
        """Read and record an event, if it is admitted; its id, or None. ``error`` is None for a message.

        Whether it is admitted is decided by what costs little to know, before anything is read. Raises only where the
        stack is full, so that nothing more could be called.
        """
        try:
            while self.uncounted:
                self.reporter.refuse_for_full_stack()
                self.uncounted -= 1
            decision = self.gate.decide(error, locate(), time.time())
            if decision.refused:
                self.reporter.refuse(decision.refused, decision.remark)
                return None
            event = read()
            if decision.left_out:
                event["tags"][FLOOD_TAG] = decision.left_out
        except Exception as trouble:  # whatever it is, it is not the application's
            self.reporter.refuse_for_defect(trouble)
            return None
        event_id = self.reporter.record(event)
        self.ensure_flusher()
        return event_id

    def ensure_flusher(self) -> None:
        """Written first, probed then: a flusher that leaves in between looks once more after its unlock."""
        writer = self.reporter.writer
        if self.sends and writer is not None:
            self.launcher.ensure_flusher(writer.layout)

    def everything_is_settled(self) -> bool:
        return all(reporter.everything_is_settled() for reporter in (self.reporter, *self.earlier))

    def tell(self) -> None:
        diagnostics.tell(interval=0.0 if self.config.debug else diagnostics.TELL_INTERVAL)


_client: Optional[_Client] = None
_atexit_registered = False


def init(dsn: Optional[str] = None, **options: Any) -> None:
    """Set lastword up; the last call counts.

    Makes no file, thread, process or connection; only where the spool already holds something may it start a flusher.
    From here on exceptions that nobody catches are reported, in the main thread and in others.

    Args:
        dsn: where events go (see ``config.Dsn``); without one, and without ``LASTWORD_DSN``, they stay in the spool.
        options: the fields of ``config.Config``; each that a text can say can be set by ``LASTWORD_<OPTION>`` instead.

    Raises:
        ConfigError: an option is unknown, or a value cannot be used; what was set up before stays.
    """
    global _client
    client = _Client(Config.load({"dsn": dsn, **options}))
    if _client is not None:
        client.take_over(_client)
    _client = client
    uncaught.install(_capture_uncaught)
    _register_at_exit()
    spool = client.reporter.find_spool()
    if client.sends and spool is not None and spool.has_writers():
        client.launcher.ensure_flusher(spool)
    client.tell()


def capture_exception(error: Optional[BaseException] = None) -> Optional[str]:
    """Report an exception: ``error``, or the one that is being handled.

    Returns the event id (32 hex digits) once the event is safe on disk; None before ``init``, without an exception, and
    when the event was refused, which is counted (``lastword status``). Never raises.
    """
    client = _client
    if client is None:
        return None
    try:
        if error is None:
            error = sys.exc_info()[1]
        # Not isinstance, which asks the object.
        if error is None or not issubclass(type(error), BaseException):
            return None
        return _capture_error(client, error, None, "capture_exception", handled=True)
    except Exception:
        client.uncounted += 1
        return None


def capture_message(message: str, level: Level = "info") -> Optional[str]:
    """Report a message; ``level`` is one of fatal, error, warning, info, debug (any other counts as info).

    Returns as ``capture_exception`` does. Never raises.
    """
    client = _client
    if client is None:
        return None

    def read() -> Event:
        known_level: Level = level if level in LEVELS else "info"
        return message_event(message, level=known_level, settings=client.settings)

    try:
        return client.capture(None, origin_of_message, read)
    except Exception:
        client.uncounted += 1
        return None


def set_user(user: Optional[Mapping[str, Any]]) -> None:
    """Say who is using the program, such as ``{"id": "42"}``, for the events of this thread or task; None forgets."""
    if _client is not None:
        context.set_user(user)
        _client.tell()


def set_tag(key: str, value: object) -> None:
    """Mark the events of this thread or task with ``key`` = ``str(value)``."""
    if _client is not None:
        context.set_tag(key, value)
        _client.tell()


def flush(timeout: float = 2.0) -> bool:
    """Wait until everything that this process captured is settled, at most ``timeout`` seconds.

    True when it is: delivered, set aside or dropped. False at once where nothing is sent: before ``init``, without a
    DSN, with ``flusher="hold"``. What is not settled by then stays in the spool and is sent all the same.
    """
    client = _client
    if client is None:
        return False
    client.tell()
    deadline = time.monotonic() + timeout
    while not client.everything_is_settled():
        left = deadline - time.monotonic()
        if left <= 0 or not client.sends:
            return False
        client.ensure_flusher()
        time.sleep(min(_FLUSH_LOOK, left))
    return True


def _capture_uncaught(error: BaseException, traceback: Optional[TracebackType], mechanism: str) -> None:
    client = _client
    if client is not None:
        _capture_error(client, error, traceback, mechanism, handled=False)


def _capture_error(
    client: _Client, error: BaseException, traceback: Optional[TracebackType], mechanism: str, *, handled: bool
) -> Optional[str]:
    """``traceback`` is None where it is the exception's own."""

    def locate() -> Origin:
        return origin_of_exception(error, traceback)

    def read() -> Event:
        return exception_event(
            error, traceback=traceback, handled=handled, mechanism=mechanism, settings=client.settings
        )

    return client.capture(error, locate, read)


def _register_at_exit() -> None:
    global _atexit_registered
    if not _atexit_registered:
        atexit.register(_at_exit)
        _atexit_registered = True


def _at_exit() -> None:
    """Somebody must lead when this process is gone. A forked child that runs this has its own writer, or none."""
    if _client is not None:
        if not _client.everything_is_settled():
            _client.ensure_flusher()
        _client.tell()
