"""Telling of losses: at most once an hour one event says how many others were lost, and why.

"217 events were lost since 2026-11-22 12:04 UTC: spool full 200, too large 17"

What the program itself did not want (before_send, ignored, sampled, flood) is no loss, and the loss of such a report is
never told of.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

from lastword.flusher.retention import OWN_REPORT

#: Seconds between two reports.
INTERVAL = 3600.0

#: So many reasons are told of, those of the most events; what others there are comes from a file that was damaged.
_MOST_REASONS = 50
_OTHERS = "other reasons"

WANTED = frozenset({"before_send", "ignored", "sampled", "flood", "purged", OWN_REPORT})


def losses(dropped: Mapping[str, int], refused: Mapping[str, int]) -> Counter[str]:
    """How many events were lost, by reason, over the life of the spool."""
    total = Counter(dict(dropped))
    total.update(refused)
    found = Counter({reason: count for reason, count in total.items() if count > 0 and reason not in WANTED})
    told = Counter(dict(found.most_common(_MOST_REASONS)))
    others = sum(found.values()) - sum(told.values())
    return told + Counter({_OTHERS: others})


def untold(lost: Counter[str], told: Counter[str], told_at: float, now: float) -> Counter[str]:
    """The losses to tell of now: none before its time. A ``told_at`` in the future is a wrong clock's."""
    if 0 <= now - told_at < INTERVAL:
        return Counter()
    return lost - told


def sentence(counts: Counter[str], since: float) -> str:
    """The message of the report; ``since`` in Unix seconds."""
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(since))
    total = sum(counts.values())
    reasons = ", ".join(f"{reason} {count}" for reason, count in counts.most_common())
    return f"{total} event{'s were' if total != 1 else ' was'} lost since {when}: {reasons}"
