"""Threads that run on while their stacks are read, three hundred times; prints how often, and whether any were seen."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator

from lastword.capture.budget import Room
from lastword.capture.threads import other_threads

sys.setswitchinterval(0.0002)
stop = False


def generate(n: int) -> Iterator[int]:
    yield n
    yield from generate(n - 1) if n else ()


def down(n: int) -> int:
    if n:
        return [down(n - 1) for _ in "1"][0] + sum(generate(3))  # noqa: RUF015 - frames of all kinds
    try:
        raise ValueError
    except ValueError:
        return 0


def busy() -> None:
    while not stop:
        down(12)


threads = [threading.Thread(target=busy) for _ in range(6)]
for thread in threads:
    thread.start()
looks = functions = 0
until = time.monotonic() + 120
while looks < 300 and time.monotonic() < until:
    stacks = other_threads(Room(), at_any_price=True)
    looks += len(stacks) >= 6
    functions += sum(function == "down" for stack in stacks for _, function, _ in stack["calls"])
stop = True
for thread in threads:
    thread.join()
print(looks, functions > looks)
