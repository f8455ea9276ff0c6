"""A worker that captures a thousand events, and prints by how many bytes it has grown, and holds more than before."""

from __future__ import annotations

import gc
import logging
import os
import tracemalloc
from collections.abc import Iterable

import lastword
from tests.support.prelude import acked


class OrderError(Exception):
    pass


def fail(number: int) -> None:
    order = {"id": number, "lines": [f"line {number} {n}" for n in range(20)]}
    note = f"a text of number {number} " * 5
    raise OrderError(f"order {number} failed", order)


def capture(numbers: Iterable[int]) -> None:
    for number in numbers:
        lastword.set_tag("order", number)
        lastword.add_breadcrumb(f"order {number}", data={"number": number})
        try:
            fail(number)
        except OrderError:
            acked(lastword.capture_exception())
            logging.getLogger("orders").error("number %d", number)
        if number % 10 == 0:
            acked(lastword.capture_message(f"message {number}"))


def held() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


capture(range(10))
before = resident()
capture(range(10, 480))  # each is an exception and a log record, and some are a message too
grown = resident() - before
tracemalloc.start()
capture(range(10))
before = held()
capture(range(10, 130))
print(f"grown:{grown}:{held() - before}")
