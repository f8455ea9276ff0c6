"""What a program under test begins with: lastword set up on the test's spool, and a way to acknowledge its events.

Programs in tests/programs import it; to shorter ones, that tests have as texts, programs.py prepends this file.
"""

import os
import signal
import sys  # noqa: F401 - for the short programs
import threading  # noqa: F401
import time  # noqa: F401

import lastword


def acked(event_id: "str | None") -> None:
    """Say on standard output that ``capture`` has returned."""
    assert event_id is not None
    os.write(1, (event_id + "\n").encode())


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


lastword.init(os.environ.get("TEST_DSN"), spool=os.environ["TEST_SPOOL"], flood_burst=0)
