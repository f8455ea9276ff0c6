"""Scrub JSON: values (texts, numbers, or dicts and lists of any depth), and texts that are JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Optional

from lastword.event import FILTERED
from lastword.interruption import failures
from lastword.named_values import IsSensitive, is_value_key, names_a_secret, secret_places
from lastword.scrub.texts import MAX_GROWN

Clean = Callable[[str], str]

_SHORT_NUMBER = 10**12  # card numbers are longer
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # allowed in a text only as an escape
_INDENT = re.compile(r"[\[{]\r?\n( {1,8})")


def by_names(value: Any, is_sensitive: Optional[IsSensitive], texts: list[str]) -> Any:
    """Return a copy with the values of sensitive names filtered; append other texts, and long numbers, to ``texts``."""

    def collected(text: str) -> str:
        texts.append(text)
        return text

    return by_values(value, collected, is_sensitive)


def by_values(value: Any, clean: Clean, is_sensitive: Optional[IsSensitive] = None) -> Any:
    """Return a copy with each text passed through ``clean`` and each long number that is a secret filtered; so are the
    values of sensitive names, wherever they stand (see ``named_values``).
    """
    kind = type(value)
    if kind is str:
        return clean(value)
    if kind is int and value > _SHORT_NUMBER:
        return value if clean(str(value)) == str(value) else FILTERED
    if kind is dict:
        if is_sensitive is None:
            return {name: by_values(item, clean) for name, item in value.items()}
        secret = is_sensitive
        if any(map(is_value_key, value)) and names_a_secret(value.items(), is_sensitive):
            secret = lambda name: is_value_key(name) or is_sensitive(name)  # noqa: E731
        return {
            name: FILTERED if secret(name) else by_values(item, clean, is_sensitive) for name, item in value.items()
        }
    if kind is list:
        places = () if is_sensitive is None else secret_places(value, is_sensitive)
        return [
            FILTERED if place in places else by_values(item, clean, is_sensitive) for place, item in enumerate(value)
        ]
    return value


def scrub_json(text: str, clean: Clean, is_sensitive: IsSensitive) -> Optional[str]:
    """Return a JSON text without its secrets, with the same structure; None if ``text`` is not JSON.

    It has at most the length of ``text``, or 200 characters: without room the marks are removed, and if that is not
    enough, one mark replaces all of it.
    """
    try:
        value = json.loads(text)
        scrubbed = by_values(value, clean, is_sensitive)
        if scrubbed == value:
            return text
        written = _like(text, scrubbed)
    except failures(ValueError, RecursionError):
        return None
    most = max(len(text), MAX_GROWN)
    if len(written) > most:
        written = written.replace(FILTERED, "")
    return written if len(written) <= most else json.dumps(FILTERED)


def _like(text: str, value: Any) -> str:
    indent = _INDENT.match(text)
    separators = (", " if ", " in text and not indent else ",", ": " if '": ' in text else ":")
    indented = len(indent[1]) if indent else None
    if not text.isascii():
        written = json.dumps(value, ensure_ascii=False, indent=indented, separators=separators)
        if _LONE_SURROGATE.search(written) is None:
            return written
    return json.dumps(value, indent=indented, separators=separators)
