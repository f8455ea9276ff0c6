"""The state of sending to one destination, as the ledger keeps it."""

from __future__ import annotations

from typing import Any, Callable

from lastword import checked
from lastword.foreign_text import MOST_OF_LINE

#: Seconds: the longest pause for a destination, whatever its tracker asks for.
LONGEST_PAUSE = 24 * 3600.0


class DestinationHealth:
    """The state of sending to one destination. Times are Unix seconds; 0 means never."""

    def __init__(self, **known: Any) -> None:
        self.failures = 0  # since the last success
        self.failing_since = 0.0
        self.not_before = 0.0
        self.pause = 0.0  # seconds: length of the pause that ends at ``not_before``
        self.asked_for = False  # the tracker asked for the pause, with Retry-After
        self.last_error = ""
        self.last_error_at = 0.0
        self.last_success_at = 0.0
        self.delivered = 0
        self.uncertain = 0  # attempts that were sent and got no answer
        self.misconfigured = False
        self.doubts: list[str] = []  # event ids that got the answer of a wrong address since the last success
        vars(self).update(known)

    @classmethod
    def decode(cls, told: dict[str, Any]) -> DestinationHealth:
        """Decode a ledger's data; older versions wrote fewer fields. Raises ValueError."""
        return cls(**{name: read(told[name]) for name, read in _OF_DESTINATIONS.items() if name in told})

    def __repr__(self) -> str:
        return f"DestinationHealth(**{vars(self)})"

    def time_left(self, now: float) -> float:
        """Return the seconds until the destination may be tried; 0 if it may be tried now.

        A remaining time longer than the whole pause comes from a clock that was set, and counts as 0.
        """
        left = self.not_before - now
        return left if 0.0 < left <= self.pause else 0.0

    def move_times(self, by: float) -> None:
        """Move all times ``by`` seconds ahead, as the clock was."""
        for name in ("failing_since", "not_before", "last_error_at", "last_success_at"):
            if at := getattr(self, name):
                setattr(self, name, at + by)


#: The ledger's fields for a destination, and how each is decoded.
_OF_DESTINATIONS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("failures", "delivered", "uncertain"), checked.count),
    **dict.fromkeys(("failing_since", "not_before", "last_error_at", "last_success_at"), checked.seconds),
    "pause": lambda told: checked.number(told, 0, LONGEST_PAUSE),
    **dict.fromkeys(("asked_for", "misconfigured"), checked.flag),
    "last_error": lambda told: checked.line(told, MOST_OF_LINE),
    "doubts": lambda told: [checked.text(id, 64) for id in checked.items(told)],
}
