"""When a writer looks whether there is room and how full the spool is, and for how long it goes by what it saw."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lastword.spool import room as room_module
from lastword.spool.room import Room, Sight
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.BEFORE_DISK, "The fill level of the spool counts pending events only and is seconds old at most"
)


class Spool:
    """Says whether there is room in it, which takes ``slowness`` seconds; counts how often it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.asked = 0
        self.has_room = True
        self.slowness = 0.0
        self.fill, self.written = 0.0, 0
        self.room = Room(self.answer, lambda: self.written)
        monkeypatch.setattr(room_module, "time", SimpleNamespace(monotonic=lambda: self.now))

    def answer(self) -> Sight:
        self.asked += 1
        self.now += self.slowness
        return Sight(self.has_room, self.fill, 1000)


@pytest.fixture
def spool(monkeypatch: pytest.MonkeyPatch) -> Spool:
    return Spool(monkeypatch)


def test_room_is_checked_once_for_each_segment(spool: Spool) -> None:
    """The first one too: processes that never fill one may be many."""
    assert [spool.room.for_segment(number) for number in (1, 1, 1, 2, 2, 5)] == [True] * 6
    assert spool.asked == 3


def test_room_is_checked_four_times_a_second_where_there_is_none(spool: Spool) -> None:
    """Four times a second, until there is room again; then not before the next segment."""
    spool.has_room = False
    for wait in (0.0, 0.1, 0.1, 0.1, 0.1):
        spool.now += wait
        assert not spool.room.for_segment(2)
    assert spool.asked == 2
    spool.has_room = True
    spool.now += 0.25
    assert [spool.room.for_segment(number) for number in (2, 2)] == [True, True]
    assert spool.asked == 3


@pytest.mark.parametrize(("slowness", "pause"), [(0.001, 0.25), (0.05, 1.0), (600.0, 2.0)])
def test_slow_checks_are_made_less_often(spool: Spool, slowness: float, pause: float) -> None:
    """But never so rarely that it matters for long: the process may have been stopped."""
    spool.has_room, spool.slowness = False, slowness
    assert not spool.room.for_segment(1)
    spool.now += pause - 0.01
    assert not spool.room.for_segment(1)
    assert spool.asked == 1
    spool.now += 0.02
    assert not spool.room.for_segment(1)
    assert spool.asked == 2


@pytest.mark.parametrize("before", [True, False])
def test_concurrent_captures_use_the_last_answer(monkeypatch: pytest.MonkeyPatch, before: bool) -> None:
    """In another thread or a signal handler they neither wait nor check as well."""
    told: list[bool] = []

    def look() -> Sight:
        told.append(room.for_segment(len(told) + 1))
        assert room.fill(True) == len(told) - 1  # nor for this
        return Sight(before, len(told), 0)

    room = Room(look, lambda: 5)
    room.for_segment(1)
    monkeypatch.setattr(room_module, "time", SimpleNamespace(monotonic=lambda: 1e9))
    room.for_segment(2)
    assert told == [True, before]


def test_fill_level_is_updated_with_each_check(spool: Spool) -> None:
    """The known level costs nothing; a writer checks again after it has written its share."""
    spool.fill = 0.1
    spool.room.for_segment(1)
    spool.fill = 0.2
    spool.written += 1000
    spool.now += 3600
    assert (spool.room.fill(False), spool.asked) == (0.1, 1)
    spool.written += 1
    assert (spool.room.fill(False), spool.asked) == (0.2, 2)


@pytest.mark.parametrize(("slowness", "age"), [(0.001, 2.0), (0.5, 10.0)])
def test_fill_level_is_checked_every_two_seconds_in_a_flood(spool: Spool, slowness: float, age: float) -> None:
    """Every two seconds, so that a flood is kept again soon after there is room; less often where looks take long."""
    spool.slowness = slowness
    spool.room.for_segment(1)
    spool.fill = 0.5
    spool.now += age - slowness - 0.01
    assert spool.room.fill(True) == 0.0
    spool.now += 0.02
    assert spool.room.fill(True) == 0.5
    assert [spool.room.fill(True) for _ in range(100)] == [0.5] * 100
    assert spool.asked == 2
