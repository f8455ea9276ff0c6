"""How sending to one destination goes, as the ledger has it."""

from __future__ import annotations

from typing import Any, Callable

from lastword import checked
from lastword.foreign_text import MOST_OF_LINE

#: Seconds. No destination is left alone for longer, whatever it asks for.
LONGEST_PAUSE = 24 * 3600.0


class DestinationHealth:
    """How sending to one destination goes. Times are Unix seconds; 0 means never."""

    def __init__(self, **known: Any) -> None:
        self.failures = 0  # since the last success
        self.failing_since = 0.0
        self.not_before = 0.0
        self.pause = 0.0  # seconds: how long the pause is that ends then
        self.asked_for = False  # by the tracker, with Retry-After
        self.last_error = ""
        self.last_error_at = 0.0
        self.last_success_at = 0.0
        self.delivered = 0
        self.uncertain = 0  # attempts that were sent and got no answer
        self.misconfigured = False
        self.doubts: list[str] = []  # ids that were answered as a wrong address is, since a success
        vars(self).update(known)

    @classmethod
    def decode(cls, told: dict[str, Any]) -> DestinationHealth:
        """What a ledger says, of which older versions wrote less. Raises ValueError."""
        return cls(**{name: read(told[name]) for name, read in _OF_DESTINATIONS.items() if name in told})

    def __repr__(self) -> str:
        return f"DestinationHealth(**{vars(self)})"

    def time_left(self, now: float) -> float:
        """Seconds until it may be tried; 0 where it may. More than the whole pause come from a clock that was set."""
        left = self.not_before - now
        return left if 0.0 < left <= self.pause else 0.0

    def move_times(self, by: float) -> None:
        """The clock was set, ``by`` seconds ahead."""
        for name in ("failing_since", "not_before", "last_error_at", "last_success_at"):
            if at := getattr(self, name):
                setattr(self, name, at + by)


#: What a ledger says of a destination, and how each is read.
_OF_DESTINATIONS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("failures", "delivered", "uncertain"), checked.count),
    **dict.fromkeys(("failing_since", "not_before", "last_error_at", "last_success_at"), checked.seconds),
    "pause": lambda told: checked.number(told, 0, LONGEST_PAUSE),
    **dict.fromkeys(("asked_for", "misconfigured"), checked.flag),
    "last_error": lambda told: checked.told(told, MOST_OF_LINE),
    "doubts": lambda told: [checked.text(id, 64) for id in checked.items(told)],
}
