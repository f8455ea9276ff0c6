"""Floods: of events that are alike, a burst is kept whole, then one a second; of the others the next one tells.

A token bucket for each origin: it holds ``burst`` tokens, an event takes one, and one a second comes back. Alike are
exceptions of one class that were raised at one line, and messages from one line.

Each process counts for itself and a forked child begins anew. There is no lock: threads that meet in the same instant
may take one token for two, and what is told may be short by one then. The number of refusals in the black box is exact.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple, Optional

from lastword.event import Origin

#: Events like one another that are admitted in a second, once the burst is used up.
RATE = 1.0

#: At most so many origins are remembered, those that had an event last: some 500 KB.
MAX_ORIGINS = 1000


class Bucket(NamedTuple):
    """What is known of one origin; ``at`` and ``since`` are Unix seconds."""

    tokens: float
    at: float
    left_out: int = 0  # since the last event that was admitted
    since: float = 0.0  # when the first of those came


def pour(bucket: Optional[Bucket], burst: int, now: float) -> tuple[Bucket, bool]:
    """The bucket after one more event, and whether that event is admitted. A clock that was set back adds no token."""
    if bucket is None:
        bucket = Bucket(float(burst), now)
    tokens = min(float(burst), bucket.tokens + RATE * max(now - bucket.at, 0.0))
    if tokens >= 1.0:
        return Bucket(tokens - 1.0, now), True
    return Bucket(tokens, now, bucket.left_out + 1, bucket.since if bucket.left_out else now), False


def told(bucket: Bucket) -> str:
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
        self._state: tuple[int, dict[Origin, Bucket]] = (os.getpid(), {})

    def pass_through(self, origin: Origin, burst: int, now: float) -> Passage:
        """Count one more event of ``origin`` at ``now`` (Unix seconds)."""
        buckets = self._own_buckets()
        before = buckets.get(origin)
        after, admitted = pour(before, burst, now)
        buckets[origin] = after  # never taken out in between: another thread would find a new bucket, and a full one
        if len(buckets) > MAX_ORIGINS:
            _forget_oldest(buckets)
        if admitted:
            return Passage(True, told(before) if before else "")
        return Passage(False, first=after.left_out == 1)

    def _own_buckets(self) -> dict[Origin, Bucket]:
        pid, buckets = self._state
        if pid != os.getpid():
            buckets = {}
            self._state = (os.getpid(), buckets)
        return buckets


def _forget_oldest(buckets: dict[Origin, Bucket]) -> None:
    by_age = sorted(buckets.copy().items(), key=lambda item: item[1].at)
    for origin, _ in by_age[: MAX_ORIGINS // 10]:  # several at once, so that it is not done each time
        buckets.pop(origin, None)
