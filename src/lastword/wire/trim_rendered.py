"""Trim to fit, of a body that was rendered where it was captured: what is known of it is that it is JSON.

What goes, in this order, from everywhere at once: variables of library frames, the lines around the source line, all
variables, frames in the middle of a stack, the ends of long texts, the middle of long lists. A frame is an object
with ``vars``. The tag ``lastword.trimmed`` says that something went, where the body has room for tags. Pure.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from lastword.event import TRIMMED_TAG
from lastword.wire.json_text import encode

_ALL = sys.maxsize
_TOLD = "left out to fit: variables, source, frames or the ends of texts"


class _Allowance(NamedTuple):
    library_variables: bool = True
    source_context: bool = True
    variables: bool = True
    list_end: int = _ALL  # of a list, so many items at either end stay
    characters: int = _ALL  # of a text


_STEPS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("library_variables", (False,)),
    ("source_context", (False,)),
    ("list_end", (32, 16, 8)),
    ("characters", (4096, 1024)),
    ("variables", (False,)),
    ("list_end", (4, 2, 1)),
    ("characters", (256, 64)),
)


def _ladder() -> Iterator[_Allowance]:
    allowance = _Allowance()
    for name, values in _STEPS:
        for value in values:
            allowance = allowance._replace(**{name: value})
            yield allowance


def fit_rendered(body: bytes, limit: int) -> bytes:
    """``body``, or as much of it as fits into ``limit`` bytes; the whole of it where it is no JSON."""
    if len(body) <= limit:
        return body
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return body
    smaller = body
    for allowance in _ladder():
        trimmed = _trimmed(value, allowance)
        if isinstance(trimmed, dict) and isinstance(trimmed.get("tags"), dict):
            trimmed["tags"][TRIMMED_TAG] = _TOLD
        smaller = encode(trimmed)
        if len(smaller) <= limit:
            break
    return smaller


def _trimmed(value: Any, allowance: _Allowance) -> Any:
    if isinstance(value, str):
        most = allowance.characters
        return value if len(value) <= most else f"{value[:most]}… ({len(value) - most} characters left out)"
    if isinstance(value, list):
        end = allowance.list_end
        return [_trimmed(item, allowance) for item in (value if len(value) <= 2 * end else value[:end] + value[-end:])]
    if isinstance(value, dict):
        kept = {key: _trimmed(item, allowance) for key, item in value.items()}
        return _trimmed_frame(kept, allowance) if isinstance(kept.get("vars"), dict) else kept
    return value


def _trimmed_frame(frame: dict[str, Any], allowance: _Allowance) -> dict[str, Any]:
    if not allowance.variables or not (allowance.library_variables or frame.get("in_app")):
        frame["vars"] = {}
    if not allowance.source_context:
        frame.update({name: [] for name in ("pre_context", "post_context") if name in frame})
    return frame
