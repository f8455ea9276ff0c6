"""The room of one event: it fits into a record whatever its stacks, variables and messages.

A record may have 1 MiB (design: limits). The long parts of an event share ``EVENT_ROOM`` characters of JSON; the
remainder (host, tags, user, extra, contexts, breadcrumbs …) has limits of its own, all below the difference.
"""

from __future__ import annotations

#: Characters of JSON for the exceptions and the stack of one event.
EVENT_ROOM = 600_000

#: Characters that variables leave free for the frames farther from the raise: a call is worth more than variables.
LEFT_BY_VARIABLES = 100_000

_ASCII_COST = 2  # a backslash or a quote becomes two characters
_UNICODE_COST = 12  # a character beyond the BMP becomes two \uXXXX
_CONTROL_COST = 6  # a control character becomes one \uXXXX


class Room:
    """The characters left for one event."""

    def __init__(self, size: int = EVENT_ROOM) -> None:
        self.left = size

    def take(self, cost: int, leaving: int = 0) -> bool:
        """Take ``cost`` characters; return False and take none if fewer than ``leaving`` would remain."""
        if cost + leaving > self.left:
            return False
        self.left -= cost
        return True


def json_cost(text: str) -> int:
    """Return the most characters that ``text`` can take as a JSON string with its quotes."""
    if not text.isascii():
        return _UNICODE_COST * len(text) + 4
    return (_ASCII_COST if text.isprintable() else _CONTROL_COST) * len(text) + 4
