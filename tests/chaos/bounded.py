"""Sixty-four processes that capture a hundred thousand events while the tracker is down."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from lastword.audit.accounts import read_accounts
from lastword.spool.layout import Layout
from lastword.spool.lock import holder
from lastword.testing import LoopbackTracker
from tests.support.programs import Program, wait_for_accounts, wait_while

PROMISE = "in an outage the spool stays within its limit and one segment for each writer, and every event is counted"
PROCESSES, LIMIT = 64, 16 << 20
EVENTS = PROCESSES * 1_600

FLOOD = f"""
lastword.init(os.environ["TEST_DSN"], spool=os.environ["TEST_SPOOL"], max_spool={LIMIT}, flood_burst=0)
for _ in range({PROCESSES}):
    if os.fork() == 0:
        for number in range({EVENTS // PROCESSES}):
            lastword.capture_message("out")
        os._exit(0)
for _ in range({PROCESSES}):
    os.wait()
"""


def prove(directory: Path) -> str:
    spool, largest = directory / "spool", 0
    flusher_lock = Layout(str(spool)).flusher_lock
    with LoopbackTracker() as tracker:
        tracker.go_down()
        with Program(FLOOD, spool=spool, dsn=tracker.dsn) as program:
            while program.process.poll() is None:
                largest = max(largest, _size_of(spool))
                time.sleep(0.05)
            program.end()
        assert largest <= LIMIT + PROCESSES * (1 << 20), f"{largest} bytes"
        accounts = wait_for_accounts(spool, lambda seen: seen.missing == 0, "the balance")
        assert accounts.recorded + sum(accounts.refused.values()) == EVENTS, accounts
        tracker.come_up()
        wait_while(lambda: len(tracker.events), lambda: holder(flusher_lock) is None, "the flusher's leaving")
        delivered = len(tracker.events)
    accounts = read_accounts(spool)
    dropped = accounts.dropped["spool full"]
    assert (accounts.held, accounts.missing) == (0, 0)
    assert accounts.delivered == delivered
    return (
        f"{EVENTS} events = {delivered} delivered + {dropped} dropped + {sum(accounts.refused.values())} refused; "
        f"at most {largest >> 20} MiB of {LIMIT >> 20} + {PROCESSES}"
    )


def _size_of(spool: Path) -> int:
    total = 0
    for directory, _, names in os.walk(spool / "v1/writers"):  # says nothing of what is removed meanwhile
        for name in names:
            with suppress(FileNotFoundError):
                total += os.stat(os.path.join(directory, name)).st_size if name.endswith(".seg") else 0
    return total
