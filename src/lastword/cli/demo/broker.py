"""The demo's Celery broker: a folder of messages, which needs no server."""

from __future__ import annotations

from pathlib import Path

from celery import Celery  # type: ignore[import-untyped]

#: The environment variable with the path of the broker's folder.
FOLDER = "DEMO_BROKER_FOLDER"
READY, FAIL = "demo.ready", "demo.fail"


def celery_application(folder: Path) -> Celery:
    """Return the worker's application, which reads its messages from ``folder``/in."""
    return _application(folder, out="in")


class TaskSender:
    """Send tasks by name: this process does not import the code that the worker runs."""

    def __init__(self, folder: Path) -> None:
        for name in ("in", "out", "control"):
            (folder / name).mkdir(parents=True)
        self._folder = folder
        self._application = _application(folder, out="out")

    def send(self, task: str, *arguments: object) -> None:
        """Queue a task, as ``task.delay(*arguments)`` would.

        kombu would write the message directly into the folder that the worker reads, which may then find it half
        written. So kombu writes it to another folder, and this method moves the whole file.
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
