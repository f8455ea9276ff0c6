"""Test the way to a tracker: send one request without a token to its address or, if asked to, a test event."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Optional
from urllib.parse import urlsplit

from lastword.assembly import message_event
from lastword.audit.findings import Finding
from lastword.capture import CaptureSettings
from lastword.dsn import Destination
from lastword.errors import SendError, WhereItFailed
from lastword.scrub import is_sensitive
from lastword.wire import NEEDS
from lastword.wire.format import Blame, Delivered, History, HttpReply, HttpRequest, Misconfigured, Refused
from lastword.wire.formats import FORMATS

#: Seconds for one whole test; a destination's shorter timeout takes precedence.
PATIENCE = 10.0

#: Seconds by which clocks may differ; beyond that, certificates, ages and event times go wrong.
CLOCK_DIFFERENCE = 300.0

_REMEDIES: dict[WhereItFailed, str] = {
    "name": "check the host in the DSN, and how this machine resolves names (/etc/resolv.conf)",
    "proxy": "check the option `proxy`, HTTPS_PROXY and HTTP_PROXY, or add the tracker's host to NO_PROXY",
    "tls": "set the option `ca_bundle` (or REQUESTS_CA_BUNDLE) to the file of the missing CA, and check the clock",
    "network": "check that the tracker runs, and that firewalls let this machine connect to it",
}


def check_tracker(destination: Destination, *, send: bool) -> Iterator[Finding]:
    """Yield findings on the way to ``destination``; with ``send``, from a test event that bypasses the spool."""
    # Imports requests: 80 ms that only `lastword doctor` pays.
    from lastword.transport.http_sender import HttpSender

    patience = min(destination.timeout, PATIENCE)
    name = destination.dsn.place
    request = _test_event(destination) if send else _plain_request(destination)
    try:
        with HttpSender() as sender:
            reply = sender.send(request, destination.with_options(timeout=patience))
    except SendError as error:
        yield Finding("problem", "tracker", f"{name}: {error}", _REMEDIES[error.where])
        return
    yield _verdict(name, destination, reply) if send else Finding("ok", "tracker", f"{name} answers")
    yield from clock(reply.headers.get("date"), time.time())


def _plain_request(destination: Destination) -> HttpRequest:
    """Return a request without a token, with an empty JSON object as its body; any answer to it will do."""
    parts = urlsplit(destination.dsn.url)
    return HttpRequest(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/", b"{}")


def _test_event(destination: Destination) -> HttpRequest:
    wire = FORMATS[destination.dsn.wire]
    settings = CaptureSettings(needs=NEEDS[destination.dsn.wire], is_sensitive=is_sensitive)
    event = message_event("This is a test event, sent by `lastword doctor`.", level="info", settings=settings)
    return wire.request(event, destination)


def _verdict(name: str, destination: Destination, reply: HttpReply) -> Finding:
    verdict = FORMATS[destination.dsn.wire].judge(reply, History())
    if isinstance(verdict, Delivered):
        return Finding("ok", "tracker", f"{name} accepted a test event")
    wrong = isinstance(verdict, Misconfigured) or (isinstance(verdict, Refused) and verdict.blame is Blame.ADDRESS)
    remedy = "correct the DSN" if wrong else "see the tracker's answer; events with this answer wait or are set aside"
    return Finding("problem", "tracker", f"{name} did not accept a test event ({verdict.reason})", remedy)


def clock(date: Optional[str], now: float) -> Iterator[Finding]:
    """Compare this machine's clock with the ``Date`` of an answer; ``now`` is in Unix seconds."""
    try:
        difference = now - parsedate_to_datetime(date or "").timestamp()
    except (ValueError, TypeError, IndexError):
        return  # no valid date
    if abs(difference) <= CLOCK_DIFFERENCE:
        yield Finding("ok", "clock", "this machine's clock agrees with the tracker's")
        return
    side = "ahead of" if difference > 0 else "behind"
    yield Finding(
        "problem",
        "clock",
        f"this machine's clock is {abs(difference) / 60:.0f} min {side} the tracker's",
        "set the clock, and keep it synchronized (timedatectl set-ntp true); until then events have wrong times",
    )
