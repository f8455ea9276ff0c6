"""Run the promises named on the command line, or all of them; the exit status says whether every one was kept."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Callable

from tests.chaos import bounded, damage, flood, fork, kill, killed_at_once, leader, outage
from tests.support.programs import remove_spool

#: Name → (the promise, its proof). A proof raises AssertionError, or returns what it counted.
PROMISES: dict[str, tuple[str, Callable[[Path], str]]] = {
    "kill": (kill.PROMISE, kill.prove),
    "fork": (fork.PROMISE, fork.prove),
    "leader": (leader.PROMISE, leader.prove),
    "killed-at-once": (killed_at_once.PROMISE, killed_at_once.prove),
    "outage": (outage.PROMISE, outage.prove),
    "bounded": (bounded.PROMISE, bounded.prove),
    "flood": (flood.PROMISE, flood.prove),
    "damage": (damage.PROMISE, damage.prove),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("promise", nargs="*", help=f"any of {', '.join(PROMISES)}; all of them by default")
    chosen = parser.parse_args().promise or list(PROMISES)
    if unknown := sorted(set(chosen) - set(PROMISES)):
        parser.error(f"{unknown[0]!r} is none of {', '.join(PROMISES)}")
    kept = [_keep(name) for name in chosen]
    sys.stdout.write(f"lastword: {sum(kept)} of {len(kept)} promises kept\n")
    return 0 if all(kept) else 1


def _keep(name: str) -> bool:
    promise, prove = PROMISES[name]
    began = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix=f"lastword-{name}-"))
    try:
        counted, kept = prove(directory), True
    except Exception:
        counted, kept = traceback.format_exc(), False
    finally:
        remove_spool(directory)  # a flusher may still be at work there
    verdict = "kept  " if kept else "BROKEN"
    sys.stdout.write(f"{verdict} {name} ({time.monotonic() - began:.0f} s): {promise}: {counted}\n")
    sys.stdout.flush()
    return kept


if __name__ == "__main__":
    sys.exit(main())
