"""Send in the background: a slow tracker must not keep the flusher from maintaining the spool.

A few threads send; if none can be started, the leading thread does. They touch only the records they are given: the
leading thread collects their verdicts and acts on them. A destination that is in trouble, or has not yet accepted an
event from this flusher, gets one event at a time, so that a wrong key is tried once and a tracker that comes back is
not overrun; then it may get several.
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

#: Most threads for each destination with records in flight, and for all destinations together.
PARALLEL = 4
MOST_THREADS = 16

#: Most records in flight for one destination: enough that no thread waits for the leader. If other destinations have
#: records in flight too, the limit is PARALLEL, because any thread takes the next record, whatever its destination.
MOST_IN_FLIGHT = 2 * PARALLEL

#: Seconds that the leading thread waits for a tracker when it sends itself, at the end of a program.
_OWN_WAIT = 2.0


@dataclass(frozen=True)
class Sending:
    """One record in flight to the destination named ``to``; ``began`` by the monotonic clock."""

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
    """The records in flight. Only one thread may use it."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._jobs: SimpleQueue[Optional[_Job]] = SimpleQueue()
        self._done: SimpleQueue[tuple[Sending, Optional[Attempt]]] = SimpleQueue()
        self._back: list[tuple[Sending, Optional[Attempt]]] = []  # from ``_done``, not yet returned by ``verdicts``
        self._under_way: dict[int, Sending] = {}
        self._by_destination: Counter[str] = Counter()
        self._in_trouble: set[str] = set()  # records for these that were queued behind a failure come back untried
        self._healthy: set[str] = set()  # have accepted an event since the last trouble
        self._threads = 0
        self._own: Optional[HttpSender] = None  # of the leading thread, if there is no other
        self._closed = False

    @property
    def empty(self) -> bool:
        return not self._under_way

    @property
    def ids(self) -> list[str]:
        """The ids of the events in flight."""
        return [sending.line.event_id for sending in self._under_way.values()]

    def has_room_for(self, to: str) -> bool:
        """Return whether one more record may be sent to ``to`` now."""
        if to in self._in_trouble:
            return False
        under_way = self._by_destination[to]
        is_alone = under_way == len(self._under_way)
        most = 1 if to not in self._healthy else MOST_IN_FLIGHT if is_alone else PARALLEL
        return under_way < most

    def send(self, writer: WatchedWriter, line: Waiting, to: str, record: Record) -> None:
        """Hand one record to the threads; if none can be started, try to send it before returning."""
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
        """Wait for a verdict, at most ``timeout`` seconds."""
        if not self._back:
            with suppress(Empty):
                self._back.append(self._done.get(timeout=timeout))

    def verdicts(self) -> list[tuple[Sending, Attempt]]:
        """Return the attempts that were completed since the last call."""
        while not self._done.empty():
            self._back.append(self._done.get())
        back, self._back = self._back, []
        for sending, attempt in back:
            del self._under_way[id(sending)]
            if sending.line.state is State.IN_FLIGHT:  # else its file has been removed meanwhile
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
        """Stop sending, without waiting for attempts under way: the next flusher sends their records again."""
        self._closed = True
        for _ in range(self._threads):
            self._jobs.put(None)
        if self._own is not None:
            self._own.close()

    def _start_another_thread(self) -> None:
        # This fails at a thread limit of the user or the container, and from Python 3.12 on while the interpreter ends.
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
