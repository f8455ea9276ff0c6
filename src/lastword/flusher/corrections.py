"""When a program's DSN was corrected, redirect the events that it recorded for the wrong DSN.

This is a guess, and events must never go to a tracker that they were not meant for. So it is made only if

* the old destination never accepted an event, and its tracker says that its address or key is wrong,
* the new one is at the same tracker (wire format, scheme, host and port), and has accepted an event,
* the same program records for the new one (``identity.program_of``), and for no other destination at that tracker,
* all of its processes that recorded for the old one have ended, and started before the new one was known here:
  this keeps apart two services that run side by side, each with a DSN of its own.

In all other cases the events wait for ``lastword redirect``, which gives the same standing order as this module.
"""

from __future__ import annotations

from collections.abc import Collection

from lastword.errors import ConfigError, SpoolError
from lastword.flusher.watch import WatchedWriter
from lastword.interruption import failures, suppressed
from lastword.spool import destination, inside, redirects
from lastword.spool.layout import Layout
from lastword.spool.ledger import Ledger


def redirect_corrected(layout: Layout, ledger: Ledger, writers: Collection[WatchedWriter]) -> None:
    """Redirect the events that wait for a DSN that has been corrected meanwhile."""
    healths = ledger.destinations.items()
    right = {key for key, health in healths if health.delivered and not health.failures}
    wrong = [key for key, health in healths if health.misconfigured and not health.last_success_at]
    for old in wrong if right else ():
        waiting = [writer for writer in writers if any(line.to == old for line in writer.waiting())]
        waiting = [writer for writer in waiting if not writer.is_flushers]
        for program in {writer.program for writer in waiting} - {None}:
            used = {writer.destination for writer in writers if writer.program == program} - {None, old}
            of_it = [writer for writer in waiting if writer.program == program]
            there = [key for key in used if key and _are_at_one_tracker(layout, key, old)]
            if len(there) == 1 and there[0] in right and _all_came_before(layout, there[0], of_it):
                with suppressed(OSError, SpoolError):  # no room: the next scan tries again
                    redirects.give(layout, old, there[0], of=[writer.id for writer in of_it])


def _are_at_one_tracker(layout: Layout, one: str, other: str) -> bool:
    try:
        return destination.load(layout, one).dsn.tracker == destination.load(layout, other).dsn.tracker
    except failures(ConfigError):
        return False


def _all_came_before(layout: Layout, new: str, writers: Collection[WatchedWriter]) -> bool:
    """Return whether these writers' processes have ended and had started before anything was recorded for ``new``."""
    try:
        known_since = inside.lstat(layout.destination(new)).st_mtime
    except failures(OSError):
        return False
    return all(writer.dead and writer.born is not None and writer.born < known_since for writer in writers)
