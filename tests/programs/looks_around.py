"""A worker that captured and flushed prints what it has: threads, descriptors, modules."""

from __future__ import annotations

import json
import os
import sys

import lastword
from tests.support.prelude import acked

acked(lastword.capture_message("one"))
try:
    _ = 1 / 0
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
found = {
    "threads": len(os.listdir("/proc/self/task")),
    "sockets": [path for path in descriptors if path.startswith("socket:")],
    "spool": [path for path in descriptors if path.startswith(os.environ["TEST_SPOOL"])],
    "foreign": sorted(
        name
        for name, module in sys.modules.items()
        if "site-packages" in (getattr(module, "__file__", None) or "") and not name.startswith("lastword")
    ),
    "read": [name for name in sys.modules if name.startswith(("lastword.flusher", "lastword.transport.http_sender"))],
}
print(json.dumps(found, separators=(",", ":")))
