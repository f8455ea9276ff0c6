"""The way from the demo to its Celery worker: a folder of messages, which needs no server."""

from __future__ import annotations

from pathlib import Path

from celery import Celery  # type: ignore[import-untyped]

#: Where the worker finds the path of the broker's folder.
FOLDER = "DEMO_BROKER_FOLDER"
READY, FAIL = "demo.ready", "demo.fail"


def celery_application(folder: Path) -> Celery:
    """The application for the worker, which takes its messages out of ``folder``/in."""
    return _application(folder, out="in")


class TaskSender:
    """Sends tasks by their names alone: this process does not import what the worker runs."""

    def __init__(self, folder: Path) -> None:
        for name in ("in", "out", "control"):
            (folder / name).mkdir(parents=True)
        self._folder = folder
        self._application = _application(folder, out="out")

    def send(self, task: str, *arguments: object) -> None:
        """Queue a task, as ``task.delay(*arguments)`` would.

        kombu writes a message in the place where the worker looks for it, and the worker may find it half written.
        So it is written aside and moved there whole.
        """
        self._application.send_task(task, arguments)
        for message in (self._folder / "out").iterdir():
            message.rename(self._folder / "in" / message.name)


def _application(folder: Path, *, out: str) -> Celery:
    application = Celery("lastword-demo", broker="filesystem://")
    application.conf.update(
        broker_transport_options={
            "data_folder_in": str(folder / "in"),
            "data_folder_out": str(folder / out),
            "control_folder": str(folder / "control"),
            "polling_interval": 0.05,
        },
        broker_connection_retry_on_startup=True,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
    )
    return application
