"""What a verdict means for its event, which is settled, waits or waits alone, and for the other events of its
destination.
"""

from __future__ import annotations

import errno
import os
import time
from typing import Optional

import pytest

from lastword.audit.accounts import Accounts, read_accounts
from lastword.flusher import schedule
from lastword.flusher.consequences import Consequences
from lastword.flusher.delivery import Attempt
from lastword.flusher.outbox import Sending
from lastword.flusher.settle import Bookkeeper
from lastword.flusher.waiting_line import Waiting
from lastword.flusher.watch import WatchedWriter
from lastword.spool.layout import Layout
from lastword.spool.ledger import DestinationHealth, Ledger
from lastword.wire.format import Blame, Delivered, Misconfigured, Refused, Retry, Verdict
from tests.support.spools import NOW, Process, look, set_aside

NO = Refused("HTTP 400: no such project")
TOO_LARGE = Refused("HTTP 413", too_large=True)
NOT_HERE = Refused("HTTP 403", blame=Blame.ADDRESS)
BROKEN = Retry("HTTP 500", blame=Blame.EVENT)
BUSY = Retry("HTTP 503")
DOWN = Retry("no connection", blame=Blame.NETWORK)
LOST = Retry("HTTP 404", blame=Blame.ADDRESS)
WRONG = Misconfigured("HTTP 401")


class Desk:
    """A leader's view of a spool with four events for one destination, and the answers that come in."""

    def __init__(self, layout: Layout) -> None:
        process = Process(layout, "booboo+http://TOKEN@127.0.0.1:1/o/p", *"1234").ends()
        assert process.destination is not None
        self.layout, self.directory, self.to = layout, process.directory, process.destination.key
        self.books = Bookkeeper(layout, Ledger())
        self.consequences = Consequences(self.books)
        self.writer = WatchedWriter(layout, process.writer.id, self.books.ledger.entry(process.writer.id))
        look(self.writer, time.time())
        self.lines = list(self.writer.waiting())

    def answer(
        self, line: Waiting, verdict: Verdict, *, ambiguous: bool = False, began: Optional[float] = None
    ) -> bool:
        """Have ``verdict`` come back for an attempt that has just begun, or began at ``began``. Returns whether the
        destination came into trouble, or out of it.
        """
        sending = Sending(self.writer, line, self.to, time.monotonic() if began is None else began)
        return self.consequences.act_on(sending, Attempt(verdict, ambiguous), NOW)

    def on_disk(self) -> tuple[Accounts, DestinationHealth]:
        """The accounts, and the state of the destination, that the next flusher finds."""
        self.books.checkpoint()
        accounts = read_accounts(self.layout.spool)
        assert (accounts.recorded, accounts.missing) == (4, 0)
        return accounts, accounts.destinations[self.to]

    def files_of_their_own(self) -> int:
        """How many events wait alone."""
        return len(list(self.directory.glob("d-*")))


@pytest.fixture
def desk(layout: Layout) -> Desk:
    return Desk(layout)


#: How many events are delivered and held, and how many are set aside for which reason.
Outcome = tuple[int, int, dict[str, int]]
DELIVERED: Outcome = (1, 3, {})
HELD: Outcome = (0, 4, {})
REFUSED: Outcome = (0, 3, {"refused": 1})


@pytest.mark.parametrize(
    ("verdict", "outcome", "event_pauses", "destination_pauses", "failures"),
    [
        (Delivered(), DELIVERED, False, False, 0),
        (NO, REFUSED, False, False, 0),
        (TOO_LARGE, REFUSED, False, False, 0),
        (NOT_HERE, HELD, True, False, 1),
        (BROKEN, HELD, True, False, 1),
        (BUSY, HELD, False, True, 1),
        (DOWN, HELD, False, True, 1),
        (LOST, HELD, False, True, 1),
        (WRONG, HELD, False, True, 1),
    ],
    ids=["delivered", "400", "413", "403", "500", "503", "out of reach", "perhaps a wrong address", "401"],
)
def test_first_verdict_on_an_event(
    desk: Desk,
    verdict: Verdict,
    outcome: Outcome,
    event_pauses: bool,
    destination_pauses: bool,
    failures: int,
) -> None:
    """It is settled, or waits: by itself if the fault may be its own, and else with all events of its destination."""
    line = desk.lines[0]
    desk.answer(line, verdict)
    accounts, health = desk.on_disk()
    assert (accounts.delivered, accounts.held, accounts.set_aside) == outcome
    assert line.is_left_alone is event_pauses
    assert schedule.may_send(health, NOW + 0.02) is not destination_pauses
    assert health.failures == failures
    assert health.misconfigured is isinstance(verdict, Misconfigured)
    assert health.last_error == ("" if isinstance(verdict, Delivered) else verdict.reason)
    assert desk.files_of_their_own() == 0


def test_refused_event_is_set_aside_with_the_words_of_the_tracker(desk: Desk) -> None:
    """And with the destination that refused it, so that a human can correct it and send it again."""
    desk.answer(desk.lines[0], NO)
    [(head, content)] = set_aside(desk.layout)
    assert (head["why"], head["reason"], head["to"]) == ("refused", NO.reason, desk.to)
    assert b'"message":"1"' in content


@pytest.mark.parametrize(
    ("verdict", "outcome", "files", "failures"),
    [
        (NOT_HERE, (1, 2, {"refused": 1}), 0, 0),
        (BROKEN, (1, 3, {}), 1, 0),
        (LOST, (1, 3, {}), 0, 1),
        (BUSY, (1, 3, {}), 0, 1),
        (DOWN, (1, 3, {}), 0, 1),
        (WRONG, (1, 3, {}), 0, 1),
    ],
    ids=["403", "500", "perhaps a wrong address", "503", "out of reach", "401"],
)
def test_second_failure_after_another_event_has_passed(
    desk: Desk, verdict: Verdict, outcome: Outcome, files: int, failures: int
) -> None:
    """Then a fault that may be the event's own is its own: it is refused, or waits in a file of its own, and its
    destination is well. The others are still the fault of the tracker, of the way to it, or of the key.
    """
    desk.answer(desk.lines[0], verdict)
    desk.answer(desk.lines[1], Delivered())
    desk.answer(desk.lines[0], verdict)
    accounts, health = desk.on_disk()
    assert (accounts.delivered, accounts.held, accounts.set_aside) == outcome
    assert desk.files_of_their_own() == files
    assert health.failures == failures
    assert schedule.may_send(health, NOW + 0.02) is (failures == 0)


def test_failures_of_attempts_made_at_the_same_time_count_once(desk: Desk) -> None:
    """One moment of trouble ends several attempts; only one that begins after it shows that it goes on."""
    began = time.monotonic()
    for line in desk.lines[:3]:
        desk.answer(line, BUSY, began=began)
    assert desk.on_disk()[1].failures == 1
    desk.answer(desk.lines[3], BUSY)
    assert desk.on_disk()[1].failures == 2


def test_wait_that_the_tracker_asks_for_is_kept_also_if_the_failure_is_known(desk: Desk) -> None:
    """One of several answers may be the only one with a Retry-After."""
    began = time.monotonic()
    desk.answer(desk.lines[0], BUSY, began=began)
    desk.answer(desk.lines[1], Retry("HTTP 429", after=30.0), began=began)
    health = desk.on_disk()[1]
    assert health.failures == 1
    assert not schedule.may_send(health, NOW + 29.9)
    assert schedule.may_send(health, NOW + 30.0)


def test_event_that_may_have_arrived_stays_one_that_may_have_arrived(desk: Desk) -> None:
    """Whatever the tracker says of it later, which may be that it has it already; each doubt is counted."""
    line = desk.lines[0]
    desk.answer(line, DOWN)
    assert not line.ambiguous
    desk.answer(line, BROKEN, ambiguous=True)
    desk.answer(line, BUSY)
    assert line.ambiguous
    desk.answer(line, Delivered(uncertain=True))
    accounts, health = desk.on_disk()
    assert (accounts.delivered, health.uncertain) == (1, 2)


def test_order_of_the_backlog_changes_when_trouble_begins_and_ends(desk: Desk) -> None:
    """In trouble, the event that failed longest ago goes first; else the oldest."""
    verdicts: list[Verdict] = [BUSY, BUSY, Delivered(), NO]
    changed = [desk.answer(line, verdict) for line, verdict in zip(desk.lines, verdicts)]
    assert changed == [True, False, True, False]


@pytest.mark.parametrize(
    ("verdict", "then"), [(NOT_HERE, (0, 1)), (BROKEN, (1, 0))], ids=["to be set aside", "to wait alone"]
)
def test_without_room_an_event_waits_where_it_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, verdict: Verdict, then: tuple[int, int]
) -> None:
    """Nothing is raised, nothing is left half written, and the event goes there once there is room."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def kept_elsewhere() -> tuple[int, int]:
        return desk.files_of_their_own(), len(os.listdir(desk.layout.set_aside))

    line = desk.lines[0]
    desk.answer(line, verdict)
    desk.answer(desk.lines[1], Delivered())
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        desk.answer(line, verdict)
    assert line.is_left_alone
    assert kept_elsewhere() == (0, 0)
    assert desk.on_disk()[0].held == 3
    desk.answer(desk.lines[2], Delivered())
    desk.answer(line, verdict)
    assert kept_elsewhere() == then
