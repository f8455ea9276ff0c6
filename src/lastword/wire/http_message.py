"""One request to a tracker and one answer from it, as plain data: no socket, no HTTP library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class HttpRequest:
    """A complete POST: ``headers`` are only those that the wire format adds to the ones that HTTP itself needs."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class HttpReply:
    """An answer: ``headers`` have lower-case names; ``body`` is cut at 64 KiB. ``secrets`` are those that the request
    was sent with; a quotation of the answer must not repeat them.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = field(default=(), repr=False)
