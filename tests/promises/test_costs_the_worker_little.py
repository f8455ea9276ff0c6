"""The promise: a worker that reports has no thread, no socket and no library that it would not have without it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from lastword.testing import LoopbackTracker
from tests.support import needs
from tests.support.programs import PROGRAMS, run, wait_until_no_flusher
from tests.support.promise import Section, promise


@needs.capability(sys.platform.startswith("linux"), "/proc")
def test_worker_after_captures_has_one_thread_and_few_open_files(tmp_path: Path) -> None:
    """After captures and a flush: one thread, no socket, two files of the spool open, nothing foreign imported."""
    spool = tmp_path / "spool"
    with LoopbackTracker() as tracker:
        before = foreign_modules_at_start(spool)
        *_, told = run(PROGRAMS / "looks_around.py", spool=spool, dsn=tracker.dsn)
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


@promise(Section.BOUNDED, "A thousand events leave nothing in a worker's memory", broken_by="every body kept in a list")
@needs.capability(sys.platform.startswith("linux") and sys.implementation.name == "cpython", "/proc and tracemalloc")
def test_a_thousand_events_leave_nothing_in_memory(tmp_path: Path) -> None:
    """After 1,000 events a worker has grown by less than 1 MB since its tenth; what is kept for each is nothing."""
    *_, told = run(PROGRAMS / "grows.py", spool=tmp_path / "spool")
    _, resident, held = told.split(":")
    assert int(resident) < 1_000_000
    assert int(held) < 40_000
