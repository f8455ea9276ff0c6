"""Scrub the parts of an event that are kept as JSON; only breadcrumbs that may hold a secret are decoded."""

from __future__ import annotations

import json
import re
from typing import Optional

from lastword.event_json import EncodedList, encode_value
from lastword.scrub.json_values import Clean, by_values
from lastword.scrub.rules import Rules
from lastword.scrub.texts import SecretsInTexts, Suspicion

# The JSON escapes of the four letters that match an ASCII letter if case is ignored; folding leaves them unchanged.
_ALSO_ASCII = re.compile(r"\\u(?:0130|0131|017f|212a)")


def scrub_encoded(items: EncodedList, rules: Rules, suspicion: Suspicion) -> EncodedList:
    """Return ``items`` without what ``rules`` find; only items that may hold a secret are decoded.

    ``suspicion`` is what their JSON, and other texts, may hold. JSON escapes no character of a literal, so it contains
    each literal of its texts, if ``rules.are_ascii``; a literal that only the JSON contains is gone after decoding.
    """
    may_be = [*suspicion, *rules.names.suspect(items.texts)]
    look_at_all = any(map(_ALSO_ASCII.search, items.texts))
    if not (may_be or look_at_all):
        return items
    clean = _Cleaner(rules.texts, suspicion)
    return EncodedList(
        [
            _scrubbed(text, rules, clean) if look_at_all or rules.names.suspect((text,), may_be) else text
            for text in items.texts
        ]
    )


class _Cleaner:
    """Caches cleaned texts, because categories, levels and addresses repeat."""

    def __init__(self, secrets: Optional[SecretsInTexts], suspicion: Suspicion) -> None:
        self._secrets = secrets
        self._suspicion = suspicion
        self._known: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        if self._secrets is None:
            return text
        cleaned = self._known.get(text)
        if cleaned is None:
            cleaned = self._known[text] = self._secrets.without_secrets(text, self._suspicion)
        return cleaned


def _scrubbed(encoded: str, rules: Rules, clean: Clean) -> str:
    item = json.loads(encoded)
    scrubbed = by_values(item, clean, rules.is_sensitive)
    return encoded if scrubbed == item else encode_value(scrubbed)
