"""Floods: of too many events that are alike only some are kept; of the others the next one that is kept tells.

Alike are exceptions of one class that were raised at one line, and messages from one line: they have one origin. Two
rules say how many are too many:

* With a ``burst``, a token bucket for each origin: it holds ``burst`` tokens, an event takes one, and one a second
  comes back. So a burst is kept whole, then one a second.
* Without, it depends on how full the spool is. Below `ROOMY` everything is kept. Above, a bucket of `BURST` tokens
  decides. Above `SCARCE`, an origin must also be rare, the rarer the fuller the spool is. What counts are its events of
  late, kept or not: nothing of a flood is kept as long as it lasts, and what comes once a minute always is.

Each process counts for itself and a forked child begins anew. There is no lock: threads that meet in the same instant
may take one token for two, and what is told may be short by one then. The number of refusals in the black box is exact.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Optional

from lastword.event import Origin
from lastword.per_process import PerProcess

#: Events like one another that are admitted in a second, once the burst is used up.
RATE = 1.0

#: The burst where none was asked for and the spool is no longer roomy.
BURST = 100

#: How full the spool is (0.0 to 1.0) where thinning out begins, where events have to be rare, and where they have to be
#: as rare as that is ever asked for.
ROOMY, SCARCE, NEARLY_FULL = 1 / 4, 1 / 2, 7 / 8

#: An origin's events of late count half as much each minute. What comes once a minute has at most 2 of them, what comes
#: once a second has `BURST`, nearly.
HALF_LIFE = 60.0
RARE = 3.0

#: Says how full the spool is. Where that is asked for afresh (True), it looks again if the last look was a while ago.
Fill = Callable[[bool], float]

#: At most so many origins are remembered, those that had an event last: some 500 KB.
MAX_ORIGINS = 1000


class Bucket(NamedTuple):
    """What is known of one origin; ``at`` and ``since`` are Unix seconds."""

    tokens: float
    at: float
    left_out: int = 0  # since the last event that was admitted
    since: float = 0.0  # when the first of those came
    lately: float = 0.0  # events of late, with this one


def pour(bucket: Optional[Bucket], burst: Optional[int], now: float, fill: Fill = lambda _: 0.0) -> tuple[Bucket, bool]:
    """The bucket after one more event, and whether that event is admitted. A clock that was set back adds no token."""
    most = float(BURST if burst is None else burst)
    if bucket is None:
        bucket = Bucket(most, now)
    passed = max(now - bucket.at, 0.0)
    tokens = min(most, bucket.tokens + RATE * passed)
    lately = 1.0 + bucket.lately * 0.5 ** (passed / HALF_LIFE)
    admitted = tokens >= 1.0
    if burst is None and not (admitted and lately <= RARE):
        admitted = _has_room(tokens, lately, fill(False)) or _has_room(tokens, lately, fill(True))
    if admitted:
        return Bucket(max(tokens - 1.0, 0.0), now, 0, 0.0, lately), True
    return Bucket(tokens, now, bucket.left_out + 1, bucket.since if bucket.left_out else now, lately), False


def _has_room(tokens: float, lately: float, fill: float) -> bool:
    """Whether there is room for an event of such an origin in a spool that is so full."""
    if fill < ROOMY:
        return True
    scarcity = min(max(fill - SCARCE, 0.0) / (NEARLY_FULL - SCARCE), 1.0)
    return tokens >= 1.0 and (fill < SCARCE or lately <= BURST + scarcity * (RARE - BURST))


def describe(bucket: Bucket) -> str:
    """What the next event says of those that were left out before it; empty when there were none."""
    if not bucket.left_out:
        return ""
    return (
        f"{bucket.left_out} like this left out since {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(bucket.since))}"
    )


class Passage(NamedTuple):
    """What became of one event at the buckets; ``told`` goes with an admitted one, ``first`` marks a flood's start."""

    admitted: bool
    told: str = ""
    first: bool = False


class Floods:
    """The buckets of this process."""

    def __init__(self) -> None:
        self._buckets: PerProcess[dict[Origin, Bucket]] = PerProcess(dict)

    def pass_through(
        self, origin: Origin, burst: Optional[int], now: float, fill: Fill = lambda _: 0.0, *, always: bool = False
    ) -> Passage:
        """Count one more event of ``origin`` at ``now`` (Unix seconds), which is admitted ``always`` or by the rule."""
        buckets = self._buckets.get()
        before = buckets.get(origin)
        after, admitted = pour(before, burst, now, fill)
        if always and not admitted:
            after, admitted = after._replace(left_out=0), True
        buckets[origin] = after  # never taken out in between: another thread would find a new bucket, and a full one
        if len(buckets) > MAX_ORIGINS:
            _forget_oldest(buckets)
        if admitted:
            return Passage(True, describe(before) if before else "")
        return Passage(False, first=after.left_out == 1)


def _forget_oldest(buckets: dict[Origin, Bucket]) -> None:
    by_age = sorted(buckets.copy().items(), key=lambda item: item[1].at)
    for origin, _ in by_age[: MAX_ORIGINS // 10]:  # several at once, so that it is not done each time
        buckets.pop(origin, None)
