"""``lastword test [DSN]``: send one event, the way that every event goes, and report the result."""

from __future__ import annotations

import os
import time
from typing import Optional

import lastword
from lastword import diagnostics
from lastword.cli import output
from lastword.config import Config
from lastword.errors import ConfigError, SpoolError
from lastword.spool import aside
from lastword.spool.layout import Layout
from lastword.spool.ledger import DestinationHealth, Ledger
from lastword.spool.places import find

#: Seconds between checks whether waiting is still useful.
_INTERVAL = 0.25


def run(dsn: Optional[str], *, spool: Optional[str], timeout: float) -> int:
    """Send the event; return 0 if it was delivered, else 1. Raises ConfigError without a DSN."""
    config = Config.load({"dsn": dsn, "spool": spool})
    if config.destination is None:
        raise ConfigError("there is no DSN: give one as the argument or in LASTWORD_DSN")
    if config.flusher == "hold":
        raise ConfigError("LASTWORD_FLUSHER is hold, so nothing is sent; unset it to test sending")
    lastword.init(dsn, spool=spool)
    began = time.monotonic()
    event_id = lastword.capture_message("This is a test event, sent by `lastword test`.", level="info")
    if event_id is None:
        raise SpoolError("; ".join(diagnostics.waiting()) or "the event was refused")
    layout = find(config.spool)
    if layout is None:
        raise SpoolError("the spool was removed before the event was sent")
    key = config.destination.key
    while not (settled := lastword.flush(_INTERVAL)):
        if time.monotonic() - began > timeout or _health(layout, key).misconfigured:
            break
    milliseconds = (time.monotonic() - began) * 1000
    refusal = _reason_set_aside(layout, event_id)
    if settled and refusal is None:
        output.line(f"delivered, id {event_id}, in {milliseconds:.0f} ms")
        return 0
    where = config.destination.dsn.place
    if refusal is not None:
        output.line(f"refused by {where}: {refusal}", error=True)
        output.line(f"It was set aside in {layout.set_aside}.", error=True)
    else:
        trouble = _trouble(layout, key)
        output.line(f"not delivered to {where} in {milliseconds / 1000:.1f} s: {trouble}", error=True)
        output.line(f"It is held in {layout.spool} and will be sent, id {event_id}.", error=True)
    return 1


def _reason_set_aside(layout: Layout, event_id: str) -> Optional[str]:
    try:
        return aside.head_of(os.path.join(layout.set_aside, f"{event_id}.record")).reason
    except OSError:
        return None


def _health(layout: Layout, key: str) -> DestinationHealth:
    return Ledger.load(layout).health(key)


def _trouble(layout: Layout, key: str) -> str:
    health = _health(layout, key)
    if health.last_error:
        return ("wrong address or key: " if health.misconfigured else "") + health.last_error
    return f"no flusher has tried to send it yet (its errors are in {layout.flusher_log})"
