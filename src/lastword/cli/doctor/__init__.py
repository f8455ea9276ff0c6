"""``lastword doctor``: the findings of ``lastword status``, whether this user can use the spool, the way to trackers.

It changes nothing, and sends no event unless asked to send one test event to each tracker. Exit status 0: no problem,
though there may be warnings; 1: at least one problem.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Optional

from lastword.audit.accounts import Accounts, read_accounts
from lastword.audit.findings import Finding
from lastword.cli import output
from lastword.cli.diagnosis import check_spool
from lastword.cli.diagnosis.place import check_owner
from lastword.cli.doctor.way_to_tracker import check_tracker
from lastword.cli.resolve_spool import owner_of, user_name
from lastword.config import Config
from lastword.dsn import Destination
from lastword.errors import ConfigError
from lastword.spool import destination as destinations
from lastword.spool.layout import Layout
from lastword.spool.places import candidates, find

#: Seconds after which a destination without waiting events and without attempts to send is not checked any more.
_OF_THE_PAST = 7 * 24 * 3600.0


def run(dsn: Optional[str], *, spool: Optional[str], send: bool) -> int:
    """Check everything, print the findings and return the exit status. Raises ConfigError for invalid settings."""
    config = Config.load({"dsn": dsn, "spool": spool})
    problems = 0
    for finding in _check(config, send=send):
        kind = "PROBLEM" if finding.kind == "problem" else finding.kind
        problems += finding.kind == "problem"
        output.line(f"{kind:<8} {finding.about}: {finding.text}")
        if finding.remedy:
            output.line(f"{'':<8} → {finding.remedy}")
        output.flush()
    output.line(f"{problems} problem{'' if problems == 1 else 's'} found" if problems else "no problem found")
    return 1 if problems else 0


def _check(config: Config, *, send: bool) -> Iterator[Finding]:
    layout = find(config.spool) or Layout(candidates(config.spool, os.environ, os.geteuid())[0].path)
    yield from check_owner(layout, config.spool)
    accounts = read_accounts(layout.spool)
    known = _destinations(layout, config, accounts, time.time())
    yield from check_spool(layout, accounts, {key: one.dsn.place for key, one in known.items()})
    if not known:
        yield Finding("note", "tracker", "no DSN is known: give one as the argument or in LASTWORD_DSN")
    owner = owner_of(layout)
    if owner is not None and owner != os.geteuid():
        # Only the configured one: that user chose the spool's addresses, and the files that they name (``ca_bundle``).
        known = {} if config.destination is None else {config.destination.key: config.destination}
        user = shlex.quote(user_name(owner))
        text = f"run `sudo -u {user} lastword …` to test the connection to the trackers of this spool"
        yield Finding("note", "tracker", text)
    ways = {(one.dsn, one.proxy, one.ca_bundle, one.verify): one for one in known.values()}
    for one in ways.values():
        yield from check_tracker(one, send=send)


def _destinations(layout: Layout, config: Config, accounts: Accounts, now: float) -> dict[str, Destination]:
    """Return the destinations to check: the configured one, and those with waiting events or recent attempts."""
    found = {} if config.destination is None else {config.destination.key: config.destination}
    lately = {
        key
        for key, health in accounts.destinations.items()
        if now - max(health.last_success_at, health.last_error_at) < _OF_THE_PAST
    }
    for key in sorted(lately | {key for key in accounts.held_for if key is not None}):
        with suppress(ConfigError):  # ``findings`` reports it
            found.setdefault(key, destinations.load(layout, key))
    return found
