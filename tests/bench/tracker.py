"""A tracker in a process of its own that steps back before everybody else, as one on another machine would.

    python -m tests.bench.tracker

It writes its DSN and serves until its standard input ends.
"""

from __future__ import annotations

import os
import sys

from lastword.testing import LoopbackTracker

if __name__ == "__main__":
    os.nice(19)
    with LoopbackTracker() as tracker:
        sys.stdout.write(tracker.dsn + "\n")
        sys.stdout.flush()
        sys.stdin.read()
