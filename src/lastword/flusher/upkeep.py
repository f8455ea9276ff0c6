"""The leader's maintenance of the spool: sync it to disk, keep it within its limits, report losses.

Reporting losses: at most once an hour, one event says how many events were lost, and why.

"217 events were lost since 2026-11-22 12:04 UTC: spool full 200, too large 17"

Events that the program itself rejected (before_send, ignored, sampled, flood) are not losses, and the loss of a loss
report is never reported.
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

#: Seconds between two syncs. A power failure loses at most the data written since the last sync.
SYNC_INTERVAL = 1.0
MINUTE = 60.0

_MOST_AT_ONCE = 8  # segments

_SETTINGS = CaptureSettings(needs=Needs(), is_sensitive=is_sensitive)


class Upkeep:
    """Called at every scan; does each task when it is due."""

    def __init__(self, layout: Layout, books: Bookkeeper) -> None:
        self._layout = layout
        self._books = books
        self._synced_at = 0.0
        self._minute_at = 0.0

    def make_room(self, writers: Mapping[str, WatchedWriter], now: float) -> None:
        """Keep the spool of these writers within its limit; ``now`` in Unix seconds. Remove a few segments at a time,
        so that their room is free soon: while many processes write, counting the spool takes long.
        """
        while retention.drop_oldest(self._layout, writers.values(), _MOST_AT_ONCE):
            self._books.mark_changed(now)
            self._books.clean_up(writers.values(), now)

    def look_after(self, writers: Mapping[str, WatchedWriter], now: float) -> None:
        """Sync the spool of these writers and do the tasks of every minute, if due; ``now`` in Unix seconds."""
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
        """Record the report as an event with a writer of our own, so that it is sent like every event."""
        # In an empty context: where a thread of the program sends, its context may name a user, who is not concerned.
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

#: Most reasons reported, those with the most events; more can only come from a damaged file.
_MOST_REASONS = 50
_OTHERS = "other reasons"

WANTED = frozenset({"before_send", "ignored", "sampled", "flood", "purged", OWN_REPORT})


def losses(dropped: Mapping[str, int], refused: Mapping[str, int]) -> Counter[str]:
    """Return how many events were lost over the life of the spool, by reason."""
    total = Counter(dict(dropped))
    total.update(refused)
    found = Counter({reason: count for reason, count in total.items() if count > 0 and reason not in WANTED})
    told = Counter(dict(found.most_common(_MOST_REASONS)))
    others = sum(found.values()) - sum(told.values())
    return told + Counter({_OTHERS: others})


def untold(lost: Counter[str], told: Counter[str], told_at: float, now: float) -> Counter[str]:
    """Return the losses to report now: none within ``INTERVAL``. A ``told_at`` in the future is from a wrong clock."""
    if 0 <= now - told_at < INTERVAL:
        return Counter()
    return lost - told


def sentence(counts: Counter[str], since: float) -> str:
    """Return the message of the report; ``since`` in Unix seconds."""
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(since))
    total = sum(counts.values())
    reasons = ", ".join(f"{reason} {count}" for reason, count in counts.most_common())
    return f"{total} event{'s were' if total != 1 else ' was'} lost since {when}: {reasons}"
