"""Read a request as a tracker of each kind does: find its event and choose the answer.

- **booboo**: ``POST /`` with the token in ``X-Booboo-DSN`` and one JSON object as the body; any 2xx means
  accepted. A handshake (``{"handshake": true, …}``) gets the same answer but is not an event.
- **backtrace**: ``POST /post?token=…&format=json`` with a multipart form, whose file ``upload_file`` is one JSON object
  and whose other files are attachments; 200 and an object with ``_rxid`` mean accepted.
"""

from __future__ import annotations

import email.message
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple, Optional
from urllib.parse import parse_qs

from lastword.testing.exchange import Request
from lastword.wire.format import HttpReply

_MULTIPART = re.compile(r'multipart/form-data; *boundary="?([^";]{1,70})"?', re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """The result of reading a request: the answer, and the event with its attachments if there is one."""

    reply: HttpReply
    body: Optional[dict[str, Any]] = None
    attachments: Mapping[str, bytes] = field(default_factory=dict)
    is_event: bool = False
    why: str = ""


def refusal(status: int, why: str) -> Reading:
    return Reading(HttpReply(status, json.dumps({"detail": why}).encode()), why=why)


def _read_booboo(request: Request, token: str) -> Reading:
    path, _ = _split(request.path)
    given = request.headers.get("x-booboo-dsn", "")
    if path != "/":
        return refusal(404, "no such path; events go to /")
    if given != token:
        return _wrong_token(given)
    body = _json_object(request.body)
    if body is None:
        return refusal(400, "the body is not a JSON object")
    return Reading(HttpReply(202, b'{"status": "accepted"}'), body, is_event=body.get("handshake") is not True)


def _read_backtrace(request: Request, token: str) -> Reading:
    path, query = _split(request.path)
    given = query.get("token", "")
    if path != "/post":
        return refusal(404, "no such path; events go to /post")
    if given != token:
        return _wrong_token(given)
    if query.get("format") != "json":
        return refusal(400, "the query does not say format=json")
    try:
        files = _multipart_files(request.headers.get("content-type", ""), request.body)
    except ValueError as error:
        return refusal(400, f"not a multipart form: {error}")
    upload = files.pop("upload_file", None)
    body = upload and _json_object(upload.content)
    if body is None:
        return refusal(400, "its file upload_file is missing or not a JSON object")
    reply = HttpReply(200, json.dumps({"response": "ok", "_rxid": str(uuid.uuid4())}).encode())
    return Reading(reply, body, {file.filename: file.content for file in files.values()}, is_event=True)


#: Kind of tracker → ``(request, correct token) → Reading``.
READERS: dict[str, Callable[[Request, str], Reading]] = {"booboo": _read_booboo, "backtrace": _read_backtrace}


def _wrong_token(given: str) -> Reading:
    return refusal(403, "wrong token") if given else refusal(401, "no token")


def _split(target: str) -> tuple[str, dict[str, str]]:
    # Not urlsplit(): it takes the text after a leading // for a host.
    path, _, query = target.partition("?")
    return path, {name: values[0] for name, values in parse_qs(query).items()}


def _json_object(text: bytes) -> Optional[dict[str, Any]]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


class _File(NamedTuple):
    filename: str
    content: bytes


def _multipart_files(content_type: str, body: bytes) -> dict[str, _File]:
    """Return the files of a ``multipart/form-data`` body by part name. Raises ValueError if the body is malformed."""
    boundary = _MULTIPART.fullmatch(content_type.strip())
    if boundary is None:
        raise ValueError(f"Content-Type is {content_type!r}")
    preamble, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary[1].encode("latin-1"))
    if preamble or not parts or parts.pop() not in (b"--", b"--\r\n"):
        raise ValueError("the body does not begin and end with its boundary")
    files: dict[str, _File] = {}
    for part in parts:
        head, blank_line, content = part.partition(b"\r\n\r\n")
        name, filename = _names(head)
        if not blank_line or name is None or filename is None:
            raise ValueError("a part has no header with a name and a file name")
        if name in files:
            raise ValueError(f"two parts are named {name!r}")
        files[name] = _File(filename, content)
    return files


def _names(part_head: bytes) -> tuple[Optional[str], Optional[str]]:
    """Return the name and the file name in a part's Content-Disposition."""
    header = email.message.Message()
    for line in part_head.decode("utf-8", "replace").split("\r\n"):
        key, _, value = line.partition(":")
        if key.lower() == "content-disposition" and value.strip().startswith("form-data;"):
            header[key] = value.strip()
    name, filename = (header.get_param(key, header="content-disposition") for key in ("name", "filename"))
    return (name if isinstance(name, str) else None), (filename if isinstance(filename, str) else None)
