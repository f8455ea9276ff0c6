"""Deep stacks: what is shown of them, and what finding that out costs."""

from __future__ import annotations

import operator
from typing import Any

import pytest

from lastword.capture.frames import MAX_CALLS, SHOWN_CYCLES, both_ends
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.EVENTS,
    "No cost grows faster than the stack, chain or group",
    broken_by="no bound on exceptions, members, compared calls",
)


def folded(calls: Any) -> Any:
    return both_ends(calls, operator.eq)


def spelled(calls: Any) -> str:
    """The calls as one text, with the number of those left out between."""
    first, between, last = folded(calls)
    return "".join(first) + (f"({between})" if between else "") + "".join(last)


@pytest.mark.parametrize("count", [0, 1, 99, MAX_CALLS])
def test_a_stack_that_is_not_deep_is_whole(count: int) -> None:
    """Even where it is mere repetition."""
    for calls in (["a"] * count, list(map(str, range(count)))):
        first, between, last = folded(calls)
        assert (first + last, between) == (calls, 0)


@pytest.mark.parametrize("count", [MAX_CALLS + 1, 130, 10_000])
def test_deep_stack_without_repetition_keeps_both_ends(count: int) -> None:
    """Half of the room for each."""
    first, between, last = folded(range(count))
    assert (first, last) == (list(range(50)), list(range(count - 50, count)))
    assert between == count - MAX_CALLS


@pytest.mark.parametrize(
    ("calls", "shown"),
    [
        ("xyz" + "a" * 200 + "e", "xyzaaa(194)aaae"),
        ("xyz" + "ab" * 200 + "e", "xyzababab(388)abababe"),
        ("xyz" + "ab" * 200 + "ae", "xyzababab(389)bababae"),
        ("a" * 500, "aaa(494)aaa"),
        ("xyz" + "aab" * 100, "xyzaabaabaab(282)aabaabaab"),
        ("xyz" + "a" * 99 + "b" * 150, "xyzaaa(243)bbb"),
        ("xyz" + "a" * 98, "xyzaaa(92)aaa"),
        ("ab" * 60 + "z" + "cd" * 60, "ababab(229)cdcdcd"),
    ],
)
def test_repetition_up_to_the_gap_is_shown_three_times(calls: str, shown: str) -> None:
    """How the recursion began and how it ended, in full; between them, a few rounds on either side."""
    assert spelled(calls) == shown
    assert SHOWN_CYCLES == 3


def test_the_room_that_repetition_leaves_goes_to_the_other_end() -> None:
    """A recursion that begins below a hundred calls of a framework: more than half of these are shown."""
    framework = list(range(90))
    first, between, last = folded([*framework, *["a"] * 500, "e"])
    assert first == [*framework, "a", "a", "a"]
    assert last == ["a", "a", "a", "e"]
    assert between == 494


@pytest.mark.parametrize("cycle", range(1, 40))
def test_at_most_a_hundred_frames_and_none_twice(cycle: int) -> None:
    """However long the cycle is; the numbers add up."""
    calls = [number % cycle for number in range(777)]
    first, between, last = folded(calls)
    assert len(first) + len(last) <= MAX_CALLS
    assert len(first) + between + len(last) == len(calls)
    assert first == calls[: len(first)]
    assert last == calls[-len(last) :]


@pytest.mark.parametrize("make", [lambda n: ["a", "b"] * n, lambda n: list(range(2 * n))], ids=["cycle", "no cycle"])
def test_ten_times_the_depth_costs_no_more_comparisons(make: Any) -> None:
    """All calls are passed by once; only so many at either end are compared."""
    counts = []
    for half in (500, 5000):
        compared: list[None] = []

        def same(one: object, other: object, compared: list[None] = compared) -> bool:
            compared.append(None)
            return one == other

        both_ends(make(half), same)
        counts.append(len(compared))
    assert counts[0] == counts[1] < MAX_CALLS * MAX_CALLS
