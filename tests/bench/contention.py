"""What other processes of the same spool cost a capture: many processes against one, in the same run.

Both capture at the same pace, an exception with ten frames and their variables, so that caches and clock speeds are
alike. They take turns, so that what else the machine does meets both. Measured twice: with nothing sent, which shows
the spool alone; and with a flusher that sends everything to a tracker on this machine, which shows also what these two
take from the processors. The first capture of a process, which makes its writer, stands apart.
"""

from __future__ import annotations

import argparse
import array
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lastword.spool.accounts import read_accounts
from lastword.testing import LoopbackTracker
from tests.support.programs import wait_until, wait_until_no_flusher

QUESTION = "how much slower a capture is while many processes capture"

#: Milliseconds that the 99th percentile may be above that of one process.
LIMIT = 1.0

#: One process has fewer events in the same time, so it is given more of it.
TIMES_LONGER_ALONE = 3

#: Seconds for the flusher to send what a crew left.
PATIENCE = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--processes", type=int, default=64, help="how many capture at once (%(default)s)")
    parser.add_argument("--rate", type=float, default=10.0, help="events a second of each process (%(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long they do, in each round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (%(default)s)")
    parser.set_defaults(measure=measure)


@dataclass
class Times:
    """Milliseconds."""

    first: list[float] = field(default_factory=list)
    later: list[float] = field(default_factory=list)

    def add(self, other: Times) -> None:
        self.first += other.first
        self.later += other.later

    def percentile(self, share: int) -> float:
        return statistics.quantiles(self.later, n=100, method="inclusive")[share - 1]

    def row(self, name: str) -> str:
        figures = [*(self.percentile(share) for share in (50, 95, 99)), max(self.later), statistics.median(self.first)]
        return f"  {name:<14}{len(self.later):>8}" + "".join(f"{figure:>9.3f}" for figure in figures)


def measure(options: argparse.Namespace) -> bool:
    """Measure and print; whether the limit is kept with nothing sent and with everything sent."""
    crowd = f"{options.processes} processes"
    _say(
        f"{crowd} at {options.rate:g} events/s each, against one; {options.rounds} rounds, {os.cpu_count()} processors"
    )
    return all([_compare(options, sending) for sending in (False, True)])


def _compare(options: argparse.Namespace, sending: bool) -> bool:
    alone, together = Times(), Times()
    for _ in range(options.rounds):
        alone.add(_crew(1, options.seconds * TIMES_LONGER_ALONE, options.rate, sending))
        together.add(_crew(options.processes, options.seconds, options.rate, sending))
    slower = together.percentile(99) - alone.percentile(99)
    kept = slower < LIMIT
    _say("")
    _say("everything sent to a tracker on this machine" if sending else "nothing sent (flusher='hold')")
    _say("  ms              events      p50      p95      p99      max    first")
    _say(alone.row("1 process"))
    _say(together.row(f"{options.processes} processes"))
    ratio = together.percentile(99) / alone.percentile(99)
    _say(f"  p99 {slower:+.3f} ms (x {ratio:.2f}), limit +{LIMIT:.3f} ms: {'kept' if kept else 'EXCEEDED'}")
    return kept


def _crew(processes: int, seconds: float, rate: float, sending: bool) -> Times:
    """Let a crew work on a spool of its own, and wait until nothing of it is left running."""
    with tempfile.TemporaryDirectory(prefix="lastword-bench-") as place, _tracker(sending) as dsn:
        directory = Path(place)
        command = [sys.executable, "-m", "tests.bench.crew", place, dsn, str(processes), str(seconds), str(rate)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LASTWORD_")}
        subprocess.run(command, check=True, env=environment)
        times = Times()
        for path in directory.glob("*.times"):
            first, *later = array.array("d", path.read_bytes())
            times.add(Times([first * 1000], [one * 1000 for one in later]))
        if sending:
            wait_until(lambda: not read_accounts(directory / "spool").held, "the last delivery", PATIENCE)
            wait_until_no_flusher(directory / "spool")
        accounts = read_accounts(directory / "spool")
        captured = len(times.first) + len(times.later)
        assert (accounts.delivered if sending else accounts.held) == captured, accounts
        assert not accounts.missing, accounts
        return times


@contextlib.contextmanager
def _tracker(sending: bool) -> Iterator[str]:
    """A DSN; an empty one where nothing is to be sent."""
    if not sending:
        yield ""
        return
    with LoopbackTracker() as tracker:
        yield tracker.dsn


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
