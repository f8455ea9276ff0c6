"""What the flusher is sending at this moment, for its successor: an event that kills whoever sends it must be found.

Specification: ``in_flight.json``, ``{"boot_id":…,"sending":[…],"alone":…,"strikes":{…}}`` on one line, padded with
blanks to ``SIZE`` bytes and written in place, so that it needs no room on a full disk. ``sending`` are ids of events
that were handed over for sending (some of them may be settled already), ``alone`` is the id of the only one, where it
was sent with nothing beside it because a flusher had died before, and ``strikes`` counts, by id, the flushers that died
while that event was sent alone. A flusher that leaves of its own will says that it is sending nothing.

A flusher that was killed by a reboot proves nothing about an event, hence the boot id.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from lastword import checked
from lastword.interruption import failures
from lastword.spool.identity import boot_id
from lastword.spool.layout import Layout, open_in_place, read_small_file, write_all

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
            told = checked.mapping(checked.json_value(read_small_file(layout.in_flight, SIZE)))
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
        descriptor = open_in_place(layout.in_flight, os.O_WRONLY | os.O_CREAT)
        try:
            write_all(descriptor, text.encode("ascii").ljust(SIZE))
        finally:
            os.close(descriptor)


def _id(told: object) -> str:
    return checked.text(told, 64)


def _last(ids: Iterable[str]) -> list[str]:
    return list(ids)[-_MOST:]
