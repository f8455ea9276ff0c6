"""The demo's load: errors at an even pace in both servers, and kills of workers right after they have answered."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Callable, Optional

from lastword.cli.demo import broker
from lastword.cli.demo.broker import TaskSender
from lastword.cli.demo.failures import Ack, AckFile
from lastword.cli.demo.plan import Plan
from lastword.cli.demo.servers import Server

_CLIENTS = 3
#: Seconds without a new ack after which, with all tasks sent, no more acks are expected.
_QUIET = 5.0


class Traffic:
    """Requests and tasks, which threads send from ``start`` until all are answered or ``stop`` is called.

    ``killed`` is the number of workers killed so far.
    """

    def __init__(self, plan: Plan, gunicorn: Server, port: int, celery: Server, sender: TaskSender, acks: Path) -> None:
        self.killed = 0
        self._plan = plan
        self._gunicorn, self._port = gunicorn, port
        self._celery, self._sender = celery, sender
        self._acks = AckFile(acks)
        self._name = f"demo-{uuid.uuid4().hex[:8]}"
        self._counting = threading.Lock()
        self._request_numbers = iter(range(plan.requests))
        self._began = 0.0
        self._stopped = threading.Event()
        self._trouble: Optional[Exception] = None
        works = [self._visit_pages] * _CLIENTS + [self._queue_tasks]
        self._threads = [threading.Thread(target=self._run, args=(work,), daemon=True) for work in works]

    def start(self) -> None:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End early; return once the threads have ended."""
        self._stopped.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    @property
    def running(self) -> bool:
        """Whether a thread is still running; raises the exception that a thread failed with."""
        if self._trouble is not None:
            raise self._trouble
        return any(thread.is_alive() for thread in self._threads)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self._trouble = error

    def _pause_until(self, share: float) -> None:
        """Wait until ``share`` of the planned time is over."""
        self._stopped.wait(max(0.0, share * self._plan.seconds - self.elapsed))

    def _visit_pages(self) -> None:
        doomed = _spread(self._plan.request_kills, self._plan.requests)
        for number in self._next_requests():
            self._pause_until(number / self._plan.requests)
            ack = self._visit(f"{self._name}-web-{number:04d}")
            if ack is not None and number in doomed:
                self._kill(self._gunicorn, ack.pid)

    def _next_requests(self) -> Iterator[int]:
        """Yield numbers that no other client has taken."""
        while not self._stopped.is_set():
            with self._counting:
                number = next(self._request_numbers, None)
            if number is None:
                return
            yield number

    def _visit(self, marker: str) -> Optional[Ack]:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)) as connection:
            try:
                connection.request("GET", f"/{marker}")
                return Ack(**json.loads(connection.getresponse().read()))
            except (OSError, http.client.HTTPException):
                return None  # its worker was killed on behalf of another client

    def _queue_tasks(self) -> None:
        doomed = {self._task_marker(number) for number in _spread(self._plan.task_kills, self._plan.tasks)}
        expected = set()
        for number in range(self._plan.tasks):
            marker = self._task_marker(number)
            self._sender.send(broker.FAIL, marker, marker in doomed)
            expected.add(marker)
            while not self._stopped.is_set() and self.elapsed < (number + 1) / self._plan.tasks * self._plan.seconds:
                expected -= self._kill_doomed(doomed)
        quiet_since = time.monotonic()
        while expected and not self._stopped.is_set() and time.monotonic() - quiet_since < _QUIET:
            acknowledged = self._kill_doomed(doomed)
            if acknowledged:
                quiet_since = time.monotonic()
            expected -= acknowledged

    def _task_marker(self, number: int) -> str:
        return f"{self._name}-task-{number:04d}"

    def _kill_doomed(self, doomed: set[str]) -> set[str]:
        """Read the new acks and kill each worker whose task is in ``doomed``; return the markers of all new acks."""
        new = self._acks.read_new()
        for ack in new:
            if ack.marker in doomed:
                self._kill(self._celery, ack.pid)
        self._stopped.wait(0.01)
        return {ack.marker for ack in new}

    def _kill(self, server: Server, pid: int) -> None:
        if server.kill_worker(pid):
            with self._counting:
                self.killed += 1


def _spread(count: int, total: int) -> set[int]:
    """Return ``count`` numbers below ``total``, evenly spread."""
    return set(itertools.islice(range(total // count // 2, total, total // count), count)) if count else set()
