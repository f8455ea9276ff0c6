"""Scrubbing: remove the secrets from an event before the disk is touched. Pure: its only state is caches.

Secrets are recognised by names (``names.py``), and inside texts by pairs of a name and a value (``pairs_in_text.py``)
and by their form (``values.py``, ``commands.py``). ``texts.py`` searches for all of these in all texts of an event at
once, ``whole_event.py`` knows where an event has texts, and ``rules.py`` holds the program's options.
"""

from __future__ import annotations

from lastword.scrub.names import is_sensitive
from lastword.scrub.rules import Rules
from lastword.scrub.whole_event import scrub

__all__ = ["Rules", "is_sensitive", "scrub"]
