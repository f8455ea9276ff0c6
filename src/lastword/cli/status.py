"""``lastword status``: print the accounts of one spool and the state of sending.

Suitable as a health check. Exit status 0: no problem, though there may be warnings; 1: at least one problem (events are
lost, or are not sent until somebody acts); 2: there is no spool. Waiting events are no problem, because trackers have
outages; a directory that other users could replace (an emptyDir of Kubernetes) is no problem either.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Optional

from lastword.audit.accounts import Accounts, leader_name, read_accounts
from lastword.audit.findings import Finding
from lastword.cli import output, resolve_spool
from lastword.cli.diagnosis import check_spool
from lastword.cli.diagnosis.sending import one_is_coming
from lastword.errors import ConfigError
from lastword.spool import destination, inside
from lastword.spool.layout import Layout
from lastword.spool.leader import stands_still, version_of
from lastword.spool.ledger import DestinationHealth

#: The largest number of findings shown.
MOST_FINDINGS = 20


def run(*, spool: Optional[str], as_json: bool = False) -> int:
    """Print lines for people, or one JSON object; return the exit status (see the module). Raises SpoolError."""
    layout = resolve_spool.to_read(spool)
    with inside.kept_to_look(layout.base), inside.kept_to_look(layout.writers):
        return _run(layout, as_json=as_json)


def _run(layout: Layout, *, as_json: bool) -> int:
    accounts = read_accounts(layout.spool)
    names = {key: _place(layout, key) for key in accounts.destinations}
    found = [one for one in check_spool(layout, accounts, names) if one.kind in ("warning", "problem")]
    if as_json:
        output.as_json(_described(layout, accounts, found))
    else:
        for name, text in _lines(layout, accounts, time.time()) + _finding_lines(found):
            output.line(f"{name:<12} {text}")
    return 1 if _problems(found) else 0


def _problems(found: list[Finding]) -> list[str]:
    return [f"{one.about}: {one.text}" for one in found if one.kind == "problem"]


def _described(layout: Layout, accounts: Accounts, found: list[Finding]) -> dict[str, Any]:
    """Return the JSON object for programs. Later versions only add names."""
    leader = accounts.flusher
    alive = sum(writer.alive for writer in accounts.writers)
    return {
        "spool": layout.spool,
        "healthy": not _problems(found),
        "problems": _problems(found),
        "findings": [one._asdict() for one in found],
        "flusher": {
            "leads": leader is not None,
            "pid": leader or None,
            "stopped": stands_still(layout, leader),
            "version": version_of(layout) if leader is not None else None,
        },
        "writers": {"alive": alive, "gone": len(accounts.writers) - alive},
        "recorded": accounts.recorded,
        "held": accounts.held,
        "held_without_dsn": accounts.held_without_dsn,
        "delivered": accounts.delivered,
        "set_aside": accounts.set_aside,
        "dropped": accounts.dropped,
        "refused": accounts.refused,
        "interrupted": accounts.interrupted,
        "damage_removed": accounts.damage_removed,
        "missing": accounts.missing,
        "destinations": [
            {
                "key": key,
                "place": _place(layout, key),
                "held": accounts.held_for[key],
                "delivered": health.delivered,
                "uncertain": health.uncertain,
                "failures": health.failures,
                "misconfigured": health.misconfigured,
                "not_before": health.not_before,
                "last_error": health.last_error,
                "last_error_at": health.last_error_at,
                "last_success_at": health.last_success_at,
            }
            for key, health in accounts.destinations.items()
        ],
    }


def _finding_lines(found: list[Finding]) -> list[tuple[str, str]]:
    lines = [("", "")] if found else []
    for one in found[:MOST_FINDINGS]:
        kind = "PROBLEM" if one.kind == "problem" else one.kind
        lines += [(kind, f"{one.about}: {one.text}"), ("", f"→ {one.remedy}")]
    if len(found) > MOST_FINDINGS:
        lines.append(("", f"… and {len(found) - MOST_FINDINGS} more"))
    return lines


def _lines(layout: Layout, accounts: Accounts, now: float) -> list[tuple[str, str]]:
    alive = sum(writer.alive for writer in accounts.writers)
    lines = [
        ("spool", layout.spool),
        ("flusher", _flusher(layout, accounts)),
        ("writers", f"{alive} alive, {len(accounts.writers) - alive} gone and not settled yet"),
        ("held", _held(accounts)),
        ("delivered", str(accounts.delivered)),
        ("set aside", _set_aside(accounts)),
        ("dropped", _by_reason(accounts.dropped)),
        ("refused", _by_reason(accounts.refused)),
        ("interrupted", f"{accounts.interrupted} cut off by a kill before they were acknowledged"),
        ("balance", _balance(accounts)),
    ]
    for key, health in accounts.destinations.items():
        lines.append(("", ""))
        lines += _destination_lines(layout, key, health, now)
    return lines


def _flusher(layout: Layout, accounts: Accounts) -> str:
    if accounts.flusher is None:
        coming = one_is_coming(layout, time.time()) or "the next capture starts one"
        return f"none leads, {coming}" if accounts.held else "none leads; nothing is held"
    leads = f"{leader_name(accounts.flusher)} leads"
    if stands_still(layout, accounts.flusher):
        leads += ", but is STOPPED: nothing is sent until it is continued (kill -CONT) or killed (kill -KILL)"
    return leads


def _held(accounts: Accounts) -> str:
    without = accounts.held_without_dsn
    return str(accounts.held) + (f", {without} of them captured without a DSN, and not sent" if without else "")


def _by_reason(counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))
    return f"{total} ({reasons})" if total else "0"


def _set_aside(accounts: Accounts) -> str:
    gone = accounts.damage_removed
    return _by_reason(accounts.set_aside) + (f"; {gone} damaged pieces were removed to make room" if gone else "")


def _balance(accounts: Accounts) -> str:
    settled = f"{accounts.delivered} delivered, {sum(accounts.set_aside.values())} set aside"
    parts = f"{accounts.held} held, {settled}, {sum(accounts.dropped.values())} dropped"
    verdict = f"; {accounts.missing} NOT FOUND" if accounts.missing else ""
    return f"{accounts.recorded} recorded = {parts}{verdict}"


def _destination_lines(layout: Layout, key: str, health: DestinationHealth, now: float) -> list[tuple[str, str]]:
    lines = [("destination", _place(layout, key)), ("", f"last success {_ago(health.last_success_at, now)}")]
    if health.last_error:
        lines.append(("", f"last error {_ago(health.last_error_at, now)}: {health.last_error}"))
    if health.failures:
        wait = health.time_left(now)
        cause = "wrong address or key" if health.misconfigured else f"{health.failures} failures in a row"
        asked_for = ", as the tracker asked" if wait and health.asked_for else ""
        lines.append(("", f"{cause}; next try in {wait:.0f} s{asked_for}"))
    return lines


def _place(layout: Layout, key: str) -> str:
    try:
        return destination.load(layout, key).dsn.place
    except ConfigError as error:
        return str(error)


def _ago(at: float, now: float) -> str:
    return f"{max(now - at, 0.0):.0f} s ago" if at else "never"
