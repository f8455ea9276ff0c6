"""Poison: an event that kills whoever sends it is found, and set aside, and no other event with it.

What a flusher was sending when it died is sent by its successor with nothing beside it, each alone. Only a death during
that counts against an event, and only ``schedule.MOST_STRIKES`` of them make it poison.

What the flusher is sending at this moment, for its successor: an event that kills whoever sends it must be found.

Specification: ``in_flight.json``, ``{"boot_id":…,"sending":[…],"alone":…,"strikes":{…}}`` on one line, padded with
blanks to ``SIZE`` bytes and written in place, so that it needs no room on a full disk. ``sending`` are ids of events
that were handed over for sending (some of them may be settled already), ``alone`` is the id of the only one, where it
was sent with nothing beside it because a flusher had died before, and ``strikes`` counts, by id, the flushers that died
while that event was sent alone. A flusher that leaves of its own will says that it is sending nothing.

A flusher that was killed by a reboot proves nothing about an event, hence the boot id.
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

#: So many ids are kept: more than are ever handed over at once.
_MOST = 64


@dataclass
class InFlight:
    """What the flusher before this one left, and what this one tells its successor."""

    sending: list[str] = field(default_factory=list)
    alone: str = ""
    strikes: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, layout: Layout) -> InFlight:
        """What is told there; nothing where it is missing, garbage, or of another boot. Never raises."""
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
        """Write it; the caller leads. Raises OSError."""
        text = json.dumps(
            {
                "boot_id": boot_id(),
                "sending": _last(self.sending),
                "alone": self.alone,
                "strikes": {id: self.strikes[id] for id in _last(self.strikes)[-_MOST // 4 :]},
            }
        )
        write_in_place(layout.in_flight, text.encode("ascii"), SIZE)


def _id(told: object) -> str:
    return checked.text(told, 64)


def _last(ids: Iterable[str]) -> list[str]:
    return list(ids)[-_MOST:]


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
