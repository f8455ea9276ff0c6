"""Poison: find an event that kills the flusher that sends it, and set aside this event only.

The events that a flusher was sending when it died are suspects: its successor sends each of them alone. Only a death
while an event is sent alone counts against it, and ``schedule.MOST_STRIKES`` of these make it poison. For this, each
flusher records for its successor which events it is sending.

Specification: ``in_flight.json``, ``{"boot_id":…,"sending":[…],"alone":…,"strikes":{…}}`` on one line, padded with
blanks to ``SIZE`` bytes and written in place, so that it needs no room on a full disk. ``sending`` are ids of events
that were handed over for sending (some of them may be settled already). ``alone`` is the id of the suspect that is sent
alone, or empty. ``strikes`` counts, by id, the flushers that died while that event was sent alone. A flusher that
leaves of its own accord records that it is sending nothing.

The boot id is there because a flusher killed by a reboot proves nothing about an event.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lastword import checked
from lastword.flusher import schedule
from lastword.interruption import failures, suppressed
from lastword.spool.identity import boot_id
from lastword.spool.layout import Layout, read_object, write_in_place

SIZE = 4096

#: Most ids kept: more than are ever handed over at once.
_MOST = 64


@dataclass
class InFlight:
    """The content of ``in_flight.json``: left by the previous flusher, or recorded for the next one."""

    sending: list[str] = field(default_factory=list)
    alone: str = ""
    strikes: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, layout: Layout) -> InFlight:
        """Read the file; return an empty state if it is missing, invalid, or from another boot. Never raises."""
        try:
            told = read_object(layout.in_flight, SIZE)
            if told.get("boot_id") != boot_id():
                return cls()
            strikes = checked.mapping(told.get("strikes"))
            return cls(
                [_id(id) for id in checked.items(told.get("sending"))],
                _id(told.get("alone")),
                {_id(id): checked.integer(count) for id, count in strikes.items()},
            )
        except failures(OSError, ValueError):
            return cls()

    def store(self, layout: Layout) -> None:
        """Write the file; the caller must be the leader. Raises OSError."""
        text = json.dumps(
            {
                "boot_id": boot_id(),
                "sending": _last(self.sending),
                "alone": self.alone,
                "strikes": {id: self.strikes[id] for id in _last(self.strikes)[-_MOST // 4 :]},
            }
        )
        write_in_place(layout.in_flight, text.encode("ascii").ljust(SIZE))


def _id(told: object) -> str:
    return checked.text(told, 64)


def _last(ids: Iterable[str]) -> list[str]:
    return list(ids)[-_MOST:]


class Strikes:
    """Knows the suspects of the previous flusher's death, and records for the next one what this one is sending.

    Attributes:
        counts: number of flushers that died while they sent an event alone, by event id.
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
        """Return whether the event was being sent when a flusher died."""
        return event_id in self._suspects

    def is_poison(self, event_id: str) -> bool:
        return self.counts.get(event_id, 0) >= schedule.MOST_STRIKES

    @property
    def sending_alone(self) -> bool:
        """Whether a suspect is in flight: nothing else may be sent then."""
        return bool(self._alone)

    def sends(self, event_id: str, told: Sequence[str]) -> None:
        """Note that the event is about to be sent; ``told`` are the ids to record unless it is recorded already."""
        if self.is_suspect(event_id):
            self._alone = event_id
            self._store([event_id])
        elif event_id not in self._told:
            self._store(told)

    def survived(self, event_id: str) -> None:
        """Note that a verdict on the event came back."""
        if event_id in self._suspects:
            self._suspects.discard(event_id)
            self.counts.pop(event_id, None)
            self._alone = ""
            self._store([])

    def leave(self) -> None:
        """Record that this flusher leaves of its own accord."""
        self._suspects.clear()
        self.counts.clear()
        self._alone = ""
        self._store([])

    def _store(self, sending: Sequence[str]) -> None:
        self._told = frozenset(sending)
        # Suspects that were not sent yet stay suspects if this flusher dies as well.
        left = InFlight([*self._suspects, *sending], self._alone, self.counts)
        with suppressed(OSError):  # no room: poison cannot be found then, and all else goes on
            left.store(self._layout)
