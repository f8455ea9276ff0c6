"""What ``lastword status`` costs: the look at a spool, and the command as a whole.

The look is measured beside a floor that opens each file of the spool by its path, once, and reads the JSON in it; the
command beside a Python that calls ``init``, whose cost ``scripts/bench capture`` judges. All take turns, so that what
else the machine does meets all of them, and of each the least processor time counts.

The spool is one in which nobody sends: a third of its writers are dead, and each has recorded a few events.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable
from unittest.mock import patch

from lastword.cli import status
from tests.bench.printing import say
from tests.support.programs import Program

QUESTION = "what a look at a spool costs, beside reading its files"

#: Of the floor of each, what lastword may take.
OF_READING, OF_INIT = 2.0, 2.0

_EVENTS = 3

_WRITERS = """
children = []
for number in range({writers}):
    child = os.fork()
    if child == 0:
        for _ in range({events}):
            try:
                1 / 0
            except ZeroDivisionError:
                lastword.capture_exception()
        os.write(1, b"there\\n")
        if number % 3:
            signal.pause()
        os._exit(0)
    children.append(child)
sys.stdin.read()
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--writers", type=int, default=30, help="processes that write, or wrote (%(default)s)")
    parser.add_argument("--rounds", type=int, default=30, help="turns of each (%(default)s)")
    parser.set_defaults(measure=measure)


def measure(options: argparse.Namespace) -> bool:
    """Measure and print; whether both are within their limits."""
    with tempfile.TemporaryDirectory(prefix="lastword-bench-") as place:
        spool = Path(place) / "spool"
        with (
            patch.dict(os.environ, {"LASTWORD_FLUSHER": "hold"}),
            Program(
                _WRITERS.format(writers=options.writers, events=_EVENTS),
                spool=spool,
                dsn="backtrace+http://127.0.0.1:9?token=aa11",
            ) as program,
        ):
            for _ in range(options.writers):
                program.line()
            look, reading, command, init = _least(
                options.rounds,
                lambda: _in_process(lambda: _look(spool)),
                lambda: _in_process(lambda: _read(spool)),
                lambda: _as_process("-m", "lastword", "status", "--spool", str(spool)),
                lambda: _as_process("-c", "import lastword; lastword.init(flusher='hold')"),
            )
            program.end()
    kept = True
    for what, took, floor, limit in (
        ("the look", look, reading, OF_READING),
        ("the command", command, init, OF_INIT),
    ):
        verdict = "kept" if took <= limit * floor else "EXCEEDED"
        say(f"{what}: {took * 1e3:.1f} ms, {took / floor:.2f} of {floor * 1e3:.1f} ms, limit {limit:.2f}: {verdict}")
        kept = kept and took <= limit * floor
    return kept


def _least(rounds: int, *measurements: Callable[[], float]) -> list[float]:
    taken = [[measurement() for measurement in measurements] for _ in range(rounds)]
    return [min(of_one) for of_one in zip(*taken)]


def _in_process(act: Callable[[], object]) -> float:
    began = time.process_time()
    act()
    return time.process_time() - began


def _as_process(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _look(spool: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        status.run(spool=str(spool))


def _read(spool: Path) -> None:
    for directory, _, names in os.walk(spool):
        for name in names:
            with open(os.path.join(directory, name), "rb") as file:
                for line in file:
                    with contextlib.suppress(ValueError):
                        json.loads(line)
