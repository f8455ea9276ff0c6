"""The public calls, and the only process-wide state: what ``init`` set up."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Optional

from lastword import diagnostics
from lastword.capture import context, exception_event, message_event, uncaught
from lastword.capture.origin import origin_of_exception, origin_of_message
from lastword.client import Client
from lastword.config import Config
from lastword.event import LEVELS, Event, Level, Origin
from lastword.launch.mode import Mode

_client: Optional[Client] = None
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
    client = Client(Config.load({"dsn": dsn, **options}))
    if _client is not None:
        client.take_over(_client)
    _client = client
    uncaught.install(_capture_uncaught)
    _register_at_exit()
    if client.choice.remark:
        diagnostics.note("mode", client.choice.remark)
    spool = client.reporter.find_spool()
    if client.sends and spool is not None:
        client.note_wrong_key(spool)
        # A thread is started only by who has something to say: this may be a server that is about to fork its workers.
        if client.choice.mode is Mode.PROCESS and spool.has_writers():
            client.launcher.ensure_flusher(spool, client.choice)
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

    Where nobody leads and nobody comes to (``flusher="external"`` or no process can be started, for example), it is
    sent from here, in the calling thread; that imports requests.

    True when it is: delivered, set aside or dropped. False at once where nothing is sent: before ``init``, without a
    DSN, with ``flusher="hold"``. What is not settled by then stays in the spool and is sent all the same.
    """
    client = _client
    if client is None:
        return False
    client.tell()
    return client.flush(timeout)


def _capture_uncaught(error: BaseException, traceback: Optional[TracebackType], mechanism: str) -> None:
    client = _client
    if client is not None:
        _capture_error(client, error, traceback, mechanism, handled=False)


def _capture_error(
    client: Client, error: BaseException, traceback: Optional[TracebackType], mechanism: str, *, handled: bool
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
    client = _client
    if client is None:
        return
    try:
        client.wait_at_exit()
    except KeyboardInterrupt:
        pass  # what is pending stays in the spool, and whoever is in a hurry need not be told so by a traceback
    client.tell()
