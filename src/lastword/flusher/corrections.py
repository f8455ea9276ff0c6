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

from collections.abc import Collection, Iterator
from typing import Optional

from lastword.dsn import Dsn
from lastword.errors import ConfigError, SpoolError
from lastword.flusher.watch import WatchedWriter
from lastword.interruption import failures, suppressed
from lastword.spool import destination, inside, redirects
from lastword.spool.layout import Layout
from lastword.spool.ledger import Ledger


class Corrections:
    """Checks for corrected DSNs at every scan of the leader."""

    def __init__(self, layout: Layout, ledger: Ledger) -> None:
        self._layout = layout
        self._ledger = ledger

    def look(self, writers: Collection[WatchedWriter]) -> None:
        """Redirect the events that wait for a DSN that has been corrected meanwhile."""
        healths = self._ledger.destinations.items()
        wrong = [key for key, health in healths if health.misconfigured and not health.last_success_at]
        right = [key for key, health in healths if health.delivered and not health.failures]
        if not (wrong and right):
            return
        for old in wrong:
            for program, of_it in _by_program(old, writers).items():
                new = self._corrected(old, program, right, writers)
                if new is not None and all(self._came_before(writer, new) for writer in of_it):
                    with suppressed(OSError, SpoolError):  # no room: the next scan tries again
                        redirects.give(self._layout, old, new, of=[writer.id for writer in of_it])

    def _corrected(
        self, old: str, program: tuple[object, ...], right: Collection[str], writers: Collection[WatchedWriter]
    ) -> Optional[str]:
        """Return the only destination at the tracker of ``old`` that ``program`` records for now, if in ``right``."""
        dsn = self._dsn(old)
        used = {writer.destination for writer in writers if writer.program == program} - {old, None}
        there = [key for key in used if key and dsn and (other := self._dsn(key)) and other.tracker == dsn.tracker]
        return there[0] if len(there) == 1 and there[0] in right else None

    def _came_before(self, writer: WatchedWriter, new: str) -> bool:
        """Return whether the writer's process has ended and had started before anything was recorded for ``new``."""
        try:
            known_since = inside.lstat(self._layout.destination(new)).st_mtime
        except failures(OSError):
            return False
        return writer.dead and writer.born is not None and writer.born < known_since

    def _dsn(self, key: str) -> Optional[Dsn]:
        try:
            return destination.load(self._layout, key).dsn
        except failures(ConfigError):
            return None


def _by_program(to: str, writers: Collection[WatchedWriter]) -> dict[tuple[object, ...], list[WatchedWriter]]:
    """Return the writers with records that wait for ``to``, grouped by program."""
    found: dict[tuple[object, ...], list[WatchedWriter]] = {}
    for writer in _waiting_for(to, writers):
        if writer.program is not None:
            found.setdefault(writer.program, []).append(writer)
    return found


def _waiting_for(to: str, writers: Collection[WatchedWriter]) -> Iterator[WatchedWriter]:
    for writer in writers:
        if not writer.is_flushers and any(line.to == to for line in writer.waiting()):
            yield writer
