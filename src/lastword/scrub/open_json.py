"""Parts of an event that are JSON of the program's own making: texts, or dicts and lists of any depth."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Optional

from lastword.event import FILTERED
from lastword.event_json import EncodedList, encode_value
from lastword.scrub.rules import Rules
from lastword.scrub.texts import SecretsInTexts, Suspicion

Clean = Callable[[str], str]

_SHORT_NUMBER = 10**12  # shorter than that of any card

# The four letters that match one of ASCII where case is ignored, in JSON: a folded text has them as they are.
_ALSO_ASCII = re.compile(r"\\u(?:0130|0131|017f|212a)")


def by_names(value: Any, is_sensitive: Callable[[str], bool], texts: list[str]) -> Any:
    """A copy in which the values of sensitive names are filtered; all other texts, and long numbers, go to `texts`."""

    def collected(text: str) -> str:
        texts.append(text)
        return text

    return by_values(value, collected, is_sensitive)


def by_values(value: Any, clean: Clean, is_sensitive: Callable[[str], bool] = lambda name: False) -> Any:
    """A copy in which each text is what ``clean`` makes of it, and each long number that is a secret is filtered."""
    kind = type(value)
    if kind is str:
        return clean(value)
    if kind is int and value > _SHORT_NUMBER:
        return value if clean(str(value)) == str(value) else FILTERED
    if kind is dict:
        return {
            name: FILTERED if is_sensitive(name) else by_values(item, clean, is_sensitive)
            for name, item in value.items()
        }
    if kind is list:
        return [by_values(item, clean, is_sensitive) for item in value]
    return value


def scrub_encoded(items: EncodedList, rules: Rules, suspicion: Suspicion) -> EncodedList:
    """``items`` without what ``rules`` find; only those of them are read that may hold any.

    ``suspicion`` is what their JSON, and other texts, may hold. JSON escapes no character of a literal, so it has each
    that the texts in it have, if ``rules.are_ascii``; what is found in JSON alone is not found again once it is read.
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
    """Remembers what became of a text, since categories, levels and addresses come again and again."""

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
