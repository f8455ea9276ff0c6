"""Sixty-four programs that capture a quarter of a million events while the tracker is down."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from lastword.spool.accounts import read_accounts
from lastword.testing import LoopbackTracker
from tests.support.programs import Program, wait_for_accounts, wait_until_no_flusher

PROMISE = "in an outage the spool stays within its limit and one segment for each writer, and every event is counted"
PROCESSES, EVENTS, LIMIT = 64, 250_000, 16 << 20

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
        wait_until_no_flusher(spool, timeout=300.0)
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
    for path in spool.glob("v1/writers/*/*.seg"):
        with suppress(FileNotFoundError):
            total += os.stat(path).st_size
    return total
