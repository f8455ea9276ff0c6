"""The demo's Celery application; the worker imports it in its main process, before the pool forks."""

from __future__ import annotations

import os
import time
from pathlib import Path

import lastword
from lastword.cli.demo import broker
from lastword.cli.demo.failures import fail_and_report

#: Seconds that a task waits to be killed, at most; the kill comes within a fraction of this.
PATIENCE = 10.0

lastword.init(flood_burst=0)  # no flood limit: this program fails at one line, on purpose
app = broker.celery_application(Path(os.environ[broker.FOLDER]))


def ready(sign: str) -> None:
    """Show that the worker runs tasks, by creating the file ``sign``."""
    Path(sign).touch()


def fail(marker: str, stay: bool) -> None:
    """Raise an error and report it; with ``stay``, then wait within the task to be killed."""
    fail_and_report(marker)
    if stay:
        time.sleep(PATIENCE)


app.task(ready, name=broker.READY)
app.task(fail, name=broker.FAIL)
