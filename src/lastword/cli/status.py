"""``lastword status``: the accounts of one spool, and how sending goes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Optional

from lastword.config import Config
from lastword.errors import ConfigError, SpoolError
from lastword.spool import destination
from lastword.spool.accounts import Accounts, read_accounts
from lastword.spool.findings import findings
from lastword.spool.layout import Layout, Place, candidates, find
from lastword.spool.leader import is_stopped
from lastword.spool.ledger import DestinationHealth

#: How many findings are shown.
MOST_FINDINGS = 20


def run(*, spool: Optional[str]) -> int:
    """Print it; 0 when the accounts balance and nothing stands in the way of sending, else 1. Raises SpoolError."""
    configured = Config.load({"spool": spool}).spool
    layout = _find(configured)
    accounts = read_accounts(layout.spool)
    found = findings(layout)
    lines = _lines(layout, accounts, time.time()) + _finding_lines(found)
    sys.stdout.writelines(f"{name:<12} {text}\n" for name, text in lines)
    in_trouble = any(health.misconfigured for health in accounts.destinations.values())
    return 1 if in_trouble or found or accounts.missing or is_stopped(accounts.flusher or 0) else 0


def _find(configured: Optional[str]) -> Layout:
    layout = find(configured)
    if layout is None and configured and os.path.isdir(Layout(configured).base):
        layout = Layout(configured)  # somebody else's: root may look at it
    if layout is None:
        raise SpoolError(f"there is no spool yet; nothing was captured. Looked in: {_places(configured)}")
    return layout


def _places(configured: Optional[str]) -> str:
    return ", ".join(map(_looked_at, candidates(configured, os.environ, os.geteuid())))


def _looked_at(place: Place) -> str:
    if os.path.lexists(place.path):
        try:
            Layout(place.path).check(unasked=place.unasked)
        except SpoolError as error:
            return f"{place.path} ({error})"
    return place.path


def _finding_lines(found: list[str]) -> list[tuple[str, str]]:
    lines = [("finding", text) for text in found[:MOST_FINDINGS]]
    if len(found) > MOST_FINDINGS:
        lines.append(("finding", f"… and {len(found) - MOST_FINDINGS} more"))
    return [("", ""), *lines] if lines else []


def _lines(layout: Layout, accounts: Accounts, now: float) -> list[tuple[str, str]]:
    alive = sum(writer.alive for writer in accounts.writers)
    lines = [
        ("spool", layout.spool),
        ("flusher", _flusher(accounts)),
        ("writers", f"{alive} alive, {len(accounts.writers) - alive} gone and not settled yet"),
        ("held", _held(accounts)),
        ("delivered", str(accounts.delivered)),
        ("set aside", _by_reason(accounts.set_aside)),
        ("dropped", _by_reason(accounts.dropped)),
        ("refused", _by_reason(accounts.refused)),
        ("interrupted", f"{accounts.interrupted} torn by a kill before they were acknowledged"),
        ("balance", _balance(accounts)),
    ]
    for key, health in accounts.destinations.items():
        lines.append(("", ""))
        lines += _destination_lines(layout, key, health, now)
    return lines


def _flusher(accounts: Accounts) -> str:
    if accounts.flusher is None:
        return "none leads" + (", the next capture starts one" if accounts.held else "; nothing is held")
    if not accounts.flusher:
        return "one leads that is not visible from here"
    leads = f"pid {accounts.flusher} leads"
    if is_stopped(accounts.flusher):
        leads += ", but is STOPPED: nothing is sent until it goes on (kill -CONT) or makes way for another (kill -KILL)"
    return leads


def _held(accounts: Accounts) -> str:
    without = accounts.held_without_dsn
    return str(accounts.held) + (f", {without} of them captured without a DSN: nothing sends these" if without else "")


def _by_reason(counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    told = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))
    return f"{total} ({told})" if total else "0"


def _balance(accounts: Accounts) -> str:
    settled = f"{accounts.delivered} delivered, {sum(accounts.set_aside.values())} set aside"
    parts = f"{accounts.held} held, {settled}, {sum(accounts.dropped.values())} dropped"
    verdict = f"; {accounts.missing} NOT FOUND" if accounts.missing else ""
    return f"{accounts.recorded} recorded = {parts}{verdict}"


def _destination_lines(layout: Layout, key: str, health: DestinationHealth, now: float) -> list[tuple[str, str]]:
    try:
        name = destination.load(layout, key).dsn.place
    except ConfigError as error:
        name = str(error)
    lines = [("destination", name), ("", f"last success {_ago(health.last_success_at, now)}")]
    if health.last_error:
        lines.append(("", f"last error {_ago(health.last_error_at, now)}: {health.last_error}"))
    if health.failures:
        wait = max(health.not_before - now, 0.0)
        cause = "wrong address or key" if health.misconfigured else f"{health.failures} failures in a row"
        lines.append(("", f"{cause}; next try in {wait:.0f} s"))
    return lines


def _ago(at: float, now: float) -> str:
    return f"{max(now - at, 0.0):.0f} s ago" if at else "never"
