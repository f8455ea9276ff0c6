"""A program whose DSN was corrected takes along what it recorded for the wrong one.

That is a guess of ours, and events must not go to a tracker that they were never meant for. So it is made only where

* the old destination never took an event, and its tracker says that its address or key is wrong,
* the new one is at the same tracker (wire format, scheme, host and port), and has taken an event,
* the same program records for the new one (``identity.program_of``), and for no other one at that tracker,
* none of its processes that recorded for the old one is alive, and all were born before the new one was known here:
  of two services that run beside each other, each with a DSN of its own, neither is taken for the other.

Everything else waits for ``lastword redirect``. What is given here is the same standing order.
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
    """Looks for corrected DSNs at every look of the leader."""

    def __init__(self, layout: Layout, ledger: Ledger) -> None:
        self._layout = layout
        self._ledger = ledger

    def look(self, writers: Collection[WatchedWriter]) -> None:
        """Redirect what belongs to a DSN that was corrected meanwhile."""
        healths = self._ledger.destinations.items()
        wrong = [key for key, health in healths if health.misconfigured and not health.last_success_at]
        right = [key for key, health in healths if health.delivered and not health.failures]
        if not (wrong and right):
            return
        for old in wrong:
            for program, of_it in _by_program(old, writers).items():
                new = self._corrected(old, program, right, writers)
                if new is not None and all(self._came_before(writer, new) for writer in of_it):
                    with suppressed(OSError, SpoolError):  # no room: it is tried again at the next look
                        redirects.give(self._layout, old, new, of=[writer.id for writer in of_it])

    def _corrected(
        self, old: str, program: tuple[object, ...], right: Collection[str], writers: Collection[WatchedWriter]
    ) -> Optional[str]:
        """The only destination at the tracker of ``old`` that ``program`` records for by now, if it is ``right``."""
        dsn = self._dsn(old)
        used = {writer.destination for writer in writers if writer.program == program} - {old, None}
        there = [key for key in used if key and dsn and (other := self._dsn(key)) and other.tracker == dsn.tracker]
        return there[0] if len(there) == 1 and there[0] in right else None

    def _came_before(self, writer: WatchedWriter, new: str) -> bool:
        """Whether a process has ended that was there before anything was recorded for ``new``."""
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
    """The writers with records that wait for ``to``, by the program that they are of."""
    found: dict[tuple[object, ...], list[WatchedWriter]] = {}
    for writer in _waiting_for(to, writers):
        if writer.program is not None:
            found.setdefault(writer.program, []).append(writer)
    return found


def _waiting_for(to: str, writers: Collection[WatchedWriter]) -> Iterator[WatchedWriter]:
    for writer in writers:
        if not writer.is_flushers and any(line.to == to for line in writer.waiting()):
            yield writer
