"""A program that captures one event and is SIGKILLed in the next instruction, 200 times in each format."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lastword.testing import LoopbackTracker
from tests.support.programs import run, wait_for_accounts, wait_until_no_flusher, wait_while

PROMISE = "what was captured right before a SIGKILL is delivered"
ROUNDS = 200


def prove(directory: Path) -> str:
    for wire in ("booboo", "backtrace"):
        spool = directory / wire
        with LoopbackTracker(wire) as tracker, ThreadPoolExecutor(4) as starters:

            def one(number: int, spool: Path = spool, dsn: str = tracker.dsn) -> int:
                return len(run(f"acked(lastword.capture_message('kill {number}')); die()", spool=spool, dsn=dsn))

            assert sum(starters.map(one, range(ROUNDS))) == ROUNDS
            wait_while(lambda: len(tracker.events), lambda: len(tracker.events) >= ROUNDS, "every event")
            events = tracker.events
            wait_until_no_flusher(spool)
        assert sorted(event.message for event in events) == sorted(f"kill {number}" for number in range(ROUNDS))
        accounts = wait_for_accounts(spool, lambda seen: not seen.writers, "every writer's retirement")
        assert (accounts.recorded, accounts.delivered, accounts.missing) == (ROUNDS, ROUNDS, 0)
    return f"{2 * ROUNDS} kills, {2 * ROUNDS} delivered"
