"""``lastword flusher``: lead a spool in the foreground, for systemd, supervisor, or a container of its own.

It runs until it is stopped. While another flusher leads, it waits, and takes over when that one is gone. It asks a
leader of an older version to leave, and itself gives way to a flusher of a newer version. It writes one line to
standard error for each change: start, another leader, trouble with a tracker and its end, stop.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Optional

from lastword.audit.accounts import leader_name, read_accounts
from lastword.cli import output, resolve_spool
from lastword.cli.leading import Leading
from lastword.errors import ConfigError, SpoolError
from lastword.flusher.succession import Succession, is_taken
from lastword.spool import destination
from lastword.spool.layout import Layout
from lastword.spool.ledger import DestinationHealth, LedgerView
from lastword.spool.lock import holder

#: Seconds between checks whether to take over and, while leading, whether to stop.
_INTERVAL = 0.25
_INTERVAL_LEADING = 0.5
#: Seconds to wait after an error.
_PAUSE = 5.0
#: Failures in a row from which on trouble is reported.
_FAILURES_REPORTED = 3


def run(*, spool: Optional[str], exit_when_empty: bool) -> int:
    """Lead until SIGTERM or SIGINT, or, with ``exit_when_empty``, until no process writes and nothing can be sent.

    Return 0. Raises SpoolError if the spool cannot be used.
    """
    layout = resolve_spool.to_lead(spool, "flusher")
    with _stop_at_signals() as stop:
        _log(f"started, pid {os.getpid()}, spool {layout.spool}")
        while not stop.is_set():
            succession = Succession(layout, survives_removal=True)
            try:
                if not _wait_for_others(layout, succession, stop, exit_when_empty=exit_when_empty):
                    break
                _lead(layout, succession, stop, stays=not exit_when_empty)
                if exit_when_empty and not read_accounts(layout.spool).sendable:
                    break
            except (SpoolError, OSError) as error:
                _log(f"trouble: {error}; trying again in {_PAUSE:g} s")
                stop.wait(_PAUSE)
            finally:
                succession.give_up()
            if not stop.is_set():  # the spool was removed meanwhile, or a program is about to write to it
                layout = resolve_spool.to_lead(spool, "flusher")
                stop.wait(_INTERVAL)
        _log("stopped")
    return 0


def _wait_for_others(layout: Layout, succession: Succession, stop: threading.Event, *, exit_when_empty: bool) -> bool:
    """Wait while another flusher leads, or one of a newer version waits to lead; return whether to lead now."""
    reported: Optional[int] = None
    while not stop.is_set():
        leader = holder(layout.flusher_lock)
        if leader is None and not is_taken(layout):
            if reported is not None:
                _log("no flusher leads any more; taking over")
            return True
        if leader is not None and leader != reported:
            succession.may_try()
            _log(f"{leader_name(leader)} leads; waiting to take over")
            reported = leader
        if exit_when_empty and not read_accounts(layout.spool).sendable:
            return False
        stop.wait(_INTERVAL)
    return False


def _lead(layout: Layout, succession: Succession, stop: threading.Event, *, stays: bool) -> None:
    leading = Leading(layout, stays=stays, succession=succession)
    reported: dict[str, str] = {}
    view = LedgerView(layout)
    while not leading.has_left(_INTERVAL_LEADING):
        if stop.is_set():
            leading.stop()
        for key, text in news(reported, view.look().destinations):
            _log(f"{_name(layout, key)}: {text}")


def news(reported: dict[str, str], destinations: Mapping[str, DestinationHealth]) -> Iterator[tuple[str, str]]:
    """Yield (destination key, text) for each change in sending since the last call.

    ``reported`` keeps the kind of trouble last reported, by key.
    """
    for key, health in destinations.items():
        kind, text = "", "sending works again"
        if health.misconfigured:
            kind, text = "address or key", f"wrong address or key; events are kept ({health.last_error})"
        elif health.failures >= _FAILURES_REPORTED:
            kind, text = "unreachable", f"nothing can be sent for now; events are kept ({health.last_error})"
        elif health.failures:
            continue
        if reported.get(key, "") != kind:
            reported[key] = kind
            yield key, text


def _name(layout: Layout, key: str) -> str:
    try:
        return destination.load(layout, key).dsn.place
    except ConfigError:
        return key


@contextmanager
def _stop_at_signals() -> Iterator[threading.Event]:
    """Provide a threading.Event that SIGTERM and SIGINT set."""
    stop = threading.Event()

    def set_it(_number: int, _frame: Optional[FrameType]) -> None:
        stop.set()

    numbers = (signal.SIGTERM, signal.SIGINT)
    previous = [signal.signal(number, set_it) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, previous):
            signal.signal(number, handler)


def _log(text: str) -> None:
    output.line(f"lastword flusher: {text}", error=True)
