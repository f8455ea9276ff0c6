"""Findings on sending, read from the spool: the flusher, the ledger, waiting events, set-aside events."""

from __future__ import annotations

import errno
import os
import shlex
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice

from lastword.audit import kept_events
from lastword.audit.accounts import Accounts, leader_name
from lastword.audit.findings import Finding
from lastword.foreign_text import MOST_QUOTED, one_line
from lastword.spool import start
from lastword.spool.layout import Layout, open_private
from lastword.spool.leader import stands_still, version_of
from lastword.spool.ledger import DestinationHealth
from lastword.version import __version__

#: Seconds; an event that has waited longer will not be sent without help.
TOO_LONG = 3600.0

#: Seconds; for an event that has waited longer, a flusher should be running.
_OVERDUE = 5.0

_REASONS_SHOWN = 3
_MOST_READ = 100  # set-aside events
_END_OF_LOG = 16 << 10  # bytes


def check_sending(layout: Layout, accounts: Accounts, names: Mapping[str, str]) -> Iterator[Finding]:
    """Yield findings on one spool; ``names`` maps destination keys to readable names."""
    now = time.time()
    yield _flusher(layout, accounts, now)
    yield from _starts(layout, accounts, now)
    for key, health in accounts.destinations.items():
        yield _destination(key, names.get(key, key), health, accounts.held_for[key], now)
    yield from _held(accounts, now)
    yield from _set_aside(layout)
    yield from _lost(accounts)


def _flusher(layout: Layout, accounts: Accounts, now: float) -> Finding:
    pid = accounts.flusher
    if pid is None:
        if not accounts.sendable:
            return Finding("ok", "flusher", "none leads, and there is nothing to send")
        coming = one_is_coming(layout, now)
        if coming:
            return Finding("ok", "flusher", f"none leads, {coming}")
        text = "none leads, and none is on its way; the next capture or start of a program starts one"
        if _is_overdue(accounts, now):
            return Finding("warning", "flusher", f"{text}; {_waiting(accounts.sendable)}", "`lastword flush` sends now")
        return Finding("note", "flusher", text)
    leads = f"{leader_name(pid)} leads"
    if stands_still(layout, pid):
        remedy = "continue or restart the container or service that it runs in"
        if pid:
            remedy = f"continue it (kill -CONT {pid}) or end it (kill -KILL {pid}): the next capture starts another"
        text = f"{leads}, but it is stopped: nothing is sent, and no other flusher can lead"
        return Finding("problem", "flusher", text, remedy)
    version = version_of(layout)
    if version is not None and version != __version__:
        end = f"end it (kill -TERM {pid})" if pid else "end it"
        remedy = f"{end}, or restart its service: the next one has the version of the program that starts it"
        return Finding("warning", "flusher", f"{leads}, with lastword {version}; this is {__version__}", remedy)
    return Finding("ok", "flusher", f"{leads}, lastword {version}" if version else leads)


def one_is_coming(layout: Layout, now: float) -> str:
    """Return a text that a flusher is about to start, and when; '' if none is."""
    state = start.load(layout)
    if not start.is_coming(layout, state, now):
        return ""
    waits = 0.0 if state.may_come_soon(now) else max(state.not_before - now, 0.0)
    return "one is on its way" + (f", once a pause is over, in {_long(waits)}" if waits else "")


def _is_overdue(accounts: Accounts, now: float) -> bool:
    """Return whether waiting events should have a flusher by now and no other finding explains the wait."""
    oldest = accounts.oldest_sendable
    explained = any(health.misconfigured for key, health in accounts.destinations.items() if accounts.held_for[key])
    return oldest is not None and _OVERDUE <= now - oldest <= TOO_LONG and not explained


def _starts(layout: Layout, accounts: Accounts, now: float) -> Iterator[Finding]:
    state = start.load(layout)
    if accounts.flusher is None and state.failures and not start.is_coming(layout, state, now):
        yield Finding(
            "problem" if accounts.sendable else "warning",
            "flusher",
            f"starting one has failed {state.failures} times; {_last_line(layout.flusher_log)}",
            f"read {layout.flusher_log}; LASTWORD_FLUSHER=thread needs no process, `lastword flush` sends now",
        )


def _last_line(path: str) -> str:
    """Return the last line of the flusher's log, which is capped; only the end is read."""
    try:
        descriptor = open_private(path, os.O_RDONLY)
        try:
            end = os.pread(descriptor, _END_OF_LOG, max(os.fstat(descriptor).st_size - _END_OF_LOG, 0))
        finally:
            os.close(descriptor)
        last = end.decode("utf-8", "replace").rstrip("\0\n ").rpartition("\n")[2]
        return one_line(last, MOST_QUOTED) or "its log is empty"
    except OSError as error:
        return "it has no log" if error.errno == errno.ENOENT else f"its log cannot be read ({error.strerror})"


def _destination(key: str, name: str, health: DestinationHealth, held: int, now: float) -> Finding:
    success = f"last success {_ago(health.last_success_at, now)}"
    if health.misconfigured:
        return Finding(
            "problem" if held else "warning",
            "tracker",
            f"{name} does not accept this address or key ({health.last_error}); {_waiting(held)}, {success}",
            f"correct the DSN in your program; `lastword redirect {shlex.quote(key)} DSN` sends what waits there",
        )
    if health.failures and held:
        return Finding(
            "warning",
            "tracker",
            f"{name}: {health.failures} failures in a row ({health.last_error}); {success}",
            "nothing to do if this is an outage: sending is retried; `lastword doctor` tests the connection",
        )
    return Finding("ok", "tracker", f"{name}: {health.delivered} delivered, {success}")


def _held(accounts: Accounts, now: float) -> Iterator[Finding]:
    if accounts.held_without_dsn:
        text = f"{accounts.held_without_dsn} events were captured without a DSN, and are not sent"
        yield Finding("note", "held", f"{text} (`lastword ls` lists them, `lastword redirect none DSN` sends them)")
    if accounts.oldest_sendable is None:
        return
    waited = now - accounts.oldest_sendable
    text = f"{_waiting(accounts.sendable)}, the oldest for {_long(waited)}"
    if waited > TOO_LONG:
        errors = [one.last_error for one in accounts.destinations.values() if one.failures and one.last_error]
        last_error = f" (last error: {errors[0]})" if errors else ""
        yield Finding("warning", "held", text, f"`lastword flush` tries now and says what goes wrong{last_error}")
    else:
        yield Finding("ok", "held", text)


def _set_aside(layout: Layout) -> Iterator[Finding]:
    reasons = Counter(f"{one.why}: {one.reason}" for one in islice(kept_events.set_aside(layout), _MOST_READ))
    count = kept_events.count_set_aside(layout)
    if not reasons:
        yield Finding("ok", "set aside", "nothing is set aside")
        return
    shown = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common(_REASONS_SHOWN))
    more = ", …" if len(reasons) > _REASONS_SHOWN or count > _MOST_READ else ""
    yield Finding(
        "warning",
        "set aside",
        f"{count} in {os.path.basename(layout.set_aside)}: {shown}{more}",
        "`lastword ls --set-aside` lists them, `show ID` shows one, `replay` sends them again, `purge` removes them",
    )


def _lost(accounts: Accounts) -> Iterator[Finding]:
    lost = Counter(accounts.dropped) + accounts.refused
    if lost:
        reasons = ", ".join(f"{reason} {count}" for reason, count in lost.most_common())
        yield Finding("note", "lost", f"dropped or refused since this spool was created: {reasons}")
    if accounts.missing:
        yield Finding(
            "problem",
            "lost",
            f"{accounts.missing} recorded events were not found: damaged, or removed by hand",
            "the next flusher counts them as dropped; find out what changes files in the spool",
        )


def _ago(at: float, now: float) -> str:
    return f"{_long(max(now - at, 0.0))} ago" if at else "never"


def _long(seconds: float) -> str:
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _waiting(count: int) -> str:
    return "1 event waits" if count == 1 else f"{count} events wait"
