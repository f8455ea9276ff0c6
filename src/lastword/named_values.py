"""Find values whose name is beside them in data: pairs, command-line flags, objects with a name and a value.

``("X-Api-Key", "x")``; ``["mysql", "--password", "x"]``; ``{"name": "password", "value": "x"}``. A short flag (``-p``)
does not name a secret. Runs no code of the program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Optional

IsSensitive = Callable[[str], bool]

#: Keys that hold the name of something, and those that hold its value; to be compiled with ``re.IGNORECASE``.
KIND = (
    "header|param(?:eter)?|var(?:iable)?|field|attr(?:ibute)?|prop(?:erty)?|option|env|cookie|setting|config"
    "|arg(?:ument)?"
)
NAME_KEYS = f"(?:(?:{KIND})[-_.]?)?(?:name|key)|{KIND}|loc"
VALUE_KEYS = "[a-z_]{0,30}values?|val|v|input|content|data|default|text"

_MAX_NAME = 1000
_MAX_PARTS = 8

# A sentence is no name: it has blanks. In JSON a bytes name is shown by its repr.
_NAME = re.compile(r"(?!b?['\"]?-)[^\s,;!?=]{1,200}(?: (?:key|token|password))?", re.IGNORECASE)
_FLAG = re.compile(r"""(?:b?['"])?--?[A-Za-z][^\s=]{2,100}""")
_NO_VALUE = re.compile(r"""(?:b?['"])?--?(?:no|without)-""")
_NAME_KEY = re.compile(f"(?:b['\"])?(?:{NAME_KEYS})['\"]?", re.IGNORECASE)
_VALUE_KEY = re.compile(f"(?:b['\"])?(?:{VALUE_KEYS})['\"]?", re.IGNORECASE)

# Each dict operation is atomic, and a lost answer is computed again.
_known_keys: dict[str, bool] = {}
_MAX_KEYS_KNOWN = 1024
_MAX_KNOWN_LENGTH = 50


def text_of_name(name: object) -> Optional[str]:
    """Return a name as str if it is a str or bytes, else None. Calls no method of a subclass."""
    kind = type(name)
    if kind is bytes:
        return bytes.decode(name[:_MAX_NAME], "latin-1")  # type: ignore[index]
    if not issubclass(kind, str):
        return None
    return name if kind is str else str.__getitem__(name, slice(_MAX_NAME))  # type: ignore


def is_secret_name(name: object, is_sensitive: IsSensitive) -> bool:
    """Return whether the value after ``name`` in a pair is a secret."""
    text = text_of_name(name)
    return text is not None and _NAME.fullmatch(text) is not None and is_sensitive(text)


def is_secret_flag(flag: object, is_sensitive: IsSensitive) -> bool:
    """Return whether the argument after ``flag`` is a secret."""
    text = text_of_name(flag)
    if text is None or _FLAG.fullmatch(text) is None or _NO_VALUE.match(text) is not None:
        return False
    return is_sensitive(text)


def secret_places(items: Sequence[object], is_sensitive: IsSensitive) -> Collection[int]:
    """Return the indices of the members of a JSON array that are secrets."""
    if len(items) == 2 and is_secret_name(items[0], is_sensitive):
        return (1,)
    return [
        place + 1
        for place, flag in enumerate(items[:-1])
        if type(flag) is str
        and "-" in flag[:3]
        and is_secret_flag(flag, is_sensitive)
        and not _is_flag(items[place + 1])
    ]


def is_value_key(key: object) -> bool:
    """Return whether ``key`` may hold the value in an object with a name and a value."""
    answer = _known_keys.get(key) if type(key) is str else None
    if answer is None:
        text = text_of_name(key)
        answer = text is not None and _VALUE_KEY.fullmatch(text) is not None
        if type(key) is str and len(key) <= _MAX_KNOWN_LENGTH:
            if len(_known_keys) >= _MAX_KEYS_KNOWN:
                _known_keys.clear()
            _known_keys[key] = answer
    return answer


def names_a_secret(items: Iterable[tuple[object, object]], is_sensitive: IsSensitive) -> bool:
    """Return whether an object with these items names a secret, so that its values (``is_value_key``) are secret."""
    for key, name in items:
        text = text_of_name(key)
        if text is not None and _NAME_KEY.fullmatch(text):
            # pydantic has the path of a field as a tuple
            parts = name if type(name) is list or type(name) is tuple else (name,)
            if any(is_secret_name(part, is_sensitive) for part in parts[-_MAX_PARTS:]):
                return True
    return False


def _is_flag(value: object) -> bool:
    text = text_of_name(value)
    return text is not None and _FLAG.fullmatch(text) is not None
