"""``lastword flush``: send the held events once and report whether any are left; for timers and container stops."""

from __future__ import annotations

import time
from typing import Optional

from lastword.audit.accounts import Accounts, leader_name, read_accounts
from lastword.cli import output, progress, resolve_spool
from lastword.cli.leading import StandIn
from lastword.config import Config
from lastword.spool.layout import Layout
from lastword.spool.leader import stands_still
from lastword.spool.ledger import DestinationHealth
from lastword.spool.places import find

#: The shortest pause between two readings of the accounts, in seconds; a pause is also at least ``_SHARE`` times as
#: long as the reading before it took.
_INTERVAL = 0.1
_SHARE = 5.0


def run(*, spool: Optional[str], timeout: float) -> int:
    """Send until nothing is left that can be sent, for at most ``timeout`` seconds.

    A request still running at the timeout is cut off; its event stays in the spool. If a flusher already leads, wait
    for it to send. Return 0 if nothing is left, else 1. Raises SpoolError.
    """
    configured = Config.load({"spool": spool}).spool
    if configured is None and find() is None:
        output.line("nothing is held: there is no spool")
        return 0
    layout = resolve_spool.to_change(spool, "flush")
    with progress.shown("sending") as show:
        before, after = _drain(layout, timeout, show)
    delivered = after.delivered - before.delivered
    if not after.sendable:
        output.line(f"{delivered} delivered, nothing is left")
        return 0
    output.line(f"{delivered} delivered, {after.sendable} left")
    for reason in _reasons_for_the_rest(layout, after):
        output.line(f"lastword flush: {reason}", error=True)
    return 1


def _drain(layout: Layout, timeout: float, show: progress.Show) -> tuple[Accounts, Accounts]:
    """Send, or wait for the leader to send; return the accounts before and after."""
    deadline, asked_at = time.monotonic() + timeout, time.time()
    layout.hurry_flusher()
    before = after = read_accounts(layout.spool)
    with StandIn(layout, deadline) as stand_in:
        while after.sendable and time.monotonic() < deadline and not stands_still(layout, after.flusher):
            stand_in.lead_if_needed()
            began = time.monotonic()
            after = read_accounts(layout.spool)
            settled = _settled(after) - _settled(before)
            show(settled, settled + after.sendable)
            if not may_still_be_sent(after, time.time(), deadline - time.monotonic(), asked_at):
                break
            pause = max(_INTERVAL, _SHARE * (time.monotonic() - began))
            time.sleep(max(min(pause, deadline - time.monotonic()), 0.0))
    return before, read_accounts(layout.spool)


def may_still_be_sent(accounts: Accounts, now: float, time_left: float, asked_at: float) -> bool:
    """Return whether any held event may be tried within ``time_left`` seconds.

    ``now`` and ``asked_at``, when the leader was asked to hurry, are Unix seconds.
    """
    waiting = [key for key, count in accounts.held_for.items() if key is not None and count]
    health = [accounts.destinations.get(key, DestinationHealth()) for key in waiting]
    return any(_may_be_tried(one, now, time_left, asked_at) for one in health)


def _may_be_tried(health: DestinationHealth, now: float, time_left: float, asked_at: float) -> bool:
    if not health.asked_for and health.last_error_at < asked_at:  # the leader is about to try it
        return True
    return health.time_left(now) <= (0.0 if health.misconfigured else time_left)


def _settled(accounts: Accounts) -> int:
    return accounts.recorded - accounts.held


def _reasons_for_the_rest(layout: Layout, accounts: Accounts) -> list[str]:
    pid = accounts.flusher
    if pid is not None and stands_still(layout, pid):
        return [f"{leader_name(pid)} leads, but is stopped" + (f": kill -CONT {pid}" if pid else "")]
    failing = [one for key, one in accounts.destinations.items() if accounts.held_for[key] and one.failures]
    wrong = "wrong address or key: "
    reasons = [(wrong if one.misconfigured else "") + one.last_error for one in failing if one.last_error]
    return list(dict.fromkeys(reasons))
