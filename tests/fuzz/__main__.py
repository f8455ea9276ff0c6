"""Look for input that breaks a promise: no traceback, no hang, 64 MiB at most, nothing touched that is not its own, and
good events beside the bad delivered. The exit status says whether none was found.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time

from tests.fuzz import corpus
from tests.fuzz.harness import Failure, Found, Target, examine, guard_the_process, hunt
from tests.fuzz.targets import NAMES, opened

#: Inputs of one target in a row, and seconds for each of its steps, before it is the next one's turn.
ROUND, TURN = 200, 2.0


class Tally:
    """What became of one target's inputs."""

    def __init__(self) -> None:
        self.tried = 0
        self.seconds = 0.0
        self.known: set[str] = set()


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, metavar="N", help="default 30; 0: the corpus alone")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), help="default: any")
    parser.add_argument("--target", action="append", choices=NAMES, help="may be repeated; default: all of them")
    told = parser.parse_args()
    _say(f"lastword: seed {told.seed}")
    for variable in [name for name in os.environ if name.startswith("LASTWORD_") or name.lower().endswith("_proxy")]:
        del os.environ[variable]
    with opened(told.target or NAMES) as targets:
        guard_the_process()
        tallies = {target.name: Tally() for target in targets}
        for target in targets:
            _try_corpus(target, tallies[target.name])
        end, number = time.monotonic() + told.minutes * 60, 0
        while time.monotonic() < end:
            for target in targets:
                _take_turn(target, tallies[target.name], told.seed + number, end)
            number += 1
    for name, tally in tallies.items():
        _say(f"{'BROKEN' if tally.known else 'held  '} {name}: {tally.tried} inputs in {tally.seconds:.0f} s")
        for kind in sorted(tally.known):
            _say(f"       {kind}")
    return 1 if any(tally.known for tally in tallies.values()) else 0


def _try_corpus(target: Target, tally: Tally) -> None:
    for name, case in corpus.cases(target.name):
        tally.tried += 1
        try:
            examine(target, case)
        except Failure as failure:
            tally.known.add(failure.kind)
            _say(f"FOUND  {target.name}, corpus/{target.name}/{name}: {failure}")


def _take_turn(target: Target, tally: Tally, seed: int, end: float) -> None:
    began = time.monotonic()
    tried, found = hunt(target, seed, most=ROUND, until=min(began + TURN * target.steps, end), known=tally.known)
    tally.tried += tried
    tally.seconds += time.monotonic() - began
    if found is not None:
        tally.known.add(found.failure.kind)
        _tell(target, found)


def _tell(target: Target, found: Found) -> None:
    path = corpus.store(target.name, found.case, found.failure.kind)
    _say(f"FOUND  {target.name}: {found.failure}")
    _say(f"       with {found.case!r:.2000}")
    _say(f"       kept as tests/fuzz/corpus/{target.name}/{path.name}")
    _say(f"       again: scripts/fuzz --target {target.name} --minutes 0")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
