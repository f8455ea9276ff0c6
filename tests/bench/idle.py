"""What a flusher costs that has nothing to do: the share of a processor while idle workers live.

The workers are real processes that captured one event each, which was delivered. The kernel says for how many
nanoseconds the flusher was on a processor.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from lastword.spool.layout import Layout
from lastword.spool.lock import holder
from lastword.testing import LoopbackTracker
from tests.bench.printing import say
from tests.support.programs import Program, wait_for_accounts, wait_until_no_flusher

QUESTION = "what a flusher costs that has nothing to do"

#: Of one processor.
LIMIT = 0.001

#: Seconds before measuring: what has just changed is looked at more closely.
_SETTLING = 10.0

_WORKERS = """
for _ in range({workers}):
    if os.fork() == 0:
        acked(lastword.capture_message("hello"))
        sys.stdin.read()
        os._exit(0)
sys.stdin.read()
for _ in range({workers}): os.wait()
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=32, help="how many live (%(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long to measure (%(default)s)")
    parser.set_defaults(measure=measure)


def measure(options: argparse.Namespace) -> bool:
    """Measure and print; whether the share is within its limit."""
    with tempfile.TemporaryDirectory(prefix="lastword-bench-") as place, LoopbackTracker() as tracker:
        spool = Path(place) / "spool"
        with Program(_WORKERS.format(workers=options.workers), spool=spool, dsn=tracker.dsn) as program:
            for _ in range(options.workers):
                program.line()
            wait_for_accounts(spool, lambda seen: seen.delivered == options.workers, "every delivery")
            flusher = holder(Layout(str(spool)).flusher_lock) or 0
            time.sleep(_SETTLING)
            before, began = _nanoseconds(flusher), time.monotonic()
            time.sleep(options.seconds)
            share = (_nanoseconds(flusher) - before) / 1e9 / (time.monotonic() - began)
            program.end()
        wait_until_no_flusher(spool)
    kept = share < LIMIT
    verdict = f"limit {LIMIT:.2%}: {'kept' if kept else 'EXCEEDED'}"
    say(f"{options.workers} idle workers, {options.seconds:g} s: {share:.3%} of a processor; {verdict}")
    return kept


def _nanoseconds(pid: int) -> int:
    """For how long the process was on a processor."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))
