"""The demo's load: errors at an even pace in both servers, and the killing of workers that have just answered."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from lastword.cli.demo_broker import TaskSender
from lastword.cli.demo_failures import Ack, AckFile
from lastword.cli.demo_servers import Server

_CLIENTS = 3


@dataclass(frozen=True)
class Plan:
    """How much the demo does, in how many seconds."""

    requests: int
    tasks: int
    request_kills: int
    task_kills: int
    seconds: float
    outage: float  # seconds without a tracker, in the middle


FULL = Plan(requests=420, tasks=120, request_kills=12, task_kills=4, seconds=14.0, outage=4.0)
SHORT = Plan(requests=60, tasks=20, request_kills=4, task_kills=1, seconds=4.0, outage=1.5)


class Traffic:
    """Sends requests and tasks in threads of its own, from ``start`` until all are answered, or until ``stop``."""

    def __init__(self, plan: Plan, gunicorn: Server, port: int, celery: Server, sender: TaskSender, acks: Path) -> None:
        self._plan = plan
        self._gunicorn, self._port = gunicorn, port
        self._celery, self._sender = celery, sender
        self._acks = AckFile(acks)
        self._run = uuid.uuid4().hex[:8]
        self._numbers = itertools.count()
        self._numbers_lock = threading.Lock()
        self._began = 0.0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._visit_pages, daemon=True) for _ in range(_CLIENTS)]
        self._threads.append(threading.Thread(target=self._send_tasks, daemon=True))
        self.kills = 0
        self.unanswered = 0  # requests cut by the kill of their worker, tasks whose worker was killed before they ran

    def start(self) -> None:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    @property
    def running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def _visit_pages(self) -> None:
        doomed = _evenly(self._plan.request_kills, self._plan.requests)
        while not self._stop.is_set():
            with self._numbers_lock:
                number = next(self._numbers)
            if number >= self._plan.requests:
                return
            self._wait_until(number / self._plan.requests)
            ack = self._visit(f"demo-{self._run}-web-{number:04d}")
            if ack is not None and number in doomed:
                self._kill(self._gunicorn, ack)

    def _visit(self, marker: str) -> Optional[Ack]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("GET", f"/{marker}")
            return Ack(**json.loads(connection.getresponse().read()))
        except (OSError, http.client.HTTPException):
            self.unanswered += 1
            return None
        finally:
            connection.close()
