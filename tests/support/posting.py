"""Posting to a loopback tracker as the trackers' own SDKs do."""

from __future__ import annotations

import http.client
import json
from contextlib import suppress
from typing import Any, Callable, Optional

from lastword.testing import LoopbackTracker

EVENT = {"message": "card declined", "exception_type": "CardError"}
REPORT = {"uuid": "5a0a7b0e-7d5f-4b71-8f0e-7a1b5b1f6d10", "attributes": {"error.message": "card declined"}}


def connect(tracker: LoopbackTracker) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", tracker.port, timeout=10)


def send(
    tracker: LoopbackTracker,
    body: object = EVENT,
    *,
    token: Optional[str] = "loopback-token",
    path: str = "/",
    method: str = "POST",
    over: Optional[http.client.HTTPConnection] = None,
) -> http.client.HTTPResponse:
    """Send ``body`` as booboo's SDK would; the answer is read to its end."""
    connection = over or connect(tracker)
    headers = {} if token is None else {"X-Booboo-DSN": token}
    try:
        connection.request(method, path, body if isinstance(body, bytes) else json.dumps(body), headers)
        response = connection.getresponse()
        response.read()
        return response
    finally:
        if over is None:
            connection.close()


def form(*parts: tuple[str, str, bytes], boundary: str = "frontier") -> bytes:
    """A multipart body of (part name, file name, content)."""
    pieces = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n\r\n'.encode() + content
        for name, file, content in parts
    ]
    return b"\r\n".join([*pieces, f"--{boundary}--\r\n".encode()])


def send_form(
    tracker: LoopbackTracker,
    body: bytes = form(("upload_file", "upload_file", json.dumps(REPORT).encode())),
    *,
    path: str = "/post?token=loopback-token&format=json",
    content_type: str = "multipart/form-data; boundary=frontier",
) -> tuple[int, dict[str, Any]]:
    """Send ``body`` as Backtrace's SDK would; returns status and answer."""
    connection = connect(tracker)
    try:
        connection.request("POST", path, body, {"Content-Type": content_type})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def swallow(call: Callable[..., object], *arguments: object) -> None:
    """Call, and let a broken connection pass."""
    with suppress(OSError, http.client.HTTPException):
        call(*arguments)
