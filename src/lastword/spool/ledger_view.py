"""The ledger for those who wait for an entry: read whole only when its generation has moved."""

from __future__ import annotations

from lastword.spool.layout import Layout
from lastword.spool.ledger import Ledger, newest_generation


class LedgerView:
    """What the ledger of one spool says, at a cost of some 10 µs while it does not change."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._seen = Ledger()

    def look(self) -> Ledger:
        """The ledger as it is now; to be read, not changed. Never raises."""
        if newest_generation(self._layout) != self._seen.generation:
            self._seen = Ledger.load(self._layout)
        return self._seen
