"""Reports each use of a descriptor below 3 while that is a file of the spool, in this process and in a forked child."""

from __future__ import annotations

import json
import os
from typing import Any

used: list[tuple[str, int, str]] = []


def note_uses(name: str) -> None:
    call = getattr(os, name)

    def noting(descriptor: Any, *arguments: Any) -> Any:
        if isinstance(descriptor, int) and descriptor < 3:
            try:
                path = os.readlink(f"/proc/self/fd/{descriptor}")
            except OSError:
                path = ""
            if os.environ["TEST_SPOOL"] in path:
                used.append((name, descriptor, path))
        return call(descriptor, *arguments)

    setattr(os, name, noting)


for each in ("write", "pwrite", "read", "pread", "fstat", "lseek", "scandir"):
    note_uses(each)

import lastword  # noqa: E402 - what it takes of os is noted

if os.environ["CLOSES"]:
    for descriptor in (0, 1, 2):
        os.close(descriptor)
flusher: Any = os.environ["FLUSHER"]
lastword.init(os.environ["TEST_DSN"], spool=os.environ["TEST_SPOOL"], flusher=flusher, flood_burst=0)
ids = [lastword.capture_message("x" * 9000) for _ in range(130)]  # more than a segment
for number in (1, 2):
    try:
        os.write(number, b"what the program prints")
    except OSError:
        pass
if os.fork() == 0:
    ids = [lastword.capture_message("from a child")]
    os._exit(0 if ids[0] and not used else 1)
child = os.wait()[1]
lastword.flush(20)
mine = [
    each
    for each in os.listdir("/proc/self/fd")
    if int(each) < 3
    and os.path.exists("/proc/self/fd/" + each)
    and os.environ["TEST_SPOOL"] in os.readlink("/proc/self/fd/" + each)
]
with open(os.environ["REPORT"], "w") as report:
    json.dump({"used": used, "mine": mine, "kept": sum(map(bool, ids)), "child": child}, report)
