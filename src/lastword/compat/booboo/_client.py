"""The client that ``init`` makes; programs may also make one themselves."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Optional

from lastword import diagnostics, integrations, sdk
from lastword.assembly import message_event
from lastword.capture.json_copy import text_of
from lastword.capture.origin import origin_of_message
from lastword.capture.safe_text import describe
from lastword.compat.booboo import _scrubber, _warnings
from lastword.compat.booboo._dsn import DEFAULT_ENDPOINT, parse_dsn
from lastword.compat.booboo._reporting import ReportingClient, config_for
from lastword.compat.booboo._user import ProcessUser
from lastword.event import Event
from lastword.integrations.reporting import REQUEST_CONTEXT, Failure, request_of
from lastword.interruption import failures
from lastword.scope import context

__all__ = ["DEFAULT_ENDPOINT", "VERSION", "BoobooClient"]

#: The version of booboo-sdk that this replaces.
VERSION = "0.16.0"

#: The longest level, in characters.
MAX_LEVEL = 200

_HANDSHAKE = b'{"handshake": true, "sdk": "python/%b"}' % VERSION.encode("ascii")


class BoobooClient:
    """Reports to one project; see ``booboo.init`` for the arguments.

    The constructor installs no hooks; ``install`` does.

    Attributes:
        dsn: the token alone; None if None was given.
        endpoint: the URL to post to.
        environment, release, ignore_errors, before_send, debug: as given; but a release of None becomes the value of
            BOOBOO_RELEASE or "", and ignore_errors a tuple.
        is_reset: returns whether exceptions from frameworks are to be ignored.
    """

    def __init__(
        self,
        dsn: Any,
        environment: str = "",
        release: Optional[str] = None,
        ignore_errors: Optional[Iterable[Any]] = None,
        endpoint: Optional[str] = None,
        before_send: Optional[Callable[[dict[str, Any]], Optional[dict[str, Any]]]] = None,
        debug: bool = False,
    ) -> None:
        address = parse_dsn(dsn, endpoint)
        self.dsn = None if dsn is None else address.token
        self.endpoint = address.endpoint
        self.environment = environment
        self.release = os.environ.get("BOOBOO_RELEASE", "") if release is None else release
        self.ignore_errors = tuple(ignore_errors or ())
        self.before_send = before_send
        self.debug = bool(debug) or os.environ.get("BOOBOO_DEBUG") in ("1", "true", "yes")
        self._warnings = _warnings.Warnings(every_time=self.debug)
        self.is_reset: Callable[[], bool] = bool
        self._user = ProcessUser()
        config = config_for(
            address, str(environment or ""), str(self.release or ""), _exception_classes(self.ignore_errors), self.debug
        )
        self._reporting = ReportingClient(config, before_send, self._warnings, self._user)
        if self.debug:
            _warnings.begin_debugging()
        if not address.token:
            self._warnings.note("no-dsn", "no DSN configured, nothing is sent: events stay in the spool (lastword ls)")

    def install(self, app: Any = None) -> None:
        """Report uncaught exceptions and those in frameworks; ``app`` is not needed. Sends one handshake."""
        sdk.start(self._reporting)
        if os.environ.get("BOOBOO_HANDSHAKE") not in ("0", "false", "no"):
            self._reporting.shake_hands(_HANDSHAKE)
        integrations.install(self._report_failure)
        if self.debug:
            self._warnings.detail(f"initialised (endpoint={self.endpoint}, environment={self.environment})")
        self._reporting.tell()

    def capture_exception(self, exc: Optional[BaseException] = None) -> None:
        """Report ``exc``, or the exception being handled. Never raises."""
        self._capture(exc)

    def capture_message(self, message: str, level: str = "info") -> None:
        """Report a message. Never raises."""
        reporting = self._reporting

        def read() -> Event:
            event = message_event(message, level="info", settings=reporting.settings)
            event["level"] = text_of(level, MAX_LEVEL)  # type: ignore[typeddict-item]
            return event

        self._guarded(lambda: reporting.capture(None, origin_of_message, read))

    def set_user(self, user_data: Optional[dict[str, Any]]) -> None:
        """Set the user of the program (see ``booboo.set_user``); None clears it. Never raises."""
        self._user.set(user_data)
        self._reporting.tell()

    def _capture(self, exc: Any) -> None:
        def capture() -> None:
            error = sys.exc_info()[1] if exc is None else exc
            if error is not None and issubclass(type(error), BaseException):
                self._reporting.capture_error(error, None, "capture_exception", handled=True)

        self._guarded(capture)

    def _guarded(self, capture: Callable[[], object]) -> None:
        """Call ``capture``, then log the waiting warnings; if anything fails, count the event as refused."""
        reporting = self._reporting
        try:
            capture()
            reporting.tell()
        except RecursionError:
            reporting.uncounted += 1
        except failures() as trouble:
            reporting.recorder.refuse_for_defect(trouble)

    def _capture_and_send(
        self,
        exc: BaseException,
        request_data: Optional[Mapping[str, Any]] = None,
        user_data: Optional[Mapping[str, Any]] = None,
    ) -> None:
        """Report ``exc`` with a request and a user given by the caller."""
        with context.new_scope():
            self._set_around(request_data, user_data)
            self._capture(exc)

    def _report_failure(self, failure: Failure) -> None:
        """Report an exception from a framework. Logs no warnings here, because the framework may be logging."""
        if self.is_reset():
            return
        with context.new_scope():
            request = request_of(failure)
            if request is not None:
                request = _scrubber.scrub_request(request)
                self._set_around(request.as_context(), request.user)
            self._reporting.report(failure.error, failure.traceback, failure.mechanism, handled=False, level="error")

    def _set_around(self, request_data: Optional[Mapping[str, Any]], user_data: Optional[Mapping[str, Any]]) -> None:
        try:
            if request_data:
                context.set_context(REQUEST_CONTEXT, request_data)
            if user_data:
                known = context.current().user
                known = self._user.get() if known is None else known
                context.set_user({**(known or {}), **user_data})
        except failures() as trouble:
            diagnostics.note("request", f"an event was reported without its request: {describe(trouble)}")

    def _flush(self) -> None:
        """Wait at most 5 s for captured events to arrive, as the end of the process does."""
        self._reporting.wait_at_end(self._reporting.config.shutdown_timeout)


def __getattr__(name: str) -> Any:
    """Provide ``logger`` for code that imports it from here; only then is logging imported."""
    if name == "logger":
        return _warnings.logger()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _exception_classes(ignored: Iterable[Any]) -> tuple[type[BaseException], ...]:
    """Return the exception classes in ``ignored``, also those in nested tuples; skip everything else."""
    classes: list[type[BaseException]] = []
    for one in ignored:
        if isinstance(one, tuple):
            classes += _exception_classes(one)
        elif isinstance(one, type) and issubclass(one, BaseException):
            classes.append(one)
    return tuple(classes)
