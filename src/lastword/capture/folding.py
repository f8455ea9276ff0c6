"""A deep stack, made shorter: recursion is shown a few times round, and of all else both ends are kept.

Pure, and bounded whatever the depth: all calls are passed by once, and only so many at either end are looked at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeVar

#: Of a longer stack, so many calls are kept.
MAX_CALLS = 100

#: So many at each end at least, where that end is not mere repetition.
MAX_CALLS_PER_END = MAX_CALLS // 2

#: How often a cycle of calls that repeats up to the gap is shown before it, and behind it.
SHOWN_CYCLES = 3

_Call = TypeVar("_Call")


def both_ends(
    calls: Iterable[_Call], same_place: Callable[[_Call, _Call], bool]
) -> tuple[list[_Call], int, list[_Call]]:
    """The first calls, the number of those left out, and the last calls; at most 100 in all.

    Up to 100 are all there. Of more, the first 50 and the last 50 are kept; where these end (or begin) with a cycle of
    calls that repeats, it is kept three times, and the room goes to the other end.
    """
    remaining = iter(calls)
    head = list(islice(remaining, MAX_CALLS))
    tail: deque[_Call] = deque(maxlen=MAX_CALLS)
    beyond = 0
    for call in remaining:
        tail.append(call)
        beyond += 1
    if not beyond:
        return head[:MAX_CALLS_PER_END], 0, head[MAX_CALLS_PER_END:]
    total = len(head) + beyond
    first = _without_repetition(head, same_place)
    window = [*head[len(tail) :], *tail]
    if len(first) < MAX_CALLS:  # what is shown as the beginning is not the end as well
        window = window[max(0, len(first) + MAX_CALLS - total) :]
    last = _without_repetition(window[::-1], same_place)[::-1]
    last = last[-max(MAX_CALLS_PER_END, MAX_CALLS - len(first)) :]
    first = first[: MAX_CALLS - len(last)]
    return first, total - len(first) - len(last), last


def _without_repetition(calls: list[_Call], same_place: Callable[[_Call, _Call], bool]) -> list[_Call]:
    """``calls`` up to the third round of the cycle with which they end; all of them where they end with none."""
    for cycle in range(1, len(calls) // (SHOWN_CYCLES + 1) + 1):
        start = len(calls) - cycle
        while start > 0 and same_place(calls[start - 1], calls[start - 1 + cycle]):
            start -= 1
        if len(calls) - start > SHOWN_CYCLES * cycle:
            return calls[: start + SHOWN_CYCLES * cycle]
    return calls
