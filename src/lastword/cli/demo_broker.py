"""The way from the demo to its Celery worker: a folder of messages, which needs no server."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery  # type: ignore[import-untyped]

#: Where the worker finds the path of the broker's folder.
BROKER_FOLDER = "DEMO_BROKER_FOLDER"
TASK = "demo.fail"


def celery_application(folder: str) -> Celery:
    """The application, for the worker; its broker reads ``folder``/in."""
    return _application(folder, out="in")


class TaskSender:
    """Sends tasks to the worker, which is told their names alone: this process does not import what it runs."""

    def __init__(self, folder: Path) -> None:
        for name in ("in", "out", "control"):
            (folder / name).mkdir(parents=True)
        self._folder = folder
        self._application = _application(str(folder), out="out")

    def send(self, marker: str, *, stay: bool) -> None:
        """Put a task into the queue, as ``fail.delay(marker, stay)`` would.

        kombu writes a message at the place where the worker looks for it, so the worker can read half of one. Here it
        is written aside and moved there whole.
        """
        self._application.send_task(TASK, (marker, stay))
        for message in (self._folder / "out").iterdir():
            message.rename(self._folder / "in" / message.name)

    def close(self) -> None:
        self._application.close()


def _application(folder: str, *, out: str) -> Celery:
    application = Celery("lastword-demo", broker="filesystem://")
    application.conf.update(
        broker_transport_options={
            "data_folder_in": os.path.join(folder, "in"),
            "data_folder_out": os.path.join(folder, out),
            "control_folder": os.path.join(folder, "control"),
            "polling_interval": 0.05,
        },
        broker_connection_retry_on_startup=True,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
    )
    return application
