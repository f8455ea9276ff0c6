"""Scrub the variables and headers that booboo-sdk scrubs, and the headers that it overlooks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lastword.config import Config
from lastword.event import FILTERED
from lastword.integrations.reporting import Request
from lastword.interruption import anything
from lastword.scrub import Rules

#: A local variable is sensitive if its name contains one of these; case is ignored.
SENSITIVE_PATTERN = re.compile(
    "password|passwd|secret|token|api_key|apikey|access_key|auth|credential|private", re.IGNORECASE
)

SENSITIVE_HEADERS = frozenset(
    ("authorization", "cookie", "set-cookie", "x-forwarded-for", "x-real-ip", "proxy-authorization")
)

_MAX_NAMES = 50
_MAX_TEXT = 200

#: lastword's own rules, for requests: the list above misses ``X-Api-Key`` and ``?token=``.
_requests = Rules(Config(scrub="all"))


def is_sensitive(name: str) -> bool:
    return SENSITIVE_PATTERN.search(name) is not None


def scrub_headers(headers: Mapping[str, Any]) -> dict[str, str]:
    """Return a copy with values as texts, and ``[filtered]`` for each value that may be a secret."""
    return {
        name: FILTERED if name.lower() in SENSITIVE_HEADERS or _requests.is_sensitive(name) else str(value)
        for name, value in headers.items()
    }


def scrub_vars(local_vars: Mapping[str, Any]) -> dict[str, str]:
    """Return the first 50 variables, without dunder names, as texts of at most 200 characters."""
    shown = [name for name in local_vars if not (name.startswith("__") and name.endswith("__"))]
    return {name: FILTERED if is_sensitive(name) else _text(local_vars[name]) for name in shown[:_MAX_NAMES]}


def _text(value: Any) -> str:
    try:
        return repr(value)[:_MAX_TEXT]
    except anything():
        return f"<{type(value).__name__}>"


def scrub_request(request: Request) -> Request:
    """Return ``request`` without secrets in headers, URL and query string."""
    return request._replace(
        url=_requests.scrub_text(request.url),
        headers=scrub_headers(request.headers),
        query_string=_requests.scrub_text(request.query_string),
    )
