"""Choose the next record: for each destination the oldest, or one that has not failed lately if it is in trouble."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from typing import Optional

from lastword.flusher import schedule
from lastword.flusher.waiting_line import State, Waiting
from lastword.flusher.watch import WatchedWriter
from lastword.spool.ledger import DestinationHealth

Candidate = tuple[WatchedWriter, Waiting]


class Backlog:
    """The waiting records in the order in which they are sent, as far as the writers' windows show them.

    ``strikes`` gives, by event id, how many flushers died while they sent that event alone: events with fewer strikes
    go first. So flushers that are killed one after the other do not die with the same event, and a deadly event comes
    last.
    """

    def __init__(self, strikes: Mapping[str, int]) -> None:
        self._strikes = strikes
        self._lines: dict[str, deque[Candidate]] = {}
        self._resting: set[str] = set()

    def sort(
        self, writers: Collection[WatchedWriter], destinations: Mapping[str, DestinationHealth], now: float
    ) -> None:
        """Rebuild the order of the records that wait for ``destinations`` that may be tried ``now`` (Unix seconds)."""
        for writer in writers:
            writer.refill()
        horizon = min((writer.horizon for writer in writers), default=0.0)
        self._resting = {to for to, health in destinations.items() if not schedule.may_send(health, now)}
        found: dict[str, list[Candidate]] = {}
        beyond: dict[str, list[Candidate]] = {}
        for writer in writers:
            for line in writer.waiting():
                is_sendable = line.state is State.HELD and line.damage is None
                if is_sendable and line.to is not None and line.to not in self._resting:
                    place = found if line.captured_at <= horizon else beyond
                    place.setdefault(line.to, []).append((writer, line))
        self._lines = {}
        for to in {*found, *beyond}:
            # Beyond the horizon an older record may still come into view, so these go only if there is nothing else.
            lines = found.get(to) or beyond[to]
            health = destinations.get(to)
            in_trouble = health is not None and health.failures > 0
            lines.sort(key=_by_failure if in_trouble else _by_age)
            if self._strikes:
                lines.sort(key=self._by_strikes)
            self._lines[to] = deque(lines)

    def is_outdated(self, destinations: Mapping[str, DestinationHealth], now: float) -> bool:
        """Return whether a destination that was left out because of its pause may be tried ``now``."""
        return any(schedule.may_send(destinations[to], now) for to in self._resting)

    def _by_strikes(self, candidate: Candidate) -> int:
        return self._strikes.get(candidate[1].event_id, 0)

    def destinations(self) -> list[str]:
        """Return the destinations for which records wait."""
        return list(self._lines)

    def next(self, to: str) -> Optional[Candidate]:
        """Take the next record; None when no record in view may be tried now."""
        lines = self._lines.get(to)
        while lines:
            writer, line = lines.popleft()
            if line.state is State.HELD and not (line.is_left_alone or writer.gone):
                return writer, line
        self._lines.pop(to, None)
        return None

    def put_back(self, to: str, candidate: Candidate) -> None:
        """Make ``candidate`` the next one again: it could not be sent just now."""
        self._lines.setdefault(to, deque()).appendleft(candidate)

    def upcoming(self, to: str, most: int) -> list[str]:
        """Return the ids of the next events, at most ``most``."""
        return [line.event_id for _, line in list(self._lines.get(to, ()))[:most]]


def _by_age(candidate: Candidate) -> tuple[bool, float]:
    """Sort by age; records that failed while other events passed go last, since they may fail again."""
    return candidate[1].suspicions > 0, candidate[1].captured_at


def _by_failure(candidate: Candidate) -> tuple[float, float]:
    """Sort by last failure: a tracker in trouble is tried with a different event each time, not always the same one."""
    return candidate[1].failed_at, candidate[1].captured_at
