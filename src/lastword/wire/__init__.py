"""Wire formats: pure translations from the neutral Event to the requests of one kind of tracker.

``NEEDS``: the data each wire format needs from capture, by the word that names the format in a DSN. It stands apart
from the formats, which only the flusher loads.
"""

from __future__ import annotations

from lastword.event import Needs

NEEDS = {
    "backtrace": Needs(message_stack=True, all_threads=True, memory=True),
    "booboo": Needs(),
}

#: Without a DSN the destination of events is not known yet.
NEEDS_OF_NONE = Needs(message_stack=True)
