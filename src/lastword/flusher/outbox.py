"""Sending beside everything else: a tracker that is slow must not keep the flusher from looking after the spool.

One thread sends, in the order in which it was asked to. It touches nothing but the records it was given: verdicts are
collected and acted on by the thread that leads.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Optional

from lastword.flusher.delivery import Attempt, Courier
from lastword.spool.record import Record
from lastword.spool.watch import Waiting, WatchedWriter
from lastword.wire.format import Delivered, Refused

#: Records that are handed over at most before the verdict on the first: enough that the sender never waits for us.
MOST_IN_FLIGHT = 4


@dataclass(frozen=True)
class Sending:
    """One record on its way to the destination named ``to``."""

    writer: WatchedWriter
    line: Waiting
    to: str


class Outbox:
    """The records on their way."""

    def __init__(self, courier: Courier) -> None:
        self._courier = courier
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lastword-sender")
        self._under_way: dict[Future[Optional[Attempt]], Sending] = {}
        self._in_trouble: set[str] = set()  # what was handed over for these behind a failure comes back untried

    @property
    def empty(self) -> bool:
        return not self._under_way

    def has_room_for(self, to: str) -> bool:
        """Whether one more may go there now."""
        return len(self._under_way) < MOST_IN_FLIGHT and to not in self._in_trouble

    def send(self, sending: Sending, record: Record) -> None:
        sending.line.in_flight = True
        self._under_way[self._pool.submit(self._attempt, sending.to, record)] = sending

    def wait(self, timeout: float) -> None:
        """Return when any verdict is there, after ``timeout`` seconds at the latest."""
        wait(self._under_way, timeout=timeout, return_when=FIRST_COMPLETED)

    def verdicts(self) -> list[tuple[Sending, Attempt]]:
        """What has come of those that were tried since the last call, in the order of sending."""
        done = [future for future in self._under_way if future.done()]
        back = [(self._under_way.pop(future), future.result()) for future in done]
        for sending, _ in back:
            sending.line.in_flight = False
        self._in_trouble.intersection_update(sending.to for sending in self._under_way.values())
        return [(sending, attempt) for sending, attempt in back if attempt is not None]

    def close(self) -> None:
        """Send nothing more. An attempt that is under way is not waited for: its record is sent again by the next."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _attempt(self, to: str, record: Record) -> Optional[Attempt]:
        if to in self._in_trouble:
            return None
        attempt = self._courier.attempt(record, to)
        if not isinstance(attempt.verdict, (Delivered, Refused)):
            self._in_trouble.add(to)
        return attempt
