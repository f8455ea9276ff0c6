"""How long after an outage everything that was held has arrived: the tracker's return to the last event, in seconds.

A program captures all through an outage, its flusher runs as a process. The outage is of one kind: connections that
are refused, a tracker that is overloaded (503, or 429 that names no time), answers that are cut off; or connections are
refused, and program and flusher are stopped and started anew meanwhile. Beside these, 20 answers of 40 are cut off.
Many run at the same time, as they mostly wait.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from lastword.audit.accounts import Accounts, read_accounts
from lastword.spool.layout import Layout
from lastword.spool.lock import holder
from lastword.testing import LoopbackTracker
from tests.bench.printing import say
from tests.support.programs import Program, remove_spool, wait_until

QUESTION = "how long after an outage what was held has arrived"

KINDS = ("refused", "503", "429", "cut", "restart")
OUTAGES = (2.0, 8.0, 30.0)
#: Seconds. An outage is made up for in as much time as it took, or in this where that is more; 20 cut answers, in that.
LEAST_GOAL = 3.0
GOAL_FOR_CUT_ANSWERS = 5.0

_CUT, _OF = 20, 40
_PER_SECOND, _MOST_EVENTS = 10, 100
_PATIENCE = 90.0

_PROGRAM = """
lastword.capture_message("before")
sys.stdin.readline()
for number in range({count}):
    lastword.capture_message("number %d" % number)
    time.sleep({seconds} / {count})
acked("end")
sys.stdin.read()
"""


@dataclass(frozen=True)
class Case:
    """One outage; ``lasts`` is None where 20 of 40 answers are cut off."""

    kind: str
    lasts: Optional[float]

    def __str__(self) -> str:
        return f"{_CUT} of {_OF} {self.kind}" if self.lasts is None else f"{self.kind}, {self.lasts:g} s"

    @property
    def goal(self) -> float:
        return GOAL_FOR_CUT_ANSWERS if self.lasts is None else max(LEAST_GOAL, self.lasts)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=1, help="how often each outage is tried (%(default)s)")
    parser.add_argument("--together", type=int, default=8, help="how many run at the same time (%(default)s)")
    parser.add_argument("--outages", type=float, nargs="+", default=OUTAGES, help="seconds (2, 8 and 30)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="of outages (all)")
    parser.set_defaults(measure=measure)


def measure(options: argparse.Namespace) -> bool:
    """Measure and print; whether every outage was made up for in time, each time."""
    cases = [Case(kind, lasts) for lasts, kind in itertools.product(options.outages, options.kinds)]
    cases += [Case("cut", None)] * ("cut" in options.kinds)
    runs = cases * options.runs
    random.Random(1).shuffle(runs)  # short and long ones beside each other, so that few programs start at a time
    with ThreadPoolExecutor(options.together) as pool:
        taken = list(zip(runs, pool.map(_recover, runs)))
    kept = [_tell(case, [seconds for run, seconds in taken if run == case]) for case in cases]
    return all(kept)


def _tell(case: Case, seconds: list[float]) -> bool:
    kept = sum(one <= case.goal for one in seconds)
    each = f" (each: {', '.join(f'{one:.1f}' for one in sorted(seconds))})" if len(seconds) > 1 else ""
    verdict = f"kept in {kept} of {len(seconds)}" if kept < len(seconds) else "kept"
    say(f"{case!s:<16} {max(seconds):5.1f} s until all had arrived; goal {case.goal:g} s: {verdict}{each}")
    return kept == len(seconds)


def _recover(case: Case) -> float:
    """How long after the tracker's return the last event came."""
    lasts = case.lasts or 0.0
    with tempfile.TemporaryDirectory(prefix="lastword-bench-") as place, LoopbackTracker() as tracker:
        spool = Path(place) / "spool"
        try:
            with _program(spool, tracker, case) as program:
                _wait_for(spool, lambda seen: seen.delivered == 1)
                began = returned = time.time()
                _begin(case, tracker)
                program.tell("go")
                if case.kind == "restart":
                    time.sleep(lasts / 4)
                    _stop(spool, program)
                    with _program(spool, tracker, case) as again:
                        again.tell("go")
                        returned = _end(case, tracker, began + lasts)
                        return _last_arrival(spool, tracker, again) - returned
                if case.lasts is not None:
                    returned = _end(case, tracker, began + lasts)
                return _last_arrival(spool, tracker, program) - returned
        finally:
            remove_spool(spool)  # so the flusher leaves


def _program(spool: Path, tracker: LoopbackTracker, case: Case) -> Program:
    lasts = case.lasts or 0.0
    count = _OF if case.lasts is None else max(min(round(_PER_SECOND * lasts), _MOST_EVENTS), 1)
    left = lasts * (0.3 if case.kind == "restart" else 0.8)  # all is captured before the tracker returns
    return Program(_PROGRAM.format(count=count, seconds=left), spool=spool, dsn=tracker.dsn)


def _stop(spool: Path, program: Program) -> None:
    """As systemd does it: with SIGTERM to every process of the unit, the flusher too, until all are gone."""
    layout = Layout(str(spool))
    locks = (layout.flusher_lock, layout.helper_lock)  # one may be on its way
    program.process.terminate()
    program.process.wait()
    for pid in filter(None, map(holder, locks)):
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not any(map(holder, locks)), "the flusher's leaving", _PATIENCE)


def _begin(case: Case, tracker: LoopbackTracker) -> None:
    if case.kind in ("refused", "restart"):
        tracker.go_down()
    elif case.kind == "cut":
        tracker.cut_answers(stored=False, times=_CUT if case.lasts is None else None)
    else:
        tracker.answer(int(case.kind))


def _end(case: Case, tracker: LoopbackTracker, at: float) -> float:
    """Let the tracker return at this time; the time when it did."""
    time.sleep(max(at - time.time(), 0.0))
    if case.kind in ("refused", "restart"):
        tracker.come_up()
    else:
        tracker.answer_normally()
    return time.time()


def _last_arrival(spool: Path, tracker: LoopbackTracker, program: Program) -> float:
    """When the last event came, after all have; ``program`` captures the last of them."""
    program.line()
    accounts = _wait_for(spool, lambda seen: not seen.held)
    assert accounts.delivered == accounts.recorded, accounts
    return max(event.at for event in tracker.events)


def _wait_for(spool: Path, condition: Callable[[Accounts], object]) -> Accounts:
    """Look at the accounts until they are as wanted, seldom: others are measured meanwhile."""
    deadline = time.monotonic() + _PATIENCE
    while not condition(accounts := read_accounts(spool)):
        assert time.monotonic() < deadline, (accounts, Path(Layout(str(spool)).flusher_log).read_text())
        time.sleep(0.5)
    return accounts
