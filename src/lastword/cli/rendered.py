"""A rendered body (``spool.record``) as people read it: its JSON, indented, and a title where one can be made out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def is_rendered(content: Mapping[str, Any]) -> bool:
    return isinstance(content.get("wire"), str) and ("text" in content or "base64" in content)


def rendered_title(content: Mapping[str, Any]) -> str:
    """What it says, as far as the two formats have one word for it."""
    body = _body(content)
    attributes = body.get("attributes")
    if body.get("handshake") is True:
        return f"a handshake for {content['wire']}"
    message = attributes.get("error.message") if isinstance(attributes, Mapping) else body.get("message")
    kinds = body.get("classifiers") or [body.get("exception_type")]
    words = [str(word) for word in (kinds[0] if isinstance(kinds, list) else None, message) if word]
    return ": ".join(words) or f"an event for {content['wire']}"


def rendered_text(content: Mapping[str, Any]) -> str:
    """The whole of it."""
    body = _body(content)
    return json.dumps(body, indent=1, ensure_ascii=False) if body else str(content.get("text") or content.get("base64"))


def _body(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The JSON object in it, or in the first part of a multipart form; {} where there is none."""
    text = str(content.get("text") or "")
    if str(content.get("type")).startswith("multipart/"):
        text = text.partition("\r\n\r\n")[2].partition("\r\n--")[0]
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, Mapping) else {}
