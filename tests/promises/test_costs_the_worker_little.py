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
    "read": [name for name in sys.modules if name.startswith(("lastword.flusher", "lastword.http_sender"))],
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
