"""When to send and when to leave: tables of edges."""

from __future__ import annotations

import pytest

from lastword.flusher import schedule
from lastword.flusher.schedule import Fate
from lastword.spool.ledger import DestinationHealth
from lastword.wire.format import Delivered, Misconfigured, Refused, Retry, Verdict

NOW = 1000.0


@pytest.mark.parametrize(
    ("not_before", "allowed"),
    [(0.0, True), (NOW, True), (NOW + 0.1, False), (NOW + 86_400, False), (NOW + 86_401, True)],
)
def test_when_a_destination_may_be_tried(not_before: float, allowed: bool) -> None:
    """Not before its time, unless that lies further ahead than anybody puts it: then a clock was wrong."""
    assert schedule.may_send(DestinationHealth(not_before=not_before), NOW) is allowed


def test_back_off_doubles_up_to_a_minute() -> None:
    """The longest wait doubles with each failure in a row and ends at 60 seconds."""
    assert [schedule.backoff_limit(failures) for failures in (1, 2, 3, 4, 8, 9, 1000)] == [0.5, 1, 2, 4, 60, 60, 60]


@pytest.mark.parametrize(
    ("verdict", "jitter", "wait"),
    [
        (Retry("no answer"), 0.5, 0.25),
        (Retry("no answer"), 0.0, 0.0),
        (Retry("busy", after=30.0), 0.5, 30.0),
        (Retry("busy", after=1e9), 0.5, 86_400.0),
        (Misconfigured("wrong key"), 0.5, 60.0),
    ],
)
def test_what_a_failure_leaves(verdict: Verdict, jitter: float, wait: float) -> None:
    """The wait is a random part of the back-off, or what the tracker asked for, up to a day."""
    health = DestinationHealth()
    schedule.note_verdict(health, verdict, "e1", NOW, jitter)
    assert (health.failures, health.not_before) == (1, NOW + wait)
    assert health.last_error_at == NOW
    assert health.last_error
    assert health.misconfigured is isinstance(verdict, Misconfigured)


@pytest.mark.parametrize("verdict", [Delivered(), Refused("400: no")])
def test_an_answer_ends_the_back_off(verdict: Verdict) -> None:
    """A destination that answers is well, whatever it thinks of the event."""
    health = DestinationHealth(failures=7, not_before=NOW + 50, misconfigured=True)
    schedule.note_verdict(health, verdict, "e1", NOW, 0.5)
    assert (health.failures, health.not_before, health.misconfigured) == (0, 0.0, False)
    assert health.delivered == isinstance(verdict, Delivered)


BROKEN = Retry("HTTP 500", may_be_event=True)
NO = Refused("HTTP 400")
NOT_HERE = Refused("HTTP 403", may_be_address=True)


@pytest.mark.parametrize(
    ("verdict", "suspicions", "fate"),
    [
        (Delivered(), 0, Fate.DELIVERED),
        (Delivered(), 12, Fate.DELIVERED),
        (NO, 0, Fate.SET_ASIDE),
        (NOT_HERE, 0, Fate.WAITS),
        (NOT_HERE, 1, Fate.SET_ASIDE),
        (Misconfigured("HTTP 401"), 12, Fate.WAITS),
        (Retry("HTTP 503"), 12, Fate.WAITS),
        (BROKEN, 0, Fate.WAITS),
        (BROKEN, 1, Fate.WAITS_ALONE),
        (BROKEN, 8, Fate.WAITS_ALONE),
        (BROKEN, 9, Fate.SET_ASIDE),
    ],
)
def test_what_becomes_of_an_event(verdict: Verdict, suspicions: int, fate: Fate) -> None:
    """A no is an event's own, and so is what happens to it again and again while others pass; the rest waits."""
    assert schedule.fate(verdict, suspicions) is fate


@pytest.mark.parametrize(
    ("verdict", "last_success_at", "misconfigured"),
    [
        (NOT_HERE, 0.0, True),
        (NOT_HERE, NOW - 1, True),
        (Retry("HTTP 503", may_be_address=True), 0.0, True),
        (Retry("HTTP 503", may_be_address=True), NOW - 1, False),
        (Retry("HTTP 503"), 0.0, False),
    ],
)
def test_three_different_events_make_it_the_address(
    verdict: Verdict, last_success_at: float, misconfigured: bool
) -> None:
    """One event alone does not, however often it is tried; a success between starts the count anew. A breakdown counts
    only where the tracker has never taken an event.
    """
    health = DestinationHealth(last_success_at=last_success_at)
    for event_id in ("e1", "e1", "e1", "e2"):
        schedule.note_verdict(health, verdict, event_id, NOW, 0.5)
    assert not health.misconfigured
    schedule.note_verdict(health, verdict, "e3", NOW, 0.5)
    assert health.misconfigured is misconfigured
    schedule.note_verdict(health, Delivered(), "e4", NOW, 0.5)
    schedule.note_verdict(health, verdict, "e5", NOW, 0.5)
    assert not health.misconfigured


@pytest.mark.parametrize(
    ("idle_for", "held", "leaves"),
    [(0.9, False, False), (1.0, False, True), (1.0, True, False), (599.9, True, False), (600.0, True, True)],
)
def test_when_a_flusher_leaves(idle_for: float, held: bool, leaves: bool) -> None:
    """A second after the last writer with nothing held, ten minutes with something."""
    assert schedule.may_leave(idle_for=idle_for, held=held) is leaves


@pytest.mark.parametrize(
    ("verdicts", "since", "due"),
    [(0, 100.0, False), (1, 0.1, False), (1, 0.2, True), (1, -0.1, True), (63, 0.0, False), (64, 0.0, True)],
)
def test_when_a_checkpoint_is_due(verdicts: int, since: float, due: bool) -> None:
    """After 200 ms or 64 verdicts, and never for nothing; a clock that was set back holds nothing up."""
    assert schedule.checkpoint_due(verdicts=verdicts, since=since) is due
