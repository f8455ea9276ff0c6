"""A crew: processes forked from one program that each capture so many events a second, and time each capture.

    python -m tests.bench.crew DIRECTORY DSN PROCESSES SECONDS RATE

An empty DSN keeps the events in the spool. Each process leaves a file of its times in DIRECTORY: 8-byte floats, in
seconds, the first capture of the process first. The exit status is that of the worst process.
"""

from __future__ import annotations

import array
import os
import sys
import time
from pathlib import Path

import lastword

#: Seconds between the births of two writers, which cost more than captures do and are not what is measured.
BIRTH = 0.03

#: Seconds from the last birth to the first capture that counts.
REST = 1.0

DEPTH = 10


def main(directory: Path, dsn: str, processes: int, seconds: float, rate: float) -> int:
    lastword.init(dsn or None, spool=directory / "spool", flood_burst=0, flusher="auto" if dsn else "hold")
    now = time.monotonic()
    begin = now + processes * BIRTH + REST
    children = []
    for number in range(processes):
        child = os.fork()
        if child == 0:
            # Their events are spread over the period, as those of processes that know nothing of one another are.
            due = [now + number * BIRTH]
            due += [begin + number / processes / rate + event / rate for event in range(int(seconds * rate))]
            _work(directory, due)
            os._exit(0)
        children.append(child)
    return max(os.WEXITSTATUS(status) or (status and 1) for _, status in (os.waitpid(child, 0) for child in children))


def _work(directory: Path, due: list[float]) -> None:
    times = array.array("d")
    for moment in due:
        time.sleep(max(0.0, moment - time.monotonic()))
        try:
            _fail(DEPTH, {"number": len(times), "state": "paid"}, ["book", "pen"])
        except ValueError:
            before = time.perf_counter()
            event_id = lastword.capture_exception()
            times.append(time.perf_counter() - before)
            if event_id is None:
                os._exit(3)
    (directory / f"{os.getpid()}.times").write_bytes(times.tobytes())


def _fail(depth: int, order: dict[str, object], articles: list[str]) -> None:
    left = depth - 1
    if not left:
        raise ValueError(f"no price for {articles[0]!r}")
    _fail(left, order, articles)


if __name__ == "__main__":
    place, address, how_many, how_long, how_often = sys.argv[1:]
    sys.exit(main(Path(place), address, int(how_many), float(how_long), float(how_often)))
