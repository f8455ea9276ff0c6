"""HTTP/1.1 as a server speaks it: requests read from a stream, replies made into bytes.

`http.server` would do, but it alters paths (``//post`` becomes ``/post``), writes to standard error, and sends an
answer in two packets, of which the second waits 40 ms for an acknowledgement.
"""

from __future__ import annotations

import email.utils
import http.client
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import BinaryIO, Optional

from lastword.wire.http_message import HttpReply

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True)
class Request:
    """A request read whole, at Unix time ``at``; header names are in lower case, ``path`` has its query."""

    at: float
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class RequestError(Exception):
    """What came is no request that can be read; ``status`` is the answer to it."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def read_request(stream: BinaryIO, connection: socket.socket) -> Optional[Request]:
    """The next request of ``connection``, whose bytes come from ``stream``; None when the sender has left."""
    line = stream.readline(65_537)
    if not line:
        return None
    try:
        method, path, _ = line.decode("latin-1").split()
        headers = {name.lower(): value for name, value in http.client.parse_headers(stream).items()}
        length = int(headers.get("content-length", "0"))
    except (ValueError, http.client.HTTPException) as error:
        raise RequestError(400, f"not an HTTP request: {error}") from None
    if "transfer-encoding" in headers:
        raise RequestError(411, "a request needs a Content-Length")
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = stream.read(length)
    return Request(time.time(), method, path, headers, body) if len(body) == length else None


def encode(reply: HttpReply) -> bytes:
    """``reply`` as one block of bytes, with Date, Content-Type and Content-Length unless it brings its own."""
    body = b"" if reply.status in (204, 304) else reply.body
    headers = {
        "Date": email.utils.formatdate(usegmt=True),
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **reply.headers,
    }
    lines = [f"HTTP/1.1 {reply.status} {_PHRASES.get(reply.status, '')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
