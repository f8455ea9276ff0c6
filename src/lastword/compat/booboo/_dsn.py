"""Parse the DSNs that booboo-sdk accepts."""

from __future__ import annotations

from typing import NamedTuple, Optional
from urllib.parse import unquote, urlsplit

from lastword.interruption import failures

DEFAULT_ENDPOINT = "https://ingest.booboo.dev/"


class Address(NamedTuple):
    """Token and URL; a token of "" means that the DSN has none usable in a header, and nothing is sent."""

    token: str
    endpoint: str


def parse_dsn(dsn: object, endpoint: Optional[str] = None) -> Address:
    """Read a DSN: ``http(s)://TOKEN@HOST[:PORT]/…``, of which only token and origin are used, or a bare token.

    ``endpoint``, if given, is used unchanged. Raises nothing.
    """
    token, origin = dsn if isinstance(dsn, str) else "", DEFAULT_ENDPOINT
    if token.startswith(("http://", "https://")):
        try:
            parts = urlsplit(token)
            host, port, user = parts.hostname, parts.port, parts.username
        except failures(ValueError):
            host = port = user = None
        if host and user:
            named = f"[{host}]" if ":" in host else host
            origin = f"{parts.scheme}://{named}" + (f":{port}" if port is not None else "") + "/"
            token = unquote(user)
    usable = all(" " <= character <= "\xff" and character != "\x7f" for character in token)
    return Address(token.strip() if usable else "", str(endpoint) if endpoint else origin)
