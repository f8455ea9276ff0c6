"""What of a program a reporter keeps alive: 100 jobs, each with 10 MB in a variable and an error that it reports.

Without a reporter each job's memory goes with the job. Up to Python 3.12 who reads the variables of a frame leaves a
dict in it, and the exception, its frames and all that their variables hold live on until garbage is collected. Each
program runs once, in a process of its own, and says how many jobs' memory was alive at most, and what the peak was.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import weakref
from typing import Any

from tests.bench.capture import server
from tests.bench.contestant import CONTESTANTS, Report
from tests.bench.printing import say

QUESTION = "what of a program a reporter keeps alive, beside other reporters"

JOBS, SIZE = 100, 10_000_000

NOBODY = "no reporter"

_REPORTERS = {"lastword": "lastword", "booboo-sdk": "booboo", "sentry-sdk": "sentry_sdk"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(measure=measure)


def measure(options: argparse.Namespace) -> bool:
    """Measure and print; whether lastword keeps nothing."""
    installed = [name for name, module in _REPORTERS.items() if importlib.util.find_spec(module) is not None]
    found = {}
    with tempfile.TemporaryDirectory(prefix="lastword-bench-") as place, server() as url:
        say(f"  {'Python ' + sys.version.split()[0]:<18}{'jobs alive at most':>20}{'peak':>10}")
        for name in (NOBODY, *installed):
            found[name] = _run(name, url, place)
            say(f"  {name:<18}{found[name]['alive']:>20}{found[name]['peak'] / 1e6:>7.0f} MB")
    missing = [name for name in _REPORTERS if name not in installed]
    if missing:
        say(f"  not installed here, so not compared: {', '.join(missing)} (pip install 'lastword[bench]')")
    kept = found["lastword"]["alive"] <= found[NOBODY]["alive"]
    say(f"  lastword keeps {'nothing' if kept else 'WHAT IT SHOULD NOT'}")
    return kept


def _run(name: str, url: str, place: str) -> dict[str, int]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("LASTWORD_", "BOOBOO_"))}
    directory = os.path.join(place, name.replace(" ", "-"))
    os.mkdir(directory)
    command = [sys.executable, "-m", "tests.bench.memory", name, url, directory]
    ran = subprocess.run(
        command,
        env={**environment, "HOME": directory},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    result: dict[str, int] = json.loads(ran.stdout.splitlines()[-1])
    return result


class _Connection:
    def __init__(self) -> None:
        self.buffer = bytearray(SIZE)


def _job(report: Report, made: list[Any]) -> None:
    connection = _Connection()
    made.append(weakref.ref(connection))
    try:
        raise ValueError("no answer")
    except ValueError as error:
        report(error)


def main(name: str, url: str, directory: str) -> None:
    report = (lambda error: None) if name == NOBODY else CONTESTANTS[name](url, directory)
    made: list[Any] = []
    most = 0
    for _ in range(JOBS):
        _job(report, made)
        most = max(most, sum(reference() is not None for reference in made))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    say(json.dumps({"alive": most, "peak": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
