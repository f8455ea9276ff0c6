"""The demo's Celery application, as the worker imports it: in its main process, before the pool forks."""

from __future__ import annotations

import os
import time
from pathlib import Path

import lastword
from lastword.cli.demo import broker
from lastword.cli.demo.failures import fail_and_report

#: A task that is to be killed stays so long at most; the kill comes within a fraction of it.
PATIENCE = 10.0

lastword.init(flood_burst=0)  # this program does nothing but fail, at one line
app = broker.celery_application(Path(os.environ[broker.FOLDER]))


def ready(sign: str) -> None:
    """Show that tasks are run, by making the file ``sign``."""
    Path(sign).touch()


def fail(marker: str, stay: bool) -> None:
    """Raise an error and report it; with ``stay``, wait in the middle of the task to be killed."""
    fail_and_report(marker)
    if stay:
        time.sleep(PATIENCE)


app.task(ready, name=broker.READY)
app.task(fail, name=broker.FAIL)
