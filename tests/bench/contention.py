"""What other processes of the same spool cost a capture: many processes against one, in the same run.

Both capture at the same pace, an exception with ten frames and their variables, so that caches and clock speeds are
alike. They take turns, so that what else the machine does meets both. Measured twice: with nothing sent, which shows
the spool alone; and with a flusher that sends everything to a tracker on this machine. The first capture of a process,
which makes its writer, stands apart.

The kernel tells of each capture how long it waited for a processor, which any program does where there are more
processes than processors, and more so with each millisecond that the others compute. The limit holds for the time
without that: for what a capture computes, and waits for the disk or for another process, which is the column "blocked".
The whole difference is printed as well, and that of as many processes that only compute, for as long as a capture
takes.
"""

from __future__ import annotations

import argparse
import array
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lastword.audit.accounts import read_accounts
from tests.bench.printing import say
from tests.support.programs import wait_until_no_flusher

QUESTION = "how much slower a capture is while many processes capture"

#: Milliseconds that the 99th percentile may be above that of one process, without what was waited for a processor.
LIMIT = 1.0

#: One process has fewer events in the same time, so it is given more of it.
TIMES_LONGER_ALONE = 3

#: Seconds for the flusher to send what a crew left.
PATIENCE = 300.0

_COLUMNS = ("p50", "p95", "p99", "max", "own p99", "blocked", "first")
_HEAD = f"  {'ms':<26}{'events':>7}" + "".join(f"{name:>9}" for name in _COLUMNS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--processes", type=int, default=64, help="how many capture at once (%(default)s)")
    parser.add_argument("--rate", type=float, default=10.0, help="events a second of each process (%(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long they do, in each round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (%(default)s)")
    parser.set_defaults(measure=measure)


@dataclass
class Times:
    """Milliseconds: what pieces of work took, without what they waited for a processor, and without computing too."""

    first: list[float] = field(default_factory=list)
    later: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    blocked: list[float] = field(default_factory=list)

    def add(self, other: Times) -> None:
        self.first += other.first
        self.later += other.later
        self.own += other.own
        self.blocked += other.blocked

    @property
    def p50(self) -> float:
        return statistics.median(self.later)

    @property
    def p99(self) -> float:
        return _percentile(self.later, 99)

    @property
    def own_p99(self) -> float:
        return _percentile(self.own, 99)

    def row(self, name: str) -> str:
        figures = [self.p50, _percentile(self.later, 95), self.p99, max(self.later), self.own_p99]
        figures += [_percentile(self.blocked, 99), statistics.median(self.first)]
        return f"  {name:<26}{len(self.later):>7}" + "".join(f"{figure:>9.3f}" for figure in figures)


def measure(options: argparse.Namespace) -> bool:
    """Measure and print; whether the limit is kept with nothing sent and with everything sent."""
    crowd = f"{options.processes} processes at {options.rate:g} events/s each against one"
    say(f"{crowd}; {options.rounds} turns; {os.cpu_count()} processors")
    kept = [_compare(options, sending=False), _compare(options, sending=True)]
    return all(kept)


def _compare(options: argparse.Namespace, *, sending: bool) -> bool:
    alone, together, computing = Times(), Times(), Times()
    for _ in range(options.rounds):
        alone.add(_crew(options, 1, sending))
        together.add(_crew(options, options.processes, sending))
        computing.add(_crew(options, options.processes, sending=False, compute=alone.p50 / 1000))
    say("")
    say("everything sent to a tracker on this machine" if sending else "nothing sent")
    say(_HEAD)
    say(alone.row("1 process"))
    say(together.row(f"{options.processes} processes"))
    say(computing.row(f"{options.processes} that only compute"))
    slower = together.own_p99 - alone.own_p99
    kept = slower < LIMIT
    say(f"  own p99 {slower:+.3f} ms, limit {LIMIT:+.3f} ms: {'kept' if kept else 'EXCEEDED'}")
    waiting = (
        f"  with waiting for a processor p99 {together.p99 - alone.p99:+.3f} ms (x {together.p99 / alone.p99:.2f})"
    )
    say(f"{waiting}; of those that only compute it is {computing.p99 - computing.p50:+.3f} ms above their p50")
    return kept


def _crew(options: argparse.Namespace, processes: int, sending: bool, compute: float = 0.0) -> Times:
    """Let a crew work on a spool of its own, and wait until nothing of it is left running."""
    with tempfile.TemporaryDirectory(prefix="lastword-bench-") as place, _tracker(sending) as dsn:
        order = {
            "directory": place,
            "processes": processes,
            "seconds": options.seconds * (TIMES_LONGER_ALONE if processes == 1 else 1),
            "rate": options.rate,
            "dsn": dsn,
            "compute": compute,
        }
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LASTWORD_")}
        subprocess.run([sys.executable, "-m", "tests.bench.crew", json.dumps(order)], check=True, env=environment)
        times = _read_times(Path(place))
        if not compute:
            _check_accounts(Path(place) / "spool", len(times.first) + len(times.later), sending)
        return times


def _read_times(directory: Path) -> Times:
    times = Times()
    for path in directory.glob("*.times"):
        told = [seconds * 1000 for seconds in array.array("d", path.read_bytes())]
        took, computing, queued = told[0::3], told[1::3], told[2::3]
        blocked = [max(whole - parts - wait, 0.0) for whole, parts, wait in zip(took, computing, queued)]
        own = [parts + rest for parts, rest in zip(computing, blocked)]
        times.add(Times(first=took[:1], later=took[1:], own=own[1:], blocked=blocked[1:]))
    return times


def _check_accounts(spool: Path, captured: int, sending: bool) -> None:
    """A benchmark that loses events measures nothing."""
    if sending:
        wait_until_no_flusher(spool, PATIENCE)  # it leaves when there is nothing left to send
    accounts = read_accounts(spool)
    assert (accounts.delivered if sending else accounts.held) == captured, accounts
    assert not accounts.missing, accounts


@contextlib.contextmanager
def _tracker(sending: bool) -> Iterator[str]:
    """The DSN of a tracker; an empty one where nothing is to be sent."""
    if not sending:
        yield ""
        return
    command = [sys.executable, "-m", "tests.bench.tracker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as tracker:
        assert tracker.stdin is not None
        assert tracker.stdout is not None
        yield tracker.stdout.readline().strip()
        tracker.stdin.close()


def _percentile(figures: list[float], share: int) -> float:
    return statistics.quantiles(figures, n=100, method="inclusive")[share - 1]
