"""Scrubbing: an event without its secrets, before the disk is touched. Pure: no state but what was worked out before.

What a secret is, is told by names (``names.py``), and inside texts by pairs of a name and a value (``pairs.py``) and by
what secrets look like (``values.py``, ``commands.py``). ``texts.py`` looks for all of these in all texts of an event at
once, ``event.py`` knows where an event has texts, and ``rules.py`` is what the program made of it by its options.
"""

from __future__ import annotations

from lastword.scrub.names import is_sensitive
from lastword.scrub.rules import Rules
from lastword.scrub.whole_event import scrub

__all__ = ["Rules", "is_sensitive", "scrub"]
