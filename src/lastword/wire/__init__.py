"""Wire formats: pure translations from the neutral Event to what one kind of tracker expects.

What each wire format wants capture to take, by the word that a DSN names it with.

Apart from the formats themselves, which only the flusher loads.
"""

from __future__ import annotations

from lastword.event import Needs

NEEDS = {
    "backtrace": Needs(message_stack=True, all_threads=True, memory=True),
    "booboo": Needs(),
}

#: Without a DSN nobody knows yet where events will go.
NEEDS_OF_NONE = Needs(message_stack=True)
