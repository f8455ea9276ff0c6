"""In each of many spools one process captures, and at any moment of its flusher's life another one, the last."""

from __future__ import annotations

import os
import random
import sys
import time
from typing import Any

import lastword
from lastword import launch
from lastword.flusher import schedule, settle
from lastword.flusher.loop import Flusher
from lastword.spool import start
from lastword.spool.layout import Layout
from lastword.spool.lock import LifetimeLock, holder
from tests.support.prelude import acked

# Not 0: a flusher that leaves beside a living writer is none of ours, and does strand what that one writes next.
schedule.LINGER_EMPTY, schedule.LOOK_INTERVAL, settle.GRAVE_TIME = 1e-6, 0.001, 0.0

release = LifetimeLock.release


def release_late(lock: LifetimeLock) -> None:
    time.sleep(0.01)  # so that many a capture still finds it leading, and starts nobody
    release(lock)


def spawn(layout: Layout, *_: Any, **__: Any) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            if os.fork() == 0:
                os.close(1)
                os.close(2)
                if holder(layout.flusher_lock) is None:
                    LifetimeLock.release = release_late  # type: ignore[method-assign,assignment]
                    Flusher(layout).run()
                else:
                    start.clear_failures(layout)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def capture(message: str) -> None:
    pid = os.fork()
    if pid == 0:
        acked(lastword.capture_message(message))
        os._exit(0)
    os.waitpid(pid, 0)


launch.spawn = spawn
for number in range(int(sys.argv[1])):
    spool = os.environ["TEST_SPOOL"] + str(number)
    lastword.init(os.environ["TEST_DSN"], spool=spool)
    capture("the first")
    until = time.monotonic() + 0.1
    while number % 2 and holder(spool + "/v1/flusher.lock") is None and time.monotonic() < until:
        pass  # every other time from its election on
    time.sleep(random.uniform(0, 0.03))
    capture("the last")
