"""Real servers that run an application whose requests fail, each with a tracker and a spool of its own."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from lastword.audit.accounts import read_accounts
from lastword.cli.demo import broker
from lastword.cli.demo.failures import ACK_FILE, AckFile
from lastword.cli.demo.servers import Server, server_environment, start_celery
from lastword.flusher.in_program import lead
from lastword.spool.layout import Layout
from lastword.spool.lock import holder
from lastword.testing import LoopbackTracker
from tests.support.programs import wait_until, wait_until_no_flusher
from tests.support.zombies import zombies_below

#: What every server runs: a failure for each request, acknowledged once it is safe.
APPLICATION = """\
import json, os
import lastword

lastword.init()

def application(environ, start_response):
    _, what, *marker = environ["PATH_INFO"].split("/")
    answer = {"pid": os.getpid()}
    if what == "fail":
        try:
            raise ValueError(marker[0])
        except ValueError:
            answer["id"] = lastword.capture_exception()
    elif what == "flush":
        answer["settled"] = lastword.flush(10)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
"""

FAILURES = 6
MODES = ("process", "thread", "external")
MARKER = re.compile("(process|thread|external)-[0-9]+")


class Site:
    """One server under test: its spool, its port, and a tracker of its own."""

    def __init__(self, mode: str, folder: Path, tracker: LoopbackTracker) -> None:
        folder.mkdir()
        (folder / "application.py").write_text(APPLICATION)
        self.mode = mode
        self.folder = folder
        self.tracker = tracker
        self.spool = folder / "spool"
        self.failed: set[str] = set()
        self._was_asked = False
        self._markers = (f"{mode}-{number}" for number in count())
        settings = {"LASTWORD_DSN": tracker.dsn, "LASTWORD_SPOOL": str(self.spool), "LASTWORD_FLUSHER": mode}
        self.environment = server_environment(folder, PYTHONWARNINGS="always::DeprecationWarning", **settings)

    @contextmanager
    def served_by(self, *command: str) -> Iterator[None]:
        """Run a server that takes a listening socket as its ``{fd}``."""
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
            self._port = listener.getsockname()[1]
            filled = [word.format(fd=listener.fileno()) for word in command]
            server = Server(self.mode, filled, self.folder, self.environment, keep=[listener.fileno()])
        with self._attended(server):
            yield

    @contextmanager
    def worked_by_celery(self) -> Iterator[None]:
        """Run a Celery worker, whose tasks fail and say so in a file. Its own end takes seconds: it is killed."""
        queue, self._acks = self.folder / "broker", AckFile(self.folder / "acks")
        self._tasks = broker.TaskSender(queue)
        environment = {**self.environment, broker.FOLDER: str(queue), ACK_FILE: str(self.folder / "acks")}
        self._server = start_celery(self.folder, environment)
        try:
            yield
        finally:
            self._server.end(patience=0)
        self._check_log()

    @contextmanager
    def _attended(self, server: Server) -> Iterator[None]:
        """At the end it must end well."""
        self._server = server
        try:
            yield
        finally:
            self.ask_to_stop()
            server.end(patience=20)
        assert server._process.returncode == 0, server.log_tail()
        self._check_log()

    def _check_log(self) -> None:
        """It must not have complained of anything that is our doing."""
        log = self._server.log_tail(10_000)
        assert not any(word in log for word in ("Traceback (most recent", "multi-threaded")), log

    def ask_to_stop(self) -> None:
        """Once: asked again while it leaves, gunicorn dies of it."""
        if not self._was_asked:
            self._was_asked = True
            self._server.ask_to_stop()

    def get(self, path: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request("GET", path)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()

    def fail(self) -> int:
        """Have a request fail; the pid of the worker that captured it."""
        marker = next(self._markers)
        answer = self.get(f"/fail/{marker}")
        assert answer["id"] is not None
        self.failed.add(marker)
        pid: int = answer["pid"]
        return pid

    def send_tasks(self, number: int) -> set[str]:
        """Have so many tasks fail, soon; returns their markers."""
        markers = {next(self._markers) for _ in range(number)}
        self.failed |= markers
        for marker in markers:
            self._tasks.send(broker.FAIL, marker, False)
        return markers

    def await_tasks(self, markers: set[str]) -> set[int]:
        """Wait until they have failed; the pids of the pool's processes that captured them."""
        wait_until(lambda: self._acked() >= markers, f"the tasks of {markers}", timeout=60)
        return {ack.pid for ack in self._acks.acks if ack.marker in markers}

    def _acked(self) -> set[str]:
        self._acks.read_new()
        return {ack.marker for ack in self._acks.acks if ack.id is not None}

    def all_arrived(self) -> bool:
        return sorted(self.arrived()) == sorted(self.failed)

    def arrived(self) -> list[str]:
        """The markers in what the tracker has."""
        return [found[0] for event in self.tracker.events if (found := MARKER.search(event.message))]

    def send_all(self) -> None:
        """Do what `lastword flush` does."""
        lead(Layout(str(self.spool)), until=lambda: read_accounts(self.spool).held == 0)

    def leader(self) -> int:
        """The pid of the process that leads; 0 if none does."""
        return holder(Layout(str(self.spool)).flusher_lock) or 0

    def has_zombies(self) -> bool:
        return bool(zombies_below(self._server._process.pid))


@contextmanager
def sites(folder: Path, modes: Sequence[str] = MODES) -> Iterator[list[Site]]:
    """One for each mode, to be run side by side, since most of it is waiting."""
    with ExitStack() as stack:
        yield [Site(mode, folder / mode, stack.enter_context(LoopbackTracker())) for mode in modes]


def see_all_arrive(site: Site, workers: set[int], *, fail: Callable[[], object]) -> None:
    """What was captured comes, sent by whom it should be, and no zombie stays."""
    wait_until(site.all_arrived, f"all of {site.failed}")
    if site.mode != "external":
        assert (site.leader() in workers) == (site.mode == "thread")

    def is_free_of_zombies() -> bool:
        if not site.has_zombies():
            return True
        fail()  # a capture waits for what an earlier one of its process has started
        return False

    wait_until(is_free_of_zombies, "an end of the zombies")


def see_all_settled(site: Site) -> None:
    """Once the server is gone and nobody leads, nothing that was sent is held, and all of it came once."""
    wait_until_no_flusher(site.spool)
    # Where a thread leads, what another process captured as the last is sent by the next one that has something to say.
    site.send_all()
    accounts = read_accounts(site.spool)
    assert (accounts.recorded, accounts.held, accounts.delivered) == (len(site.failed), 0, len(site.failed))
    assert site.all_arrived()
