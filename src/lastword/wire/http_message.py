"""One request to a tracker and one answer from it, as plain data: no socket, no HTTP library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class HttpRequest:
    """A POST, complete: ``headers`` are exactly what the wire format adds to those that HTTP itself needs."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class HttpReply:
    """An answer: ``headers`` have lower-case names; ``body`` is cut at 64 KiB. ``secrets`` are what the request was
    sent with, which nobody who quotes the answer repeats.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = field(default=(), repr=False)
