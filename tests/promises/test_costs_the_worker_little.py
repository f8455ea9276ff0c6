"""The promise: a worker that reports has no thread, no socket and no library that it would not have without it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from lastword.testing import LoopbackTracker
from tests.support import needs
from tests.support.programs import run, wait_until_no_flusher

LOOK_AROUND = """
import json
acked(lastword.capture_message("one"))
try:
    1 / 0
except ZeroDivisionError:
    acked(lastword.capture_exception())
assert lastword.flush(20)
acked(lastword.capture_message("another"))
descriptors = []
for name in os.listdir("/proc/self/fd"):
    try:
        descriptors.append(os.readlink("/proc/self/fd/" + name))
    except FileNotFoundError:
        pass
print(json.dumps({
    "threads": len(os.listdir("/proc/self/task")),
    "sockets": [path for path in descriptors if path.startswith("socket:")],
    "spool": [path for path in descriptors if path.startswith(os.environ["TEST_SPOOL"])],
    "foreign": sorted(
        name for name, module in sys.modules.items()
        if "site-packages" in (getattr(module, "__file__", None) or "") and not name.startswith("lastword")
    ),
    "read": [name for name in sys.modules if name.startswith(("lastword.flusher", "lastword.transport.http_sender"))],
}, separators=(",", ":")))
"""


@needs.capability(sys.platform.startswith("linux"), "/proc")
def test_a_worker_that_captured(tmp_path: Path) -> None:
    """After captures and a flush: one thread, no socket, two files of the spool open, nothing foreign imported."""
    spool = tmp_path / "spool"
    with LoopbackTracker() as tracker:
        before = foreign_modules_at_start(spool)
        *_, told = run(LOOK_AROUND, spool=spool, dsn=tracker.dsn)
        wait_until_no_flusher(spool)
    found = json.loads(told)
    assert found["threads"] == 1
    assert found["sockets"] == []
    assert [os.path.basename(path) for path in sorted(found["spool"])] == ["000001.seg", "alive.lock"]
    assert set(found["foreign"]) <= before
    assert found["read"] == []


def foreign_modules_at_start(spool: Path) -> set[str]:
    """What this environment's ``.pth`` files load into every program."""
    body = "print(','.join(n for n, m in sys.modules.items() if 'site-packages' in (getattr(m, '__file__', 0) or '')))"
    told = run(body, spool=spool)
    return set(",".join(told).split(","))


GROW = """
import gc, logging, tracemalloc

class OrderError(Exception):
    pass

def fail(number):
    order = {"id": number, "lines": [f"line {number} {n}" for n in range(20)]}
    note = f"a text of number {number} " * 5
    raise OrderError(f"order {number} failed", order)

def capture(numbers):
    for number in numbers:
        lastword.set_tag("order", number)
        lastword.add_breadcrumb(f"order {number}", data={"number": number})
        try:
            fail(number)
        except OrderError as error:
            acked(lastword.capture_exception())
            logging.getLogger("orders").error("number %d", number)
        if number % 10 == 0:
            acked(lastword.capture_message(f"message {number}"))

def held():
    gc.collect()
    return tracemalloc.get_traced_memory()[0]

def resident():
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
"""


@needs.capability(sys.platform.startswith("linux") and sys.implementation.name == "cpython", "/proc and tracemalloc")
def test_a_thousand_events_leave_nothing_in_memory(tmp_path: Path) -> None:
    """After 1,000 events a worker has grown by less than 1 MB since its tenth; what is kept for each is nothing."""
    *_, told = run(GROW, spool=tmp_path / "spool")
    _, resident, held = told.split(":")
    assert int(resident) < 1_000_000
    assert int(held) < 40_000
