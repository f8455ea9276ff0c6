"""When to send and when to leave: tables of edges."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from lastword.flusher import schedule
from lastword.flusher.schedule import Fate
from lastword.spool.ledger import DestinationHealth
from lastword.wire.format import Blame, Delivered, Misconfigured, Refused, Retry, Verdict
from tests.support.promise import Section, promise

NOW = 1_000_000_000.0


DOWN = Retry("no connection", blame=Blame.NETWORK)
BUSY = Retry("HTTP 503")
CUT = Retry("no answer", blame=Blame.EVENT)
WRONG = Misconfigured("HTTP 401")


@pytest.mark.parametrize(
    ("not_before", "allowed"),
    [
        (0.0, True),
        (NOW, True),
        (NOW + 0.1, False),
        (NOW + 30, False),
        (NOW + 30.1, True),
        (NOW + 8 * 3600, True),
        (float("nan"), True),
        (float("inf"), True),
    ],
)
def test_when_a_destination_may_be_tried(not_before: float, allowed: bool) -> None:
    """Not before its time, unless that is further ahead than the whole pause: then the clock was set."""
    assert schedule.may_send(DestinationHealth(not_before=not_before, pause=30.0), NOW) is allowed


@pytest.mark.parametrize(
    ("verdict", "lasted", "limit"),
    [
        (DOWN, 0, 1.7),
        (DOWN, 3, 1.7),
        (DOWN, 8, 4),
        (DOWN, 3600, 5),
        (BUSY, 0, 1.7),
        (BUSY, 30, 15),
        (BUSY, 60, 30),
        (BUSY, 3600, 30),
        (BUSY, -8 * 3600, 1.7),  # the clock was set back, and nobody noticed
        (BUSY, 9e8, 30),
        (WRONG, 0, 1.7),
        (WRONG, 3600, 60),
    ],
)
def test_a_pause_is_half_of_the_time_that_the_trouble_has_lasted(verdict: Verdict, lasted: float, limit: float) -> None:
    """Within bounds that depend on what is the matter; the pause itself is the limit less a random part."""
    for jitter in (0.0, 0.5, 1.0):
        health = DestinationHealth(failures=3, failing_since=NOW - lasted)
        schedule.note_verdict(health, verdict, "e1", NOW, jitter)
        assert health.not_before == NOW + limit * (0.6 + 0.4 * jitter)
        assert (health.failures, health.last_error_at) == (4, NOW)
        assert health.misconfigured is isinstance(verdict, Misconfigured)


@pytest.mark.parametrize(
    ("after", "pause"), [(30.0, 30.0), (1e9, 86_400.0), (0.2, 1.0), (0.0, 1.36), (None, 1.36), (3600.0, 3600.0)]
)
@pytest.mark.parametrize("verdict", [BUSY, CUT])
def test_retry_after_is_obeyed_within_bounds(verdict: Retry, after: float | None, pause: float) -> None:
    """From a second up to a day, with any kind of trouble; 0 counts as no time."""
    health = DestinationHealth(failing_since=NOW - 1)
    asked = replace(verdict, after=after, blame=verdict.blame if after else Blame.TRACKER)
    schedule.note_verdict(health, asked, "e1", NOW, 0.5)
    assert (health.not_before, health.asked_for) == (NOW + pause, bool(after))
    schedule.hurry(health, NOW, 0.5)
    assert health.not_before == NOW + pause


@promise(
    Section.RECOVERY,
    "Retry-After stands when requests already on their way succeed",
    broken_by="a success ends the wait",
)
def test_retry_after_stands_when_requests_in_flight_succeed() -> None:
    """Several are on their way when it is said: neither those that pass nor those that fail make it any shorter."""
    health = DestinationHealth()
    schedule.note_verdict(health, replace(BUSY, after=30.0), "e1", NOW, 0.5)
    for verdict in (Delivered(), NO, DOWN, replace(BUSY, after=10.0)):
        schedule.note_verdict(health, verdict, "e2", NOW + 1, 0.5)
        assert (health.not_before, health.asked_for) == (NOW + 30, True), verdict
    schedule.note_error(health, replace(BUSY, after=60.0), NOW + 2)
    assert health.not_before == NOW + 62
    schedule.note_verdict(health, DOWN, "e3", NOW + 70, 0.5)
    assert (health.not_before, health.asked_for) == (NOW + 70 + health.pause, False)


@pytest.mark.parametrize(
    ("last_error_at", "not_before", "jitter", "then"),
    [
        (NOW - 20, NOW + 10, 0.0, NOW),
        (NOW - 20, NOW + 10, 0.5, NOW + 0.5),
        (NOW - 0.25, NOW + 10, 0.0, NOW + 0.75),
        (NOW - 0.25, NOW + 10, 0.5, NOW + 1.25),
        (NOW - 0.25, NOW + 0.5, 0.5, NOW + 0.5),
        (NOW + 8 * 3600, NOW + 10, 0.0, NOW + 1),
        (NOW - 20, 0.0, 0.5, 0.0),
    ],
)
def test_reason_to_try_at_once_cuts_a_pause_short(
    last_error_at: float, not_before: float, jitter: float, then: float
) -> None:
    """Not below a second since the last try, and spread over one more second."""
    health = DestinationHealth(failures=9, pause=20.0, not_before=not_before, last_error_at=last_error_at)
    schedule.hurry(health, NOW, jitter)
    assert health.not_before == then


def test_few_cut_answers_cost_three_seconds_at_most() -> None:
    """Twenty answers cut in a row cost three seconds at most; many more are taken for the tracker's trouble."""
    health, now = DestinationHealth(), NOW
    for number in range(20):
        schedule.note_verdict(health, CUT, f"e{number}", now, 1.0)
        now = health.not_before
    assert now - NOW < 3
    for number in range(50):
        schedule.note_verdict(health, CUT, f"e{number}", now, 1.0)
        now = health.not_before
    assert schedule.pause_limit(CUT, health, now) == 30


@promise(Section.RECOVERY, "Delivery resumes within the duration of the outage or three seconds, whichever is longer")
@pytest.mark.parametrize("verdict", [DOWN, BUSY, CUT])
@pytest.mark.parametrize("lasts", [0.0, 1.0, 2.0, 8.0, 30.0, 60.0, 3600.0])
def test_next_try_comes_soon_after_an_outage(verdict: Verdict, lasts: float) -> None:
    """The next try comes within as much time as the outage took, or three seconds, and within a minute in any case,
    with half a second to spare for looking and sending.
    """
    for jitter in (0.0, 0.3, 1.0):
        health, now = DestinationHealth(), NOW
        while now <= NOW + lasts:
            schedule.note_verdict(health, verdict, f"{now}", now, jitter)
            now = health.not_before
        assert now - NOW - lasts <= min(max(2.5, lasts - 0.5), 59.5)


@promise(
    Section.RECOVERY,
    "A thousand hosts in one outage try less than once a second each",
    broken_by="half a second at least",
)
@pytest.mark.parametrize("verdict", [DOWN, BUSY, WRONG])
def test_each_of_a_thousand_hosts_tries_less_than_once_a_second(verdict: Verdict) -> None:
    """Whatever reasons it has to try; all hosts together too, as they drift apart."""
    chance = random.Random(1)
    tries: list[float] = []
    for _ in range(1000):
        health, now = DestinationHealth(), NOW
        while now < NOW + 20:
            tries.append(now)
            schedule.note_verdict(health, verdict, "e", now, chance.random())
            before, now = now, now + 0.1
            for _ in range(3):  # three processes begin right after
                schedule.hurry(health, now, chance.random())
            now = max(now, health.not_before)
            assert now - before >= 0.999
    for second in range(2, 20):
        assert sum(NOW + second <= at < NOW + second + 1 for at in tries) < 1000


@pytest.mark.parametrize("verdict", [Delivered(), Refused("400: no")])
def test_an_answer_ends_the_pause(verdict: Verdict) -> None:
    """A destination that answers is well, whatever it thinks of the event."""
    health = DestinationHealth(failures=7, failing_since=NOW - 9, not_before=NOW + 50, pause=60, misconfigured=True)
    schedule.note_verdict(health, verdict, "e1", NOW, 0.5)
    assert (health.failures, health.failing_since, health.not_before, health.misconfigured) == (0, 0.0, 0.0, False)
    assert health.delivered == isinstance(verdict, Delivered)


def test_wrong_key_stands_while_the_tracker_is_unreachable() -> None:
    """As long as the tracker is out of reach; what it says next counts."""
    health = DestinationHealth()
    for verdict, misconfigured, words in ((WRONG, True, "401"), (DOWN, True, "401"), (BUSY, False, "503")):
        schedule.note_verdict(health, verdict, "e", NOW, 0.5)
        assert (health.misconfigured, health.last_error) == (misconfigured, f"HTTP {words}")


def test_how_long_one_event_is_left_alone() -> None:
    """Doubled each time that it fails while others pass, up to a minute, less a random part."""
    assert [schedule.event_pause(failed, 1.0) for failed in (0, 1, 2, 5, 6, 1000)] == [1, 2, 4, 32, 60, 60]
    assert schedule.event_pause(0, 0.0) == 0.6


BROKEN = Retry("HTTP 500", blame=Blame.EVENT)
NO = Refused("HTTP 400")
NOT_HERE = Refused("HTTP 403", blame=Blame.ADDRESS)


@pytest.mark.parametrize(
    ("verdict", "suspicions", "fate"),
    [
        (Delivered(), 0, Fate.DELIVERED),
        (Delivered(), 12, Fate.DELIVERED),
        (NO, 0, Fate.SET_ASIDE),
        (NOT_HERE, 0, Fate.HELD),
        (NOT_HERE, 1, Fate.SET_ASIDE),
        (Misconfigured("HTTP 401"), 12, Fate.HELD),
        (Retry("HTTP 503"), 12, Fate.HELD),
        (BROKEN, 0, Fate.HELD),
        (BROKEN, 1, Fate.HELD_ALONE),
        (BROKEN, 8, Fate.HELD_ALONE),
        (BROKEN, 9, Fate.SET_ASIDE),
    ],
)
def test_fate_of_a_failed_event_depends_on_verdict_and_others(verdict: Verdict, suspicions: int, fate: Fate) -> None:
    """A refusal is final, and so are repeated failures while others pass; all else waits."""
    assert schedule.fate(verdict, suspicions) is fate


@promise(
    Section.BAD_EVENT,
    "Three different failing events mean that the address is wrong",
    broken_by="one event counted three times",
)
@pytest.mark.parametrize(
    ("verdict", "last_success_at", "misconfigured"),
    [
        (NOT_HERE, 0.0, True),
        (NOT_HERE, NOW - 1, True),
        (Retry("HTTP 503", blame=Blame.ADDRESS), 0.0, True),
        (Retry("HTTP 503", blame=Blame.ADDRESS), NOW - 1, False),
        (Retry("HTTP 503"), 0.0, False),
    ],
)
def test_three_different_failing_events_mean_the_address_is_wrong(
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
    [(0.9, False, False), (1.0, False, True), (1.0, True, False), (86_399, True, False), (86_400, True, True)],
)
def test_when_a_flusher_leaves(idle_for: float, held: bool, leaves: bool) -> None:
    """A second after the last writer with nothing held, a day with something."""
    assert schedule.may_leave(idle_for=idle_for, held=held) is leaves


@pytest.mark.parametrize(
    ("verdicts", "since", "due"),
    [(0, 100.0, False), (1, 0.1, False), (1, 0.2, True), (1, -0.1, True), (63, 0.0, False), (64, 0.0, True)],
)
def test_when_a_checkpoint_is_due(verdicts: int, since: float, due: bool) -> None:
    """After 200 ms or 64 verdicts, and never for nothing; a clock that was set back holds nothing up."""
    assert schedule.checkpoint_due(verdicts=verdicts, since=since) is due


@pytest.mark.parametrize(
    ("stopped_at", "left"),
    [(0.0, 0.0), (NOW, 90.0), (NOW - 30.0, 60.0), (NOW - 90.0, 0.0), (NOW + 10.0, 0.0)],
    ids=["none", "just now", "a while ago", "long ago", "before the clock was set back"],
)
def test_how_long_a_stop_may_last(stopped_at: float, left: float) -> None:
    """As long as systemd waits for a service by default."""
    assert schedule.stop_left(stopped_at, NOW) == left
