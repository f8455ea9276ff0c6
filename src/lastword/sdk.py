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
from lastword.event import FLOOD_TAG, LEVELS, Event, Level, Origin
from lastword.launch import Launcher
from lastword.launch.mode import Choice, Mode, choose, observe
from lastword.launch.thread import Lead
from lastword.reporter import Reporter
from lastword.scrub import is_sensitive
from lastword.spool.layout import Layout
from lastword.spool.lock import holder
from lastword.wire.needs import NEEDS, NEEDS_OF_NONE

#: How often ``flush`` and the end of the process look whether everything is settled, in seconds.
_LOOK = 0.02

#: How long ``flush`` waits for a flusher that was started to lead before it sends by itself, in seconds.
_HELPER_PATIENCE = 10.0


class _Client:
    """Everything that one ``init`` decides."""

    def __init__(self, config: Config) -> None:
        destination = config.destination
        self.config = config
        self.gate = Gate(config)
        self.reporter = Reporter(config)
        self.earlier: list[Reporter] = []  # of earlier calls of init, with their writers
        self.launcher = Launcher(_load_flusher)
        self.choice: Choice = choose(config.flusher, observe(has_dsn=destination is not None))
        self.uncounted = 0  # captures for whose refusal there was no stack left
        self.settings = CaptureSettings(
            needs=NEEDS[destination.dsn.wire] if destination else NEEDS_OF_NONE,
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
        # Written first, probed then: a flusher that leaves in between looks once more after its unlock.
        if self.reporter.writer is not None:
            self.launcher.ensure_flusher(self.reporter.writer.layout, self.choice)
        return event_id

    @property
    def sends(self) -> bool:
        return self.choice.mode is not Mode.HOLD

    def ensure_flusher(self) -> bool:
        """Whether every spool that this process has written to has a flusher, or may have one in a moment."""
        served = [self.launcher.ensure_flusher(spool, self.choice) for spool in self.spools()]  # each of them
        return all(served)

    def reporters(self) -> list[Reporter]:
        """This one and those of earlier calls of init."""
        return [self.reporter, *self.earlier]

    def spools(self) -> list[Layout]:
        """Where this process has written to."""
        writers = [reporter.writer for reporter in self.reporters()]
        return list({writer.layout.spool: writer.layout for writer in writers if writer is not None}.values())

    def everything_is_settled(self) -> bool:
        return all(reporter.everything_is_settled() for reporter in self.reporters())

    def wait_at_exit(self) -> None:
        """Give what is pending the time to arrive, where it can."""
        deadline = time.monotonic() + self.config.shutdown_timeout
        while not self.everything_is_settled():
            if not self.ensure_flusher() or time.monotonic() >= deadline or not self.may_be_sent_soon(time.time()):
                break
            time.sleep(_LOOK)
        self.launcher.make_way()

    def may_be_sent_soon(self, now: float) -> bool:
        """Whether any of what is pending is for a tracker that is not known to be out of reach."""
        return any(
            not reporter.everything_is_settled() and not reporter.tracker_is_out_of_reach(now)
            for reporter in self.reporters()
        )

    def note_wrong_key(self, spool: Layout) -> None:
        """Have it said that the tracker wants nothing from us, which nobody else notices: every capture succeeds."""
        health = self.reporter.health(spool)
        if health is not None and health.misconfigured and self.config.destination is not None:
            place = self.config.destination.dsn.place
            diagnostics.note(
                "misconfigured",
                f"events are kept in the spool and not delivered: the DSN for {place} seems to be wrong "
                f"({health.last_error}). See `lastword status`.",
            )

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
    began = time.monotonic()
    patience = min(_HELPER_PATIENCE, timeout / 2) if client.choice.mode is Mode.PROCESS else timeout
    while not client.everything_is_settled():
        waited = time.monotonic() - began
        if waited >= timeout or not client.sends:
            return False
        if client.ensure_flusher() and waited < patience:
            time.sleep(min(_LOOK, timeout - waited))
        else:
            _drain(client, began + timeout)
    return True


def _drain(client: _Client, deadline: float) -> None:
    """Send from the calling thread, unless somebody leads: then give it a moment."""
    unled = [spool for spool in client.spools() if _nobody_leads(spool)]
    try:
        lead = _load_flusher() if unled else None
    except Exception as error:  # no requests, for one
        diagnostics.note("start", f"nothing sends events (they stay in the spool): {error!r}")
        lead = None
    if lead is not None:
        for spool in unled:
            lead(spool, until=lambda: time.monotonic() >= deadline or client.everything_is_settled())
    time.sleep(max(min(_LOOK, deadline - time.monotonic()), 0.0))


def _nobody_leads(spool: Layout) -> bool:
    try:
        return holder(spool.flusher_lock) is None
    except OSError:
        return False


def _load_flusher() -> Lead:
    from lastword.flusher.in_program import lead

    return lead


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
    client = _client
    if client is None:
        return
    try:
        client.wait_at_exit()
    except KeyboardInterrupt:
        pass  # what is pending stays in the spool, and whoever is in a hurry need not be told so by a traceback
    client.tell()
