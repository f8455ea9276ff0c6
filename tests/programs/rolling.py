"""Six threads fill segments, while a signal handler and finalizers capture and another thread has files of its own."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time

import lastword
from lastword import sdk
from lastword.assembly import message_event
from tests.support.prelude import acked


class Cycle:
    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        acked(lastword.capture_message("from a finalizer"))


def fill() -> None:
    client = sdk.current_client()
    assert client is not None
    for _ in range(80):
        event = message_event("x", level="info", settings=client.settings)
        event["message"] = "x" * 60_000
        acked(client.recorder.record(event))
        Cycle()


def use_files_of_its_own() -> None:
    while not over:
        with open(own, "w+b", buffering=0) as file:
            file.write(b"mine")
            time.sleep(0.001)
            file.seek(0)
            assert file.read() == b"mine"


over, own = False, os.environ["TEST_SPOOL"] + "-own"
if hasattr(gc, "set_threshold"):  # PyPy's collector comes when it likes
    gc.set_threshold(20)


def handler(*_: object) -> None:
    acked(lastword.capture_message("from a signal handler"))
    if not over:
        signal.setitimer(signal.ITIMER_REAL, 0.01)


signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.01)
threads = [threading.Thread(target=fill) for _ in range(6)]
bystander = threading.Thread(target=use_files_of_its_own)
for thread in [*threads, bystander]:
    thread.start()
for thread in threads:
    thread.join()
over = True
signal.setitimer(signal.ITIMER_REAL, 0)
bystander.join()
gc.collect()
