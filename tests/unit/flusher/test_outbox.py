"""How much is sent at once: several requests to a destination that is well, one to any other."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from lastword.flusher import outbox
from lastword.flusher.delivery import Attempt, Courier
from lastword.flusher.outbox import MOST_IN_FLIGHT, PARALLEL, Outbox
from lastword.flusher.waiting_line import Waiting
from lastword.flusher.watch import WatchedWriter
from lastword.spool.layout import Layout
from lastword.spool.ledger import WriterEntry
from lastword.spool.record import Record
from lastword.wire.format import Blame, Delivered, Misconfigured, Refused, Retry, Verdict
from tests.support.programs import wait_until
from tests.support.promise import Section, promise
from tests.support.spools import Process, look

pytestmark = promise(
    Section.FLUSHER_MODES,
    "A destination in trouble gets one request at a time, also while its address is in doubt",
    broken_by="a 403 that may be the address taken for an event's own",
)

EVENTS = 3 * MOST_IN_FLIGHT


class Sent:
    """An outbox, and a courier that gives the answer it is told to."""

    def __init__(self, layout: Layout) -> None:
        process = Process(layout, "backtrace+http://127.0.0.1:1?token=t", *map(str, range(EVENTS))).ends()
        self.outbox = Outbox(layout)
        self.answer: Verdict = Delivered()
        self.attempts: list[object] = []  # appended to by several threads
        self._all_handed_over = threading.Event()
        self._writer = WatchedWriter(layout, process.writer.id, WriterEntry())
        look(self._writer, 0.0)
        self._lines: Iterator[Waiting] = iter(list(self._writer.waiting()))
        assert process.destination is not None
        self.to = process.destination.key

    def attempt(self, *_: object) -> Attempt:
        self.attempts.append(None)
        self._all_handed_over.wait(20)
        return Attempt(self.answer)

    def send_what_may_be_sent(self) -> int:
        """Returns how many that were."""
        self.attempts = []
        self._all_handed_over.clear()
        sent = self.hand_over(self.to)
        wait_until(lambda: len(self.attempts) == min(sent, PARALLEL), "as many attempts as may be made at once")
        return sent

    def hand_over(self, to: str) -> int:
        """As many as may be, to that destination; returns their number."""
        sent = 0
        while self.outbox.has_room_for(to):
            line = next(self._lines)
            record = self._writer.read(line)
            assert isinstance(record, Record)
            self.outbox.send(self._writer, line, to, record)
            sent += 1
        return sent

    def await_all(self) -> int:
        """Wait for what is on its way; returns how many were tried."""
        tried = 0
        self._all_handed_over.set()

        def is_done() -> bool:
            nonlocal tried
            tried += len(self.outbox.verdicts())
            return self.outbox.empty

        wait_until(is_done, "the verdicts")
        return tried


@pytest.fixture
def sent(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sent]:
    sent = Sent(layout)
    monkeypatch.setattr(Courier, "attempt", lambda _, *told: sent.attempt(*told))
    monkeypatch.setattr(outbox, "MOST_THREADS", PARALLEL)
    yield sent
    sent.outbox.close()


@pytest.mark.parametrize(
    ("answer", "then"),
    [
        (Delivered(), MOST_IN_FLIGHT),
        (Refused("HTTP 400"), MOST_IN_FLIGHT),  # it answered, and the next event may be another matter
        (Refused("HTTP 403", blame=Blame.ADDRESS), 1),
        (Retry("HTTP 503"), 1),
        (Misconfigured("HTTP 401"), 1),
    ],
)
def test_one_request_at_a_time_before_the_first_success_and_in_trouble(sent: Sent, answer: Verdict, then: int) -> None:
    """Trouble includes answers that may mean a wrong address."""
    assert sent.send_what_may_be_sent() == 1
    sent.await_all()
    sent.answer = answer
    assert sent.send_what_may_be_sent() == MOST_IN_FLIGHT
    sent.await_all()
    assert sent.send_what_may_be_sent() == then
    sent.await_all()


@pytest.mark.parametrize("answer", [Refused("HTTP 403", blame=Blame.ADDRESS), Retry("HTTP 503")])
def test_events_queued_behind_trouble_come_back_untried(sent: Sent, answer: Verdict) -> None:
    """So that a key that was withdrawn is tried with no more than what was under way."""
    sent.send_what_may_be_sent()
    sent.await_all()
    sent.answer = answer
    assert sent.send_what_may_be_sent() == MOST_IN_FLIGHT
    assert sent.await_all() == len(sent.attempts) == PARALLEL


def test_beside_others_a_destination_has_no_more_than_its_own_threads(sent: Sent) -> None:
    """With more handed over, its records would occupy the threads of other trackers."""
    both = [sent.to, "another"]
    assert [sent.hand_over(to) for to in both] == [1, 1]
    sent.await_all()
    assert [sent.hand_over(to) for to in both] == [MOST_IN_FLIGHT, PARALLEL]
    sent.await_all()
