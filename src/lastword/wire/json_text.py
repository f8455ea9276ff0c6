"""Encode JSON that trackers can read, from values that Python's own encoder would send as something else."""

from __future__ import annotations

import json
import math
from typing import Any

#: From here on a JSON number, read as a double, is not exact.
FIRST_INEXACT_INTEGER = 2**53

#: Levels of nested containers; a deeper one becomes an ellipsis (the encoder would run out of stack).
MAX_DEPTH = 100


def encode(value: Any, *, large_integers_as_text: bool = False) -> bytes:
    """Return ``value``, made of JSON's own types, as ASCII bytes.

    NaN and the infinities become ``null``, as they are not JSON. Lone surrogates are escaped like every character
    outside ASCII, so they never fail. With ``large_integers_as_text``, integers of 2**53 and more, either sign,
    become strings. The order of keys is kept; the same value always gives the same bytes.
    """
    return json.dumps(_encodable(value, large_integers_as_text, MAX_DEPTH), allow_nan=False).encode("ascii")


#: Types of values that are sent unchanged, by whether large integers become text.
_PLAIN = {True: frozenset({str, bool, type(None)}), False: frozenset({str, bool, type(None), int})}


def _encodable(value: Any, large_as_text: bool, depth: int) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and large_as_text and abs(value) >= FIRST_INEXACT_INTEGER:
        return str(value)
    if isinstance(value, (dict, list, tuple)):
        if depth == 0:
            return "…"
        plain, deeper = _PLAIN[large_as_text], depth - 1  # most values are plain, and a call for each would be slow
        if isinstance(value, dict):
            return {
                key: item if type(item) in plain else _encodable(item, large_as_text, deeper)
                for key, item in value.items()
            }
        return [item if type(item) in plain else _encodable(item, large_as_text, deeper) for item in value]
    return value
