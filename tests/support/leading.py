"""A flusher in a thread of the test."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lastword.flusher.loop import Flusher
from lastword.spool import start
from lastword.spool.layout import Layout
from lastword.spool.ledger import Ledger
from lastword.spool.lock import holder
from tests.support.programs import wait_until


@contextmanager
def led(layout: Layout) -> Iterator[None]:
    """A flusher is at work."""
    flusher = Flusher(layout)
    thread = threading.Thread(target=flusher.run)
    thread.start()
    try:
        wait_until(lambda: holder(layout.flusher_lock), "a leader")
        yield
    except BaseException:
        known = {to: vars(health) for to, health in Ledger.load(layout).destinations.items()}
        sys.stdout.write(f"the ledger at {time.time()}: {known}\n")
        raise
    finally:
        flusher.stop(0.0)
        thread.join(30)
        start.clear_failures(layout)
        assert not thread.is_alive()
