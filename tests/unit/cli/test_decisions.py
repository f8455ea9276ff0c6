"""What the commands decide, by facts and a clock that are given."""

from __future__ import annotations

from collections import Counter
from email.utils import formatdate

import pytest

from lastword.audit.accounts import Accounts
from lastword.cli.change import whole_ids
from lastword.cli.doctor.way_to_tracker import CLOCK_DIFFERENCE, clock
from lastword.cli.drain import may_still_be_sent
from lastword.cli.foreground import news
from lastword.errors import SpoolError
from lastword.spool.ledger import DestinationHealth

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("health", "worth_waiting"),
    [
        (DestinationHealth(), True),
        (DestinationHealth(failures=3, not_before=NOW + 5, pause=20, last_error_at=NOW - 1), True),
        (DestinationHealth(failures=3, not_before=NOW + 15, pause=20, last_error_at=NOW - 1), False),
        (DestinationHealth(failures=3, not_before=NOW + 15, pause=20, last_error_at=NOW - 3), True),  # hurried
        (DestinationHealth(failures=3, not_before=NOW + 15, pause=20, last_error_at=NOW - 3, asked_for=True), False),
        (DestinationHealth(misconfigured=True, not_before=NOW - 1, pause=60, last_error_at=NOW - 1), True),
        (DestinationHealth(misconfigured=True, not_before=NOW + 5, pause=60, last_error_at=NOW - 1), False),
        (DestinationHealth(misconfigured=True, not_before=NOW + 5, pause=60, last_error_at=NOW - 3), True),
    ],
)
def test_flush_waits_only_for_events_that_may_still_be_sent(health: DestinationHealth, worth_waiting: bool) -> None:
    """An outage is waited out as long as there is time; a wrong key that was just tried is not. What was not tried
    since a flush has asked for it will be, but for what the tracker has asked for.
    """
    accounts = Accounts(held_for=Counter({"key": 1, None: 5}), destinations={"key": health})
    assert may_still_be_sent(accounts, NOW, time_left=10, asked_at=NOW - 2) is worth_waiting
    assert not may_still_be_sent(Accounts(held_for=Counter({None: 5})), NOW, time_left=10, asked_at=NOW - 2)


def test_trouble_and_its_end_are_printed_once_each() -> None:
    """One line when a tracker stops to take events, one when it begins again; single failures are not worth a line."""
    told: dict[str, str] = {}

    def lines(**health: object) -> list[str]:
        return [text for _, text in news(told, {"key": DestinationHealth(**health)})]

    assert lines(delivered=1) == []
    assert lines(failures=1) == []
    assert "nothing can be sent for now; events are kept (down)" in lines(failures=3, last_error="down")[0]
    assert lines(failures=4) == []
    assert "wrong address or key" in lines(failures=5, misconfigured=True)[0]
    assert lines() == ["sending works again"]
    assert lines() == []


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (0, "agrees"),
        (CLOCK_DIFFERENCE - 1, "agrees"),
        (7200, "120 min ahead of"),
        (-7200, "120 min behind"),
    ],
)
def test_clock_far_from_the_trackers_is_a_problem(ahead: float, words: str) -> None:
    """Some minutes do not matter; more is a problem, and it is said which way."""
    [finding] = clock(formatdate(NOW - ahead, usegmt=True), NOW)
    assert words in finding.text
    assert finding.kind == ("ok" if "agrees" in words else "problem")


@pytest.mark.parametrize("date", [None, "", "yesterday", "Sun, 99 Nov 2026"])
def test_invalid_date_of_a_tracker_is_ignored(date: str | None) -> None:
    """Nothing is concluded from what is no date."""
    assert list(clock(date, NOW)) == []


def test_ids_may_be_cut_short() -> None:
    """The beginning is enough where one event alone begins so, in whatever case."""
    known = ["aa11", "aa22", "bb33"]
    assert whole_ids(["B", "aa1"], iter(known)) == ["bb33", "aa11"]
    with pytest.raises(SpoolError, match="2 ids begin with this"):
        whole_ids(["aa"], iter(known))
    with pytest.raises(SpoolError, match="no event has this id"):
        whole_ids(["cc"], iter(known))
