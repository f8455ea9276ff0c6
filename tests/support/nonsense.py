"""JSON texts in which one value is nonsense: of another type, out of every range, or no JSON at all."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

_HERE = '"@ here @"'

#: Values as they stand in a file, by what they are.
VALUES = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "1e999": "1e999",
    "-1e999": "-1e999",
    "1e300": "1e300",
    "1e18": "1e18",
    "below zero": "-1",
    "half": "0.5",
    "2**31": str(2**31),
    "2**63": str(2**63),
    "-2**64": str(-(2**64)),
    "400 digits": "9" * 400,
    "4,300 digits": "9" * 4300,
    "5,000 digits": "9" * 5000,
    "true": "true",
    "null": "null",
    "a text": '"text"',
    "an empty text": '""',
    "a path": '"../../etc/passwd"',
    "an absolute path": '"/etc/passwd"',
    "a NUL": '"a\\u0000b"',
    "a surrogate": '"\\udc80"',
    "a long text": '"' + "x" * 3000 + '"',
    "an array": "[1]",
    "an empty array": "[]",
    "arrays in arrays": "[[[1]]]",
    "an object": '{"a": 1}',
    "nested too deep": "[" * 20_000 + "]" * 20_000,
    "objects nested too deep": '{"a":' * 5_000 + "1" + "}" * 5_000,
}


def spoilt(value: Any, keep: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """``value`` as JSON, with each value of each item (but those called ``keep``) replaced by nonsense, one at a time;
    each with what was done.
    """
    for path in _paths(value):
        if path and path[-1] in keep:
            continue
        changed = copy.deepcopy(value)
        if path:
            inner = changed
            for step in path[:-1]:
                inner = inner[step]
            inner[path[-1]] = "@ here @"
        else:
            changed = "@ here @"
        text = json.dumps(changed)
        for what, raw in VALUES.items():
            yield f"{'.'.join(map(str, path))} is {what}", text.replace(_HERE, raw)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _paths(item, (*path, key))
