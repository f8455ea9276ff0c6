"""32 processes that capture, and the flusher SIGKILLed at random instants all the while.

How long it takes until somebody leads again is measured from the first capture after a kill: it is the captures that
start a flusher.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from lastword.flusher.outbox import MOST_IN_FLIGHT
from lastword.flusher.schedule import CHECKPOINT_VERDICTS
from lastword.spool.layout import Layout
from lastword.spool.lock import holder
from tests.support.programs import Program, wait_for_accounts, wait_until, wait_until_no_flusher
from tests.support.witness import WitnessTracker

PROMISE = "one flusher is at work, never two; killed, it is followed by another, and nothing is stranded"
PROCESSES = 32
KILLS = 50

#: Each process captures every now and then, until there is a line to read; once more then, for the last flusher.
PROCESSES_THAT_CAPTURE = """
import random, select
for number in range({processes}):
    if os.fork() == 0:
        chance = random.Random(os.getpid())
        while not select.select([0], [], [], chance.uniform(0, {pause}))[0]:
            acked(lastword.capture_message("again"))
        acked(lastword.capture_message("the last one"))
        os._exit(0)
for _ in range({processes}):
    os.wait()
"""


@dataclass
class Listener:
    """Reads what a program acknowledges, as it comes."""

    program: Program
    acked: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        assert self.program.process.stdout is not None
        for line in self.program.process.stdout:
            self.acked.append((time.monotonic(), line.strip()))

    def join(self) -> None:
        self._thread.join()

    def first_after(self, moment: float) -> float:
        return next(at for at, _ in self.acked if at > moment)


def prove(directory: Path, kills: int = KILLS, pause: float = 0.5) -> str:
    """``pause``: at most so many seconds lie between two captures of a process."""
    spool = directory / "spool"
    lock = Layout(str(spool)).flusher_lock
    chance = random.Random()
    killed, followed = [], []
    body = PROCESSES_THAT_CAPTURE.format(processes=PROCESSES, pause=pause)
    with WitnessTracker() as tracker, Program(body, spool=spool, dsn=tracker.dsn) as program:
        listener = Listener(program)
        for _ in range(kills):
            leader = wait_for_leader(lock)
            followed.append(time.monotonic())
            time.sleep(chance.choice((0.0, chance.uniform(0, 0.05), chance.uniform(0, 0.8))))
            os.kill(leader, signal.SIGKILL)
            killed.append(time.monotonic())
            wait_until(lambda gone=leader: holder(lock) != gone, "its end")  # type: ignore[misc]
        program.tell("that is all")
        program.process.wait(60)
        listener.join()
        acked = {event_id for _, event_id in listener.acked}
        tracker.wait_for_all(acked)
        wait_until_no_flusher(spool)
        accounts = wait_for_accounts(spool, lambda seen: not seen.writers, "every writer's retirement")
        tracker.assert_one_sender_at_a_time()
        repeats = tracker.repeats()
        assert repeats <= kills * (CHECKPOINT_VERDICTS + MOST_IN_FLIGHT), (repeats, kills)
    assert accounts.recorded == accounts.delivered == len(acked) == len(tracker.delivered), accounts
    assert (accounts.held, accounts.missing) == (0, 0), accounts
    waits = [max(lead - listener.first_after(kill), 0.0) for kill, lead in zip(killed, followed[1:])]
    return (
        f"{PROCESSES} processes, {kills} kills, {len(acked)} captured and delivered, {repeats} repeats; "
        f"the next one led after {statistics.median(waits):.2f} s (median), {max(waits):.2f} s (longest)"
    )


def wait_for_leader(lock: str) -> int:
    wait_until(lambda: holder(lock), "a flusher")
    return holder(lock) or 0
