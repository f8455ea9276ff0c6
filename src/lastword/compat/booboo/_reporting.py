"""A client that reports as booboo-sdk does: its variables, its event for ``before_send``, its warnings."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import Any, Optional, cast

from lastword import diagnostics
from lastword.admission import BeforeSend
from lastword.capture import CaptureSettings
from lastword.capture.json_copy import error_text
from lastword.client import Client
from lastword.compat.booboo import _scrubber
from lastword.compat.booboo._dsn import Address
from lastword.compat.booboo._user import ProcessUser
from lastword.compat.booboo._warnings import Warnings
from lastword.config import Config
from lastword.dsn import Destination, Dsn
from lastword.errors import RecordRefused
from lastword.event import Event, new_id
from lastword.event_json import own_copy
from lastword.interruption import failures, suppressed
from lastword.launch.mode import Mode
from lastword.wire import NEEDS
from lastword.wire.booboo_payload import payload
from lastword.wire.json_text import encode

WIRE, JSON = "booboo", "application/json"

#: Seconds that the tracker has to answer, and seconds that the end of a process waits.
TIMEOUT = SHUTDOWN_TIMEOUT = 5.0

#: Seconds between two checks of the ledger for failures to send.
CHECK_INTERVAL = 1.0

_DOCUMENTED_LEVELS = ("error", "warning", "info")

#: Environment variables that are ignored, because the arguments of ``init`` decide.
_NOT_FROM_ENVIRONMENT = ("LASTWORD_DSN", "LASTWORD_IGNORE_ERRORS", "LASTWORD_REPR_OF")

_STATUS = re.compile("HTTP ([0-9]{3})")


class BoobooConfig(Config):
    """lastword's options for behaving as booboo-sdk does.

    Attributes:
        address: where to send, because a DSN of lastword cannot name a whole URL; a token of "" means do not send.
    """

    address: Address

    @property
    def destination(self) -> Optional[Destination]:
        address = getattr(self, "address", Address("", ""))
        return self.destination_at(Dsn(WIRE, address.endpoint, address.token)) if address.token else None


def config_for(
    address: Address, environment: str, release: str, ignored: tuple[type[BaseException], ...], debug: bool
) -> BoobooConfig:
    """Return the options. Raises ConfigError if an environment variable has an unusable value."""
    options = {
        "environment": environment,
        "release": release,
        "ignore_errors": ignored,
        "debug": debug,
        "timeout": TIMEOUT,
        "shutdown_timeout": SHUTDOWN_TIMEOUT,
        "flood_burst": 0,
        "sample_rate": 1.0,
        "log_events": "off",
        "log_breadcrumbs": "off",
        "scrub": "off",  # variables and requests have their own rules; booboo-sdk never scrubs texts
    }
    environ = {name: value for name, value in os.environ.items() if name not in _NOT_FROM_ENVIRONMENT}
    config = cast("BoobooConfig", BoobooConfig.load(options, environ))
    config.address = address
    return config


class ReportingClient(Client):
    """The client of one ``BoobooClient``."""

    reports_ctrl_c = True

    def __init__(
        self,
        config: BoobooConfig,
        before_send: Optional[Callable[[Any], Any]],
        warnings: Warnings,
        process_user: ProcessUser,
    ) -> None:
        super().__init__(config)
        self.address = config.address
        self.settings = CaptureSettings(
            needs=NEEDS[WIRE],
            is_sensitive=_scrubber.is_sensitive,
            plain_reprs=True,
            syntax_error_places=False,
            environment=config.environment,
            release=config.release or "",
            all_threads=config.all_threads,
        )
        self._hook = None if before_send is None else BeforeSend(before_send)
        self._warnings = warnings
        self._process_user = process_user
        self._checked_at = 0.0
        self._last_error_at = time.time()

    def keep(self, event: Event) -> Optional[str]:
        """Record the event in lastword's own form, or rendered for the tracker if a hook or a level requires it."""
        if event["user"] is None:
            event["user"] = self._process_user.get()
        if self._hook is None and (event["message"] is None or event["level"] in _DOCUMENTED_LEVELS):
            return self._with_note(self.recorder.record(event))
        return self._keep_rendered(event)

    def _with_note(self, event_id: Optional[str]) -> Optional[str]:
        """Return ``event_id``, and have it logged whether the event was recorded."""
        if event_id is None:
            self._warnings.note("enqueue", "could not queue event: " + "; ".join(diagnostics.waiting()[-1:]))
        else:
            self._warnings.detail(f"event {event_id} is safe in the spool")
        return event_id

    def _keep_rendered(self, event: Event) -> Optional[str]:
        last_words = event["level"] == "fatal" and not event["handled"]
        try:
            body = self._body(event)
        except failures() as error:  # must not reach the application
            self.recorder.refuse_for_defect(error)
            return None
        if body is None:
            self.recorder.refuse("before_send")
            return None
        return self._with_note(self.recorder.record_rendered(event["id"], WIRE, body, JSON, last_words=last_words))

    def _body(self, event: Event) -> Optional[bytes]:
        """Return the body to send; None, with a text for the log, if the hook dropped the event or anything failed."""
        body: Any = payload(own_copy(event))
        if event["message"] is not None:
            body["level"] = event["level"]
        if self._hook is not None:
            try:
                body = self._hook.call(body)
            except RecordRefused as refusal:
                self._warnings.note("before-send", f"event dropped, {refusal}")
                return None
            if body is None:
                self._warnings.detail("event dropped by before_send")
                return None
        try:
            return encode(body)
        except failures() as error:
            self._warnings.note("serialise", f"could not serialise event: {error_text(error)}")
            return None

    def shake_hands(self, body: bytes) -> None:
        """Record a handshake for the tracker, unless this spool already knows the tracker."""
        if self.config.destination is not None and not self._is_known():
            self.recorder.record_rendered(new_id(), WIRE, body, JSON)
            # A handshake alone starts no flusher thread: this may be a server that is about to fork its workers.
            if self.recorder.writer is not None and self.pending.choice.mode is Mode.PROCESS:
                self.pending.ensure_flusher()

    def _is_known(self) -> bool:
        spool, destination = self.recorder.find_spool(), self.config.destination
        return spool is not None and destination is not None and os.path.exists(spool.destination(destination.key))

    def wait_at_end(self, timeout: float) -> None:
        super().wait_at_end(timeout)
        self._checked_at = 0.0
        self.tell()

    def tell(self) -> None:
        """Log the waiting warnings, about captures and about sending."""
        with suppressed(Exception):  # an unreadable spool gives no warnings
            if time.monotonic() - self._checked_at >= CHECK_INTERVAL:
                self._checked_at = time.monotonic()
                self._check_delivery()
        self._warnings.tell()

    def _check_delivery(self) -> None:
        writer = self.recorder.writer
        health = self.recorder.health(writer.layout) if writer is not None else None
        if health is None or health.last_error_at <= self._last_error_at:
            return
        self._last_error_at = health.last_error_at
        status = _STATUS.match(health.last_error)
        endpoint = self.address.endpoint
        if status:
            self._warnings.note(f"http-{status[1]}", f"event rejected by {endpoint}: {health.last_error}")
        else:
            self._warnings.note("transport", f"could not reach {endpoint}: {health.last_error}")
