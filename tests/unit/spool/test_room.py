"""When a writer asks whether there is room, and for how long it goes by the answer."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lastword.spool import room as room_module
from lastword.spool.room import Room


class Spool:
    """Says whether there is room in it, which takes ``slowness`` seconds; counts how often it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.asked = 0
        self.has_room = True
        self.slowness = 0.0
        self.room = Room(self.answer)
        monkeypatch.setattr(room_module, "time", SimpleNamespace(monotonic=lambda: self.now))

    def answer(self) -> bool:
        self.asked += 1
        self.now += self.slowness
        return self.has_room


@pytest.fixture
def spool(monkeypatch: pytest.MonkeyPatch) -> Spool:
    return Spool(monkeypatch)


def test_once_for_each_segment(spool: Spool) -> None:
    """The first one too: processes that never fill one may be many."""
    assert [spool.room.for_segment(number) for number in (1, 1, 1, 2, 2, 5)] == [True] * 6
    assert spool.asked == 3


def test_now_and_then_where_there_is_none(spool: Spool) -> None:
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
def test_answers_that_take_long(spool: Spool, slowness: float, pause: float) -> None:
    """They are asked for less often, but never so that it would matter for long: the process may have been stopped."""
    spool.has_room, spool.slowness = False, slowness
    assert not spool.room.for_segment(1)
    spool.now += pause - 0.01
    assert not spool.room.for_segment(1)
    assert spool.asked == 1
    spool.now += 0.02
    assert not spool.room.for_segment(1)
    assert spool.asked == 2


@pytest.mark.parametrize("before", [True, False])
def test_others_go_by_the_last_answer(monkeypatch: pytest.MonkeyPatch, before: bool) -> None:
    """Who captures while it is asked, in another thread or in a signal handler, neither waits nor asks as well."""
    told: list[bool] = []

    def ask() -> bool:
        told.append(room.for_segment(len(told) + 1))
        return before

    room = Room(ask)
    room.for_segment(1)
    monkeypatch.setattr(room_module, "time", SimpleNamespace(monotonic=lambda: 1e9))
    room.for_segment(2)
    assert told == [True, before]
