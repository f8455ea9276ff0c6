"""Writers that are SIGKILLed at random instants while they write records of 1 KB, 40 KB and 900 KB; the flusher too.

Writers are forked, one after the other, from a program for each size, and acknowledge each id through a pipe once it is
on disk. The instants come from a random number generator whose seed is told, and given again by ``SEED=…``.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from lastword.audit.accounts import Accounts
from lastword.flusher.outbox import MOST_IN_FLIGHT
from lastword.flusher.schedule import CHECKPOINT_VERDICTS
from lastword.spool.layout import Layout
from lastword.spool.lock import holder
from tests.support.programs import PROGRAMS, run, wait_for_accounts, wait_until_no_flusher
from tests.support.witness import WitnessTracker

PROMISE = "what was acknowledged before a SIGKILL at any instant is delivered, and torn tails are accounted for"
KILLS = 1000

#: Size of the records in bytes → (share of the kills, most records of one writer, seconds that writing these takes).
SIZES = {1_000: (0.6, 12, 0.004), 40_000: (0.3, 12, 0.006), 900_000: (0.1, 4, 0.012)}


def prove(directory: Path, kills: int = KILLS) -> str:
    seed = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
    try:
        return f"{_prove(directory, kills, random.Random(seed))}; seed {seed}"
    except AssertionError as error:
        raise AssertionError(f"with SEED={seed}: {error}") from error


def _prove(directory: Path, kills: int, chance: random.Random) -> str:
    spool = directory / "spool"
    with WitnessTracker() as tracker, FlusherKiller(spool, chance.randrange(2**32)) as killer:
        with ThreadPoolExecutor(len(SIZES)) as nurseries:
            orders = [
                (round(kills * share), size, most, span, chance.randrange(2**32))
                for size, (share, most, span) in SIZES.items()
            ]
            nursery = partial(run, PROGRAMS / "killed_writers.py", spool=spool, dsn=tracker.dsn, patience=900)
            acked = {id for told in nurseries.map(nursery, map(json.dumps, orders)) for id in told}
        killer.stop()
        acked.update(run("acked(lastword.capture_message('starts the last flusher'))", spool=spool, dsn=tracker.dsn))
        tracker.wait_for_all(acked)
        wait_until_no_flusher(spool)
        accounts = wait_for_accounts(spool, lambda seen: not seen.writers, "every writer's retirement")
        tracker.assert_one_sender_at_a_time()
        repeats = tracker.repeats()
        assert repeats <= killer.kills * (CHECKPOINT_VERDICTS + MOST_IN_FLIGHT), (repeats, killer.kills)
    assert accounts.recorded == accounts.delivered == len(tracker.delivered), accounts
    assert (accounts.held, accounts.missing, accounts.dropped, accounts.set_aside) == (0, 0, {}, {}), accounts
    _assert_torn_tails_are_explained(spool, accounts)
    done = sum(order[0] for order in orders)
    return (
        f"{done} writers and {killer.kills} flushers killed, {len(acked)} acknowledged, 0 of them lost, "
        f"{accounts.interrupted} torn tails, {repeats} repeats"
    )


def _assert_torn_tails_are_explained(spool: Path, accounts: Accounts) -> None:
    """Each line that a kill cut off was set aside with its reason and its place, and nothing else was."""
    reasons = []
    for path in (spool / "v1/set_aside").iterdir():
        head, _, cut_off = path.read_bytes().partition(b"\n")
        told = json.loads(head)
        reasons.append(told["reason"])
        assert set(told) >= {"reason", "at", "writer", "segment", "offset"}, told
        assert cut_off.startswith(b'{"c":"'[: len(cut_off)])
    assert reasons == ["torn"] * accounts.interrupted, (reasons, accounts.interrupted)


class FlusherKiller:
    """SIGKILLs whoever leads, at random instants, until it is stopped."""

    def __init__(self, spool: Path, seed: int, most: float = 0.5) -> None:
        self.kills = 0
        self._lock = Layout(str(spool)).flusher_lock
        self._chance = random.Random(seed)
        self._most = most
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> FlusherKiller:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopped.wait(self._chance.uniform(0.0, self._most)):
            leader = holder(self._lock)
            if leader:
                os.kill(leader, signal.SIGKILL)
                self.kills += 1
