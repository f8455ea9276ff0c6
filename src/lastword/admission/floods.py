"""Floods: of too many events of one origin only some are kept; the next one kept reports how many were left out.

Exceptions of one class raised at one line have one origin; so have messages from one line. Two rules decide how many
events are too many:

* With a ``burst``, a token bucket for each origin: it holds ``burst`` tokens, an event takes one, and one a second
  comes back. So a burst is kept whole, then one event a second.
* Without it, the fill of the spool decides. Below `ROOMY` everything is kept. Above, a bucket of `BURST` tokens
  decides. Above `SCARCE`, an origin must also be rare, the rarer the fuller the spool is. All its recent events count,
  kept or not: no event of a flood is kept as long as it lasts, and an event that comes once a minute is always kept.

Each process counts for itself and a forked child starts from zero. There is no lock: threads that meet in the same
instant may take one token for two events, and the reported number may then be short by one. The number of refusals in
the black box is exact.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Optional

from lastword.event import Origin
from lastword.per_process import PerProcess

#: Events of one origin admitted per second, once the burst is used up.
RATE = 1.0

#: The burst if none is configured and the spool is no longer roomy.
BURST = 100

#: Fill of the spool (0.0 to 1.0) from which events are thinned out, must be rare, and must be as rare as ever required.
ROOMY, SCARCE, NEARLY_FULL = 1 / 4, 1 / 2, 7 / 8

#: Seconds in which the count of an origin's recent events halves. Events once a minute give a count of at most 2, once
#: a second nearly `BURST`.
HALF_LIFE = 60.0
RARE = 3.0

#: Returns how full the spool is. Called with True, it scans again if the last scan was a while ago.
Fill = Callable[[bool], float]

#: Origins remembered at most, those with the latest events: some 500 KB.
MAX_ORIGINS = 1000


class Bucket(NamedTuple):
    """The state of one origin; ``at`` and ``since`` are Unix seconds."""

    tokens: float
    at: float
    left_out: int = 0  # since the last event that was admitted
    since: float = 0.0  # when the first of those came
    lately: float = 0.0  # recent events, including this one


def pour(bucket: Optional[Bucket], burst: Optional[int], now: float, fill: Fill = lambda _: 0.0) -> tuple[Bucket, bool]:
    """Return the bucket after one more event, and whether that event is admitted. A clock set back adds no token."""
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
    """Whether a spool with this fill has room for an event of an origin with these figures."""
    if fill < ROOMY:
        return True
    scarcity = min(max(fill - SCARCE, 0.0) / (NEARLY_FULL - SCARCE), 1.0)
    return tokens >= 1.0 and (fill < SCARCE or lately <= BURST + scarcity * (RARE - BURST))


def describe(bucket: Bucket) -> str:
    """Return the report on events left out, for the next event that is kept; empty if there were none."""
    if not bucket.left_out:
        return ""
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(bucket.since))
    return f"{bucket.left_out} like this left out since {since}"


class Passage(NamedTuple):
    """The buckets' decision on one event; ``left_out`` goes with an admitted one, ``first`` marks a flood's start."""

    admitted: bool
    left_out: str = ""
    first: bool = False


class Floods:
    """The buckets of this process."""

    def __init__(self) -> None:
        self._buckets: PerProcess[dict[Origin, Bucket]] = PerProcess(dict)

    def pass_through(
        self, origin: Origin, burst: Optional[int], now: float, fill: Fill = lambda _: 0.0, *, always: bool = False
    ) -> Passage:
        """Count one more event of ``origin`` at ``now`` (Unix seconds); ``always`` admits it whatever the rule says."""
        buckets = self._buckets.get()
        before = buckets.get(origin)
        after, admitted = pour(before, burst, now, fill)
        if always and not admitted:
            after, admitted = after._replace(left_out=0), True
        buckets[origin] = after  # never removed in between: another thread would start a new, full bucket
        if len(buckets) > MAX_ORIGINS:
            _forget_oldest(buckets)
        if admitted:
            return Passage(True, describe(before) if before else "")
        return Passage(False, first=after.left_out == 1)


def _forget_oldest(buckets: dict[Origin, Bucket]) -> None:
    by_age = sorted(buckets.copy().items(), key=lambda item: item[1].at)
    for origin, _ in by_age[: MAX_ORIGINS // 10]:  # several at once, so that it is not needed each time
        buckets.pop(origin, None)
