"""One run of the demo, from the first process that it starts to the last one that it waits for."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from lastword.audit.accounts import Accounts, read_accounts
from lastword.cli.demo import broker, servers
from lastword.cli.demo.broker import TaskSender
from lastword.cli.demo.failures import ACK_FILE, MARKER, AckFile
from lastword.cli.demo.outcome import Outcome
from lastword.cli.demo.plan import Plan
from lastword.cli.demo.screen import Screen
from lastword.cli.demo.servers import Server, ServerError
from lastword.cli.demo.traffic import Traffic
from lastword.spool.layout import Layout
from lastword.spool.lock import holder
from lastword.testing import LoopbackTracker

_START_PATIENCE = 30.0
_DRAIN_PATIENCE = 30.0
#: gunicorn needs a fraction of this. Celery, with this broker, would wait 5 idle seconds for its pool.
_STOP_PATIENCE = 2.0
_FLUSHER_PATIENCE = 6.0
_TICK = 0.1


@dataclass(frozen=True)
class Report:
    """``killed``: the number of workers killed; ``unsettled``: the accounts' text on events that went wrong."""

    outcome: Outcome
    killed: int
    unsettled: str


def perform(wire: str, spool: Optional[Path], plan: Plan, screen: Screen, check: Callable[[], None]) -> Report:
    """Run the demo with a tracker of kind ``wire``. Raises SpoolError, and ServerError if a server fails.

    ``check`` is called ten times a second and ends the run by raising. Everything happens in a temporary directory,
    which is removed afterwards; all processes are ended. Only a given ``spool`` remains, and may keep its flusher.
    """
    with ExitStack() as cleaning:
        folder = cleaning.enter_context(_temporary_folder())
        tracker = cleaning.enter_context(LoopbackTracker(wire))
        spool = (spool or folder / "spool").resolve()
        if folder in spool.parents:
            cleaning.callback(_end_flusher, spool)
        Layout(str(spool)).prepare()
        demo = _Demo(folder, spool, tracker, plan, screen, check)
        cleaning.callback(demo.stop)
        demo.start()
        demo.run()
        demo.stop()
        _wait_for_flusher(spool)
        return demo.report()


class _Demo:
    def __init__(
        self, folder: Path, spool: Path, tracker: LoopbackTracker, plan: Plan, screen: Screen, check: Callable[[], None]
    ) -> None:
        self._folder, self._spool = folder, spool
        self._check = check
        self._tracker, self._plan, self._screen = tracker, plan, screen
        self._acks = AckFile(folder / "acks")
        self._held_before = read_accounts(spool).held
        self._received: Counter[str] = Counter()
        self._events_counted = 0
        self._tracker_is_down = False
        self._servers: list[Server] = []
        self._traffic: Optional[Traffic] = None

    def start(self) -> None:
        """Start both servers; return once both answer."""
        folder = self._folder
        self._screen.say(
            f"starting gunicorn (--preload, {servers.GUNICORN_WORKERS} workers), a Celery worker "
            f"(prefork, {servers.CELERY_WORKERS} processes) and a {self._tracker.wire} tracker on 127.0.0.1"
        )
        environment = servers.server_environment(
            folder,
            LASTWORD_DSN=self._tracker.dsn,
            LASTWORD_SPOOL=str(self._spool),
            LASTWORD_ENVIRONMENT="demo",
            **{ACK_FILE: str(folder / "acks"), broker.FOLDER: str(folder / "broker")},
        )
        sender = TaskSender(folder / "broker")
        gunicorn, port = servers.start_gunicorn(folder, environment)
        self._servers.append(gunicorn)
        celery = servers.start_celery(folder, environment)
        self._servers.append(celery)
        sign = folder / "celery-runs-tasks"
        sender.send(broker.READY, str(sign))
        self._await_start(gunicorn, lambda: _answers(port))
        self._await_start(celery, sign.exists)
        self._traffic = Traffic(self._plan, gunicorn, port, celery, sender, folder / "acks")

    def run(self) -> None:
        """Raise the errors, with the tracker down in the middle; return once all have arrived, or after a timeout."""
        plan, traffic = self._plan, self._running_traffic
        outage = ((plan.seconds - plan.outage) / 2, (plan.seconds + plan.outage) / 2)
        self._screen.say(
            f"raising {plan.requests + plan.tasks} errors in {plan.seconds:g} s; "
            f"killing {plan.request_kills + plan.task_kills} workers; tracker away for {plan.outage:g} s"
        )
        traffic.start()
        while traffic.running:
            self._let_tracker_be(down=outage[0] <= traffic.elapsed < outage[1])
            self._tick()
        self._let_tracker_be(down=False)
        deadline = time.monotonic() + _DRAIN_PATIENCE
        while time.monotonic() < deadline and not self._all_arrived():
            self._tick()

    def stop(self) -> None:
        """End the traffic and both servers; repeated calls are harmless."""
        self._screen.progress("stopping gunicorn and Celery")
        if self._traffic is not None:
            self._traffic.stop()
        for server in self._servers:
            server.ask_to_stop()
        while self._servers:
            self._servers.pop().end(_STOP_PATIENCE)

    def report(self) -> Report:
        """Return the final counts, once nothing is running any more."""
        self._count()
        accounts = read_accounts(self._spool)
        outcome = Outcome.reckon(self._acks.acks, self._received, max(0, accounts.held - self._held_before))
        return Report(outcome, self._running_traffic.killed, _reasons(accounts))

    @property
    def _running_traffic(self) -> Traffic:
        assert self._traffic is not None, "start() comes first"
        return self._traffic

    def _await_start(self, server: Server, answers: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_PATIENCE
        while not answers():
            self._check()
            server.check()
            if time.monotonic() > deadline:
                trouble = f"{server.name} does not answer after {_START_PATIENCE:g} s"
                raise ServerError(f"{trouble}. The end of its log:\n{server.log_tail()}")
            self._screen.progress(f"waiting for {server.name}")
            time.sleep(_TICK)

    def _tick(self) -> None:
        self._check()
        for server in self._servers:
            server.check()
        self._count()
        traffic = self._running_traffic
        self._screen.progress(
            f"{traffic.elapsed:5.1f} s   raised {len(self._acks.acks):4d}   delivered {len(self._received):4d}   "
            f"workers killed {traffic.killed:2d}   tracker {'DOWN' if self._tracker_is_down else 'up'}"
        )
        time.sleep(_TICK)

    def _let_tracker_be(self, *, down: bool) -> None:
        if down and not self._tracker_is_down:
            self._tracker.go_down()
        elif self._tracker_is_down and not down:
            self._tracker.come_up()
        self._tracker_is_down = down

    def _count(self) -> None:
        self._acks.read_new()
        events = self._tracker.events
        for event in events[self._events_counted :]:
            marker = MARKER.search(event.message)
            if marker is not None:
                self._received[marker[0]] += 1
        self._events_counted = len(events)

    def _all_arrived(self) -> bool:
        return all(self._received[ack.marker] for ack in self._acks.acks if ack.id is not None)


def _answers(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=1)) as connection:
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == 204
        except (OSError, http.client.HTTPException):
            return False


def _reasons(accounts: Accounts) -> str:
    states = {"set aside": accounts.set_aside, "dropped": accounts.dropped, "refused": accounts.refused}
    return "; ".join(f"{state}: {dict(reasons)}" for state, reasons in states.items() if reasons)


def _wait_for_flusher(spool: Path) -> bool:
    """Wait until no process leads the spool; return False if one still does at the timeout."""
    lock = Layout(str(spool)).flusher_lock
    deadline = time.monotonic() + _FLUSHER_PATIENCE
    while holder(lock) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(_TICK)
    return True


def _end_flusher(spool: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        pid = holder(Layout(str(spool)).flusher_lock)
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        if _wait_for_flusher(spool):
            return


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Provide a directory and remove it afterwards, even if a process that is just ending still writes into it."""
    folder = Path(tempfile.mkdtemp(prefix="lastword-demo-")).resolve()
    try:
        yield folder
    finally:
        deadline = time.monotonic() + 3
        while folder.exists() and time.monotonic() < deadline:
            shutil.rmtree(folder, ignore_errors=True)
            time.sleep(0.02)
