"""A tracker that is down for five seconds while programs capture and end."""

from __future__ import annotations

import time
from pathlib import Path

from lastword.audit.accounts import read_accounts
from lastword.testing import LoopbackTracker
from tests.support.programs import run, wait_until_no_flusher

PROMISE = "what was captured while the tracker was down arrives when it is back, although the programs have ended"
DOWN_FOR = 5.0


def prove(directory: Path) -> str:
    spool, acked = directory / "spool", []
    with LoopbackTracker("backtrace") as tracker:
        tracker.go_down()
        until = time.monotonic() + DOWN_FOR
        while time.monotonic() < until:
            acked += run("for _ in range(10): acked(lastword.capture_message('down'))", spool=spool, dsn=tracker.dsn)
        assert tracker.events == []
        tracker.come_up()
        tracker.wait_for(len(acked), timeout=60)
        wait_until_no_flusher(spool)
        assert sorted((event.id or "").replace("-", "") for event in tracker.events) == sorted(acked)
    accounts = read_accounts(spool)
    assert (accounts.delivered, accounts.held, accounts.missing) == (len(acked), 0, 0)
    return f"{len(acked)} captured in {DOWN_FOR:.0f} s of outage, {len(acked)} delivered, no duplicate"
