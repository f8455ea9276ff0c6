"""The server side of HTTP/1.1: read requests from a stream, encode replies as bytes.

`http.server` is not used because it alters paths (``//post`` becomes ``/post``), writes to standard error, and sends an
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

from lastword.wire.format import HttpReply

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True)
class Request:
    """A complete request, read at Unix time ``at``; header names are lower case, ``path`` includes the query."""

    at: float
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class RequestError(Exception):
    """The bytes received are not a readable request; ``status`` is the status to answer with."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def read_request(stream: BinaryIO, connection: socket.socket) -> Optional[Request]:
    """Read the next request of ``connection`` from its ``stream``; return None if the sender has closed it."""
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
    """Return ``reply`` as one block of bytes; Date, Content-Type and Content-Length are added if it lacks them."""
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
