"""What a function that was interrupted has not given back holds up nobody."""

from __future__ import annotations

import threading

from lastword.nesting import Nesting, Turn
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.FAILURES,
    "State left behind by an interrupted function holds up nobody",
    broken_by="levels and owner believed",
)

levels = Nesting()


@levels.counts
def nested(deeper: int) -> int:
    """The level at the innermost call; it never sets its level back."""
    before = levels.level
    levels.level = before + 1
    return nested(deeper - 1) if deeper else before


def test_level_left_by_an_interrupted_call_does_not_count() -> None:
    """Levels never exceed the number of running calls."""
    assert [nested(2), nested(0), nested(1)] == [2, 0, 1]


def take() -> bool:
    return turn.take(0.0)


def take_within() -> tuple[bool, bool]:
    return turn.take(0.0), take()


turn = Turn(take, take_within)


def test_lock_left_by_an_interrupted_call_can_be_taken_again() -> None:
    """By its own thread, unless a call that holds it is still running below; by no other."""
    assert take_within() == (True, False)
    assert take()
    others: list[bool] = []
    thread = threading.Thread(target=lambda: others.append(take()))
    thread.start()
    thread.join()
    assert others == [False]
    turn.give_back()
    thread = threading.Thread(target=lambda: others.append(take()))
    thread.start()
    thread.join()
    assert others == [False, True]
