"""Sending beside everything else: a tracker that is slow must not keep the flusher from looking after the spool.

One thread sends, in the order in which it was asked to. It touches nothing but the records it was given: verdicts are
collected and acted on by the thread that leads.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from lastword.flusher.delivery import Attempt, Courier
from lastword.spool.record import Record
from lastword.spool.watch import Waiting, WatchedWriter

#: Records that are handed over at most before the verdict on the first: enough that the sender never waits for us.
MOST_IN_FLIGHT = 4


@dataclass(frozen=True)
class Sending:
    """One record on its way; ``failures`` is what its destination had in a row when it was handed over."""

    writer: WatchedWriter
    line: Waiting
    to: str
    failures: int


class Outbox:
    """The records on their way."""

    def __init__(self, courier: Courier) -> None:
        self._courier = courier
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lastword-sender")
        self._under_way: dict[Future[Attempt], Sending] = {}

    @property
    def empty(self) -> bool:
        return not self._under_way

    def has_room_for(self, to: str, failures: int) -> bool:
        """Whether one more may go; to a destination in trouble only one at a time does."""
        if len(self._under_way) >= MOST_IN_FLIGHT:
            return False
        return failures == 0 or all(sending.to != to for sending in self._under_way.values())

    def send(self, sending: Sending, record: Record) -> None:
        sending.line.in_flight = True
        self._under_way[self._pool.submit(self._courier.attempt, record, sending.to)] = sending

    def wait(self, timeout: float) -> None:
        """Return when any verdict is there, after ``timeout`` seconds at the latest."""
        wait(self._under_way, timeout=timeout, return_when=FIRST_COMPLETED)

    def verdicts(self) -> list[tuple[Sending, Attempt]]:
        """What has come back since the last call, in the order of sending."""
        done = [future for future in self._under_way if future.done()]
        back = [(self._under_way.pop(future), future.result()) for future in done]
        for sending, _ in back:
            sending.line.in_flight = False
        return back

    def close(self) -> None:
        """Send nothing more. An attempt that is under way is not waited for: its record is sent again by the next."""
        self._pool.shutdown(wait=False, cancel_futures=True)
