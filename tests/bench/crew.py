"""A crew: processes forked from one program that each do so many pieces of work a second, and time each piece.

    python -m tests.bench.crew '{"directory": …, "processes": 64, "seconds": 5, "rate": 10, "dsn": …, "compute": 0}'

A piece is the capture of an exception with ten frames; an empty DSN keeps it in the spool. Or, where ``compute`` is
given, it is nothing but so many seconds of computing, which shows how long one waits for a processor here. Each process
leaves a file in the directory, three 8-byte floats for each piece, the first piece of the process first: the seconds
that it took, those in which it computed, and those in which it could have and waited for a processor (0 where the
kernel does not tell). The exit status is not 0 when a process failed.
"""

from __future__ import annotations

import array
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lastword

#: Seconds between the births of two writers, which cost more than captures do and are not what is measured.
BIRTH = 0.03

#: Seconds from the last birth to the first piece that counts.
REST = 1.0

DEPTH = 10


def main(directory: str, processes: int, seconds: float, rate: float, dsn: str = "", compute: float = 0.0) -> int:
    lastword.init(dsn or None, spool=Path(directory) / "spool", flood_burst=0, flusher="auto" if dsn else "hold")
    piece = (lambda: _compute(compute)) if compute else _capture
    now = time.monotonic()
    begin = now + processes * BIRTH + REST
    children = []
    for number in range(processes):
        child = os.fork()
        if child == 0:
            # Their pieces are spread over the period, as those of processes that know nothing of one another are.
            due = [now + number * BIRTH]
            due += [begin + number / processes / rate + event / rate for event in range(int(seconds * rate))]
            _work(Path(directory) / f"{os.getpid()}.times", piece, due)
            os._exit(0)
        children.append(child)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    return int(any(statuses))


def _work(results: Path, piece: Callable[[], None], due: list[float]) -> None:
    # Forked from one program, they would all come to collect their garbage at the same piece.
    gc.collect()
    times = array.array("d")
    for moment in due:
        time.sleep(max(0.0, moment - time.monotonic()))
        try:
            _fail(DEPTH, {"number": len(times), "state": "paid"}, ["book", "pen"])
        except ValueError:
            queued, began, computed = _queued(), time.perf_counter(), time.thread_time()
            piece()
            times.extend((time.perf_counter() - began, time.thread_time() - computed, _queued() - queued))
    results.write_bytes(times.tobytes())


def _queued() -> float:
    """Seconds for which this thread has waited for a processor in its life."""
    try:
        with open("/proc/thread-self/schedstat", "rb", buffering=0) as file:
            return int(file.read(64).split()[1]) / 1e9
    except OSError:
        return 0.0


def _fail(depth: int, order: dict[str, Any], articles: list[str]) -> None:
    left = depth - 1
    if not left:
        raise ValueError(f"no price for {articles[0]!r}")
    _fail(left, order, articles)


def _capture() -> None:
    if lastword.capture_exception() is None:
        os._exit(3)


def _compute(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


if __name__ == "__main__":
    sys.exit(main(**json.loads(sys.argv[1])))
