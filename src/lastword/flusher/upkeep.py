"""What a leader does for the spool beside sending: onto the disk, within its limits, and honest about losses.

Telling of losses: at most once an hour one event says how many others were lost, and why.

"217 events were lost since 2026-11-22 12:04 UTC: spool full 200, too large 17"

What the program itself did not want (before_send, ignored, sampled, flood) is no loss, and the loss of such a report is
never told of.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping
from contextvars import Context

from lastword.assembly import message_event
from lastword.capture import CaptureSettings
from lastword.errors import ConfigError, RecordRefused, SpoolError
from lastword.event import Needs
from lastword.flusher import retention
from lastword.flusher.retention import OWN_REPORT
from lastword.flusher.settle import Bookkeeper
from lastword.flusher.watch import WatchedWriter
from lastword.interruption import failures
from lastword.scrub import Rules, is_sensitive, scrub
from lastword.spool import blackbox, destination
from lastword.spool import refused as without_writer
from lastword.spool.layout import BLACKBOX, Layout
from lastword.spool.ledger import reasons_of_dropped
from lastword.spool.record import encode_event
from lastword.spool.writer import Writer, WriterLost

#: Seconds between two of each. Power loss costs at most what was written since the last sync.
SYNC_INTERVAL = 1.0
MINUTE = 60.0

_MOST_AT_ONCE = 8  # segments

_SETTINGS = CaptureSettings(needs=Needs(), is_sensitive=is_sensitive)


class Upkeep:
    """Called at every look; does each thing when its time has come."""

    def __init__(self, layout: Layout, books: Bookkeeper) -> None:
        self._layout = layout
        self._books = books
        self._synced_at = 0.0
        self._minute_at = 0.0

    def make_room(self, writers: Mapping[str, WatchedWriter], now: float) -> None:
        """Keep the spool of these writers within its limit; ``now`` in Unix seconds. A few segments at a time, so that
        their room is there soon: while many write, counting what is in there takes long.
        """
        while retention.drop_oldest(self._layout, writers.values(), _MOST_AT_ONCE):
            self._books.mark_changed(now)
            self._books.clean_up(writers.values(), now)

    def look_after(self, writers: Mapping[str, WatchedWriter], now: float) -> None:
        """Keep the spool of these writers in order."""
        ticks = time.monotonic()
        if ticks - self._synced_at >= SYNC_INTERVAL:
            for writer in writers.values():
                writer.sync()
            self._synced_at = ticks
        if ticks - self._minute_at >= MINUTE:
            self._every_minute(writers, now)
            self._minute_at = ticks

    def _every_minute(self, writers: Mapping[str, WatchedWriter], now: float) -> None:
        trimmed = self._books.set_aside.trim()
        if retention.drop_too_old(writers.values(), now) or trimmed:
            self._books.mark_changed(now)
        self._tell_of_losses(writers, now)

    def _tell_of_losses(self, writers: Mapping[str, WatchedWriter], now: float) -> None:
        ledger = self._books.ledger
        dropped, refused = Counter(ledger.totals.tally), Counter(ledger.totals.refused)
        refused.update(without_writer.counted(self._layout))
        for writer in writers.values():
            dropped.update(writer.entry.tally)
            refused.update(blackbox.load(os.path.join(writer.directory, BLACKBOX)).refused)
        lost = losses(reasons_of_dropped(dropped), refused)
        news = untold(lost, ledger.told, ledger.told_at, now)
        healthy = [key for key, health in ledger.destinations.items() if health.last_success_at and not health.failures]
        if not news or not healthy:
            return
        text = sentence(news, ledger.told_at or self._first_seen(writers, now))
        told = [self._report(text, key, lost) for key in healthy]
        if any(told):
            ledger.told, ledger.told_at = lost, now
            self._books.mark_changed(now)

    def _first_seen(self, writers: Mapping[str, WatchedWriter], now: float) -> float:
        return min((writer.entry.first_seen for writer in writers.values()), default=now)

    def _report(self, text: str, key: str, lost: Counter[str]) -> bool:
        """File it like any event, through a writer of our own, so that it goes the way that every event goes."""
        # Not in the context of a program that sends from its own thread: this is about none of its users.
        event = Context().run(message_event, text, level="warning", settings=_SETTINGS)
        event["tags"] = {f"lost.{reason}": str(count) for reason, count in lost.items()}
        try:
            to = destination.load(self._layout, key)
            with Writer.born(self._layout, role="flusher") as writer:
                writer.append(encode_event(event["id"], key, scrub(event, Rules(to))), to)
        except failures(OSError, ConfigError, SpoolError, RecordRefused, WriterLost):
            return False
        return True


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
