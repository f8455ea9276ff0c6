"""A program whose threads capture all the time forks again and again; see tests/chaos/fork.py."""

from __future__ import annotations

import ctypes
import itertools
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable

import lastword
from lastword import sdk
from tests.support import prelude  # noqa: F401 - sets lastword up

forks, has_libc_fork = int(sys.argv[1]), sys.argv[2] == "libc"
hookless_fork: Callable[[], int] = ctypes.PyDLL(None).fork if has_libc_fork else os.fork
sys.setswitchinterval(1000)  # a thread that waits for the GIL does not ask for it: a request would outlive the fork
over = False


def capture_all_the_time() -> None:
    client = sdk.current_client()
    assert client is not None
    while not over:
        acked_by(os.getpid(), lastword.capture_message("from a thread"))
        for _ in range(20):
            lastword.flush(0)
            client.pending.ensure_flusher()
            time.sleep(0.001)


def acked_by(pid: int, event_id: str | None) -> None:
    assert event_id is not None
    os.write(1, b"%d:%s\n" % (pid, event_id.encode()))


def child(out: int) -> None:
    pid = os.getpid()
    for _ in range(10):
        os.write(out, b"")
    os.write(out, b"!")
    acked_by(pid, lastword.capture_message("from a child"))
    os._exit(0)


def end_of(pid: int, reading: int) -> str:
    runs = select.select([reading], [], [], 0.5)[0]
    deadline = time.monotonic() + 20
    while runs and time.monotonic() < deadline:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return "ended"
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hung" if runs else "spoilt"


threads = [threading.Thread(target=capture_all_the_time) for _ in range(4)]
for thread in threads:
    thread.start()
try:
    for fork in itertools.islice(itertools.cycle((os.fork, hookless_fork)), forks):
        reading, out = os.pipe()
        pid = fork()
        if pid == 0:
            try:
                child(out)
            finally:
                os._exit(1)
        os.close(out)
        end = end_of(pid, reading)
        os.close(reading)
        if end != "ended":
            os.write(1, end.encode() + b":\n")
finally:
    over = True
for thread in threads:
    thread.join()
