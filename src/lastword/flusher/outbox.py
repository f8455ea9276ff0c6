"""Sending beside everything else: a tracker that is slow must not keep the flusher from looking after the spool.

A few threads send, or the one that leads where none can be started. They touch nothing but the records they were given:
verdicts are collected, and acted on by the thread that leads. A destination that is in trouble, or has not taken an
event from this flusher yet, is given one event at a time, so that a wrong key is tried once and a tracker that comes
back is not overrun; then it may have several.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Optional

from lastword.flusher import schedule
from lastword.flusher.delivery import Attempt, Courier
from lastword.flusher.waiting_line import State, Waiting
from lastword.flusher.watch import WatchedWriter
from lastword.native import start_on_own_stack
from lastword.spool.layout import Layout
from lastword.spool.record import Record
from lastword.transport.http_sender import HttpSender
from lastword.wire.format import Delivered, History

#: Threads for each destination that has anything on its way, and for all together.
PARALLEL = 4
MOST_THREADS = 16

#: Records that are handed over at most for one destination: enough that no thread waits for us. Beside others it has
#: no more than its own threads' worth, for any thread takes the next record, wherever it goes.
MOST_IN_FLIGHT = 2 * PARALLEL

#: How long the thread that leads waits for a tracker, in seconds, where it sends itself: at the end of a program.
_OWN_WAIT = 2.0


@dataclass(frozen=True)
class Sending:
    """One record on its way to the destination named ``to``; ``began`` by the monotonic clock."""

    writer: WatchedWriter
    line: Waiting
    to: str
    began: float


@dataclass(frozen=True)
class _Job:
    sending: Sending
    record: Record
    history: History


class Outbox:
    """The records on their way. It is used by one thread."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._jobs: SimpleQueue[Optional[_Job]] = SimpleQueue()
        self._done: SimpleQueue[tuple[Sending, Optional[Attempt]]] = SimpleQueue()
        self._back: list[tuple[Sending, Optional[Attempt]]] = []  # taken from ``_done`` and not asked for yet
        self._under_way: dict[int, Sending] = {}
        self._by_destination: Counter[str] = Counter()
        self._in_trouble: set[str] = set()  # what was handed over for these behind a failure comes back untried
        self._healthy: set[str] = set()  # have taken an event since the last trouble
        self._threads = 0
        self._own: Optional[HttpSender] = None  # of the thread that leads, where there is no other
        self._closed = False

    @property
    def empty(self) -> bool:
        return not self._under_way

    @property
    def ids(self) -> list[str]:
        """The events that are on their way."""
        return [sending.line.event_id for sending in self._under_way.values()]

    def has_room_for(self, to: str) -> bool:
        """Whether one more may go there now."""
        if to in self._in_trouble:
            return False
        under_way = self._by_destination[to]
        is_alone = under_way == len(self._under_way)
        most = 1 if to not in self._healthy else MOST_IN_FLIGHT if is_alone else PARALLEL
        return under_way < most

    def send(self, writer: WatchedWriter, line: Waiting, to: str, record: Record) -> None:
        """Hand it over. Where no thread can be started it is sent before this returns, if its tracker is quick."""
        busy = {*(+self._by_destination), to}
        if self._threads < min(MOST_THREADS, len(self._under_way) + 1, PARALLEL * len(busy)):
            self._start_another_thread()
        sending = Sending(writer, line, to, time.monotonic())
        line.state = State.IN_FLIGHT
        self._under_way[id(sending)] = sending
        self._by_destination[to] += 1
        job = _Job(sending, record, History(ambiguous=line.ambiguous))
        if self._threads:
            self._jobs.put(job)
        else:
            self._own = self._own or HttpSender()
            self._try(Courier(self._layout, self._own, most_wait=_OWN_WAIT), job)

    def wait(self, timeout: float) -> None:
        """Return when any verdict is there, after ``timeout`` seconds at the latest."""
        if not self._back:
            try:
                self._back.append(self._done.get(timeout=timeout))
            except Empty:
                pass

    def verdicts(self) -> list[tuple[Sending, Attempt]]:
        """What has come of those that were tried since the last call."""
        while not self._done.empty():
            self._back.append(self._done.get())
        back, self._back = self._back, []
        for sending, attempt in back:
            del self._under_way[id(sending)]
            if sending.line.state is State.IN_FLIGHT:  # else its file is gone meanwhile
                sending.line.state = State.HELD
            self._by_destination[sending.to] -= 1
            if attempt is None:
                continue
            if isinstance(attempt.verdict, Delivered):
                self._healthy.add(sending.to)
            elif not schedule.speaks_well(attempt.verdict):
                self._healthy.discard(sending.to)
        self._in_trouble.intersection_update(+self._by_destination)
        return [(sending, attempt) for sending, attempt in back if attempt is not None]

    def close(self) -> None:
        """Send nothing more. An attempt that is under way is not waited for: its record is sent again by the next."""
        self._closed = True
        for _ in range(self._threads):
            self._jobs.put(None)
        if self._own is not None:
            self._own.close()

    def _start_another_thread(self) -> None:
        # A limit of the user or the container, or from Python 3.12 on the end of the interpreter, may leave us none.
        with suppress(RuntimeError):
            start_on_own_stack(threading.Thread(target=self._work, name="lastword-sender", daemon=True).start)
            self._threads += 1

    def _work(self) -> None:
        with HttpSender() as sender:
            courier = Courier(self._layout, sender)
            while (job := self._jobs.get()) is not None:
                self._try(courier, job)

    def _try(self, courier: Courier, job: _Job) -> None:
        attempt = None
        if not self._closed and job.sending.to not in self._in_trouble:
            attempt = courier.attempt(job.record, job.sending.to, job.history)
            if not schedule.speaks_well(attempt.verdict):
                self._in_trouble.add(job.sending.to)
        self._done.put((job.sending, attempt))
