"""Trim to fit a body that was rendered where it was captured: all that is known of it is that it is JSON.

Removed in this order, from the whole body at once: variables of library frames, the lines around the source line, the
middle of long lists (a stack is one), the ends of long texts, all variables, more of lists and texts. A frame is an
object with ``vars``. The tag ``lastword.trimmed`` says that something was removed, if the body has tags. Pure.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from lastword.event import TRIMMED_TAG
from lastword.wire.json_text import encode
from lastword.wire.trim import ladder

_ALL = sys.maxsize


@dataclass(frozen=True)
class _Allowance:
    library_variables: bool = True
    source_context: bool = True
    variables: bool = True
    list_end: int = _ALL  # items that stay at either end of a list
    characters: int = _ALL  # of a text


_STEPS = (
    ("library_variables", (False,)),
    ("source_context", (False,)),
    ("list_end", (32, 16, 8)),
    ("characters", (4096, 1024)),
    ("variables", (False,)),
    ("list_end", (4, 2, 1)),
    ("characters", (256, 64)),
)


def fit_rendered(body: bytes, limit: int) -> bytes:
    """Return ``body``, or as much of it as fits into ``limit`` bytes; all of it if it is not JSON."""
    if len(body) <= limit:
        return body
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return body
    smaller = body
    for allowance in ladder(_Allowance(), _STEPS):
        trimmed = _trimmed(value, allowance)
        if isinstance(trimmed, dict) and isinstance(trimmed.get("tags"), dict):
            trimmed["tags"][TRIMMED_TAG] = "left out to fit: variables, source, frames or the ends of texts"
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
