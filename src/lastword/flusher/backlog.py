"""Which record goes next: for each destination the oldest; where it is in trouble, one that has not failed lately."""

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
    """The records that wait, in the order in which they are to be sent, as far as the writers' windows show them.

    ``strikes`` say how many flushers died while they sent an event alone: the fewer, the sooner it goes. So where
    somebody kills one after the other it is not with the same event each time, and one that is deadly comes last.
    """

    def __init__(self, strikes: Mapping[str, int]) -> None:
        self._strikes = strikes
        self._lines: dict[str, deque[Candidate]] = {}
        self._resting: set[str] = set()

    def sort(
        self, writers: Collection[WatchedWriter], destinations: Mapping[str, DestinationHealth], now: float
    ) -> None:
        """Look anew at what waits for those ``destinations`` that may be tried ``now`` (Unix seconds)."""
        for writer in writers:
            writer.refill()
        horizon = min((writer.horizon for writer in writers), default=0.0)
        self._resting = {to for to, health in destinations.items() if not schedule.may_send(health, now)}
        found: dict[str, list[Candidate]] = {}
        beyond: dict[str, list[Candidate]] = {}
        for writer in writers:
            for line in writer.waiting():
                if (
                    line.to is not None
                    and line.to not in self._resting
                    and not (line.damage or line.state is State.IN_FLIGHT)
                ):
                    place = found if line.captured_at <= horizon else beyond
                    place.setdefault(line.to, []).append((writer, line))
        self._lines = {}
        for to in {*found, *beyond}:
            # Beyond the horizon an older record may come into view, so these wait for it, unless there is nothing else.
            lines = found.get(to) or beyond[to]
            health = destinations.get(to)
            in_trouble = health is not None and health.failures > 0
            lines.sort(key=_by_failure if in_trouble else _by_age)
            if self._strikes:
                lines.sort(key=self._by_strikes)
            self._lines[to] = deque(lines)

    def is_outdated(self, destinations: Mapping[str, DestinationHealth], now: float) -> bool:
        """Whether any that was to be left alone may be tried ``now``."""
        return any(schedule.may_send(destinations[to], now) for to in self._resting)

    def _by_strikes(self, candidate: Candidate) -> int:
        return self._strikes.get(candidate[1].event_id, 0)

    def destinations(self) -> list[str]:
        """Those for which anything waits."""
        return list(self._lines)

    def next(self, to: str) -> Optional[Candidate]:
        """Take the next one; None when no more is in view that may be tried now."""
        lines = self._lines.get(to)
        while lines:
            writer, line = lines.popleft()
            if line.state is State.HELD and not (line.is_left_alone or writer.gone):
                return writer, line
        self._lines.pop(to, None)
        return None

    def put_back(self, to: str, candidate: Candidate) -> None:
        """It could not be sent just now, and is the next one again."""
        self._lines.setdefault(to, deque()).appendleft(candidate)

    def upcoming(self, to: str, most: int) -> list[str]:
        """The ids of the next ones."""
        return [line.event_id for _, line in list(self._lines.get(to, ()))[:most]]


def _by_age(candidate: Candidate) -> tuple[bool, float]:
    """What failed while others passed goes last: its time is past, and it may fail again."""
    return candidate[1].suspicions > 0, candidate[1].captured_at


def _by_failure(candidate: Candidate) -> tuple[float, float]:
    """A tracker in trouble is tried with one after the other, so that no single event stands for all."""
    return candidate[1].failed_at, candidate[1].captured_at
