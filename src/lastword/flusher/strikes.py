"""Poison: an event that kills whoever sends it is found, and set aside, and no other event with it.

What a flusher was sending when it died is sent by its successor with nothing beside it, each alone. Only a death during
that counts against an event, and only ``schedule.MOST_STRIKES`` of them make it poison.
"""

from __future__ import annotations

from collections.abc import Sequence

from lastword.flusher import schedule
from lastword.flusher.in_flight import InFlight
from lastword.interruption import suppressed
from lastword.spool.layout import Layout


class Strikes:
    """Knows what the flusher before this one died of, and tells its successor what this one is sending.

    Attributes:
        counts: by event id, how many flushers died while they sent it alone.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        left = InFlight.load(layout)
        self._suspects = {*left.sending, *left.strikes} - {""}
        self.counts = left.strikes
        if left.alone:
            self._suspects.add(left.alone)
            self.counts[left.alone] = self.counts.get(left.alone, 0) + 1
        self._told: frozenset[str] = frozenset()
        self._alone = ""

    def is_suspect(self, event_id: str) -> bool:
        """Whether it was being sent when a flusher died."""
        return event_id in self._suspects

    def is_poison(self, event_id: str) -> bool:
        return self.counts.get(event_id, 0) >= schedule.MOST_STRIKES

    @property
    def sending_alone(self) -> bool:
        """Whether a suspect is under way: nothing goes beside it."""
        return bool(self._alone)

    def sends(self, event_id: str, told: Sequence[str]) -> None:
        """The event is about to be sent; ``told`` are the ids to write down where it is not yet."""
        if self.is_suspect(event_id):
            self._alone = event_id
            self._store([event_id])
        elif event_id not in self._told:
            self._store(told)

    def survived(self, event_id: str) -> None:
        """A verdict on it came back."""
        if event_id in self._suspects:
            self._suspects.discard(event_id)
            self.counts.pop(event_id, None)
            self._alone = ""
            self._store([])

    def leave(self) -> None:
        """This flusher leaves of its own will."""
        self._suspects.clear()
        self.counts.clear()
        self._alone = ""
        self._store([])

    def _store(self, sending: Sequence[str]) -> None:
        self._told = frozenset(sending)
        # Suspects that are not sent yet stay suspects, should this flusher die as well.
        left = InFlight([*self._suspects, *sending], self._alone, self.counts)
        with suppressed(OSError):  # no room for it: poison is not found then, and all else goes on
            left.store(self._layout)
