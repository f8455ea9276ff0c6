"""Writers of the leader's own: for its reports of losses, and for events that are replayed."""

from __future__ import annotations

from collections.abc import Mapping

from lastword.spool.layout import Layout
from lastword.spool.watch import WatchedWriter
from lastword.spool.writer import Writer


class OwnWriters:
    """They are abandoned once they have written, and are then done for, although their process, this one, lives."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._ids: set[str] = set()

    def born(self, role: str) -> Writer:
        """Another one, to be abandoned in the same look; raises OSError or SpoolError."""
        writer = Writer.born(self._layout, role=role)
        self._ids.add(writer.id)
        return writer

    def end(self, writers: Mapping[str, WatchedWriter]) -> None:
        """Have those among ``writers`` taken for dead."""
        for writer_id in self._ids.intersection(writers):
            writers[writer_id].dead = True
