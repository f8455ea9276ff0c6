"""A leader that looks and sweeps without a pause, until its input ends; it writes a byte for each look into a file."""

from __future__ import annotations

import os
import sys
import threading

from lastword.flusher.leadership import Leadership
from lastword.flusher.settle import sweep_births
from lastword.spool.layout import Layout
from lastword.spool.lock import LifetimeLock
from tests.support.prelude import acked

layout = Layout(os.environ["TEST_SPOOL"])
layout.prepare()
lock = LifetimeLock.acquire(layout.flusher_lock)
leader = os.getpid()
if os.fork() == 0:
    while os.getppid() == leader:
        sweep_births(layout)
    os._exit(0)
over: list[str] = []
threading.Thread(target=lambda: over.append(sys.stdin.read())).start()
with open(sys.argv[1], "wb", buffering=0) as looks:
    acked("scanning")
    while not over:
        leadership = Leadership(layout)
        leadership.look()
        leadership.work()
        leadership.finish()
        looks.write(b"x")
