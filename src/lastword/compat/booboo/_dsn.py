"""What booboo-sdk takes for a DSN, read into a destination's address."""

from __future__ import annotations

from typing import NamedTuple, Optional
from urllib.parse import unquote, urlsplit

from lastword.interruption import failures

DEFAULT_ENDPOINT = "https://ingest.booboo.dev/"


class Address(NamedTuple):
    """``token``: "" where there is none that can be sent in a header; then nothing is sent."""

    token: str
    endpoint: str


def parse_dsn(dsn: object, endpoint: Optional[str] = None) -> Address:
    """Read a DSN: ``http(s)://TOKEN@HOST[:PORT]/…``, of which only token and origin count, or a bare token.

    ``endpoint``, where given, stands as it is. Raises nothing.
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
