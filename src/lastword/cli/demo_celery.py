"""The demo's Celery application, as the worker imports it: in its main process, before the pool forks."""

from __future__ import annotations

import os
import time

import lastword
from lastword.cli.demo_broker import BROKER_FOLDER, TASK, celery_application
from lastword.cli.demo_failures import fail_and_report

#: A task that is to be killed stays so long at most; the kill comes within a fraction of it.
PATIENCE = 10.0

lastword.init()
app = celery_application(os.environ[BROKER_FOLDER])


def fail(marker: str, stay: bool) -> None:
    """Raise an error and report it; with ``stay``, wait in the middle of the task to be killed."""
    fail_and_report(marker)
    if stay:
        time.sleep(PATIENCE)


app.task(fail, name=TASK)
