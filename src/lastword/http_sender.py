"""The only file that opens a socket: one request out, one answer back.

Proxies and CA bundles come from the environment, as every user of ``requests`` expects (``HTTPS_PROXY``, ``NO_PROXY``,
``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE``). Nothing else is taken from it or kept: no ``.netrc``, no cookies, no
redirect is followed.
"""

from __future__ import annotations

import http.client
import io
import time
from collections.abc import Iterator
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from lastword.errors import SendError
from lastword.http_message import HttpReply, HttpRequest
from lastword.version import __version__

#: Bytes of an answer that are read; what a tracker says fits in a fraction of it.
MAX_REPLY_BYTES = 64 * 1024


class HttpSender:
    """Sends requests one after another over kept-alive connections. Each thread needs a sender of its own."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.auth = _no_auth
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Compression could turn a small answer into an endless one, and an answer is a line or two anyway.
        self._session.headers.update({"User-Agent": f"lastword/{__version__}", "Accept-Encoding": "identity"})

    def __enter__(self) -> HttpSender:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept-alive connections. The sender may be used again and then opens new ones."""
        self._session.close()

    def send(self, request: HttpRequest, timeout: float) -> HttpReply:
        """Post ``request`` and return the answer, whatever its status.

        ``timeout`` is in seconds and bounds connecting, each wait for the answer's head, and the whole of its body.
        An answer whose body is over MAX_REPLY_BYTES, is cut off or takes too long is returned with what there is of
        it: its status was said. An answer given before the upload was complete counts as any other.

        Raises SendError when no answer came; ``ambiguous`` is false as long as a part of the request was still unsent,
        because then no tracker can have taken it.
        """
        upload = _Upload(request.body)
        try:
            response = self._session.post(
                request.url,
                data=upload,
                headers=dict(request.headers),
                timeout=timeout,
                allow_redirects=False,
                stream=True,
            )
        except (OSError, ValueError, urllib3.exceptions.HTTPError, http.client.HTTPException) as error:
            raise SendError(_reason(error, request.url, timeout), ambiguous=upload.handed_over) from error
        with response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return HttpReply(response.status_code, _read_body(response, timeout), headers)


class _Upload(io.BytesIO):
    """A body that knows whether all of it was handed to the connection, which asks for it only once it is made."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self._handed_over = 0
        self._size = len(body)

    def read(self, size: int | None = -1) -> bytes:
        block = super().read(size)
        self._handed_over += len(block)
        return block

    @property
    def handed_over(self) -> bool:
        return self._handed_over >= self._size


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Adds nothing: a session with an auth of its own does not look into ``.netrc``."""
    return request


def _read_body(response: requests.Response, timeout: float) -> bytes:
    deadline = time.monotonic() + timeout
    body = b""
    try:
        for piece in _as_it_comes(response):
            body += piece
            if len(body) >= MAX_REPLY_BYTES or time.monotonic() > deadline:
                break
    except (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException):
        pass  # cut off: the status was said, and what is missing here is missed by the format if it matters
    return body[:MAX_REPLY_BYTES]


def _as_it_comes(response: requests.Response) -> Iterator[bytes]:
    """The body in pieces that wait for no byte but the first: a full read would wait for all, however slow they are."""
    read_some = getattr(response.raw, "read1", None)
    if read_some is None:  # urllib3 before 2.2
        yield from response.iter_content(1)
        return
    while piece := read_some(MAX_REPLY_BYTES, decode_content=True):
        yield piece


def _reason(error: BaseException, url: str, timeout: float) -> str:
    """What went wrong, for people. Never the text of ``requests``, which repeats the URL and so the token in it."""
    place = urlsplit(url).netloc.rpartition("@")[2]
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection to {place} within {timeout:g} s"
    if isinstance(error, requests.ReadTimeout):
        return f"no answer from {place} within {timeout:g} s"
    cause = _cause_below_the_library(error)
    # Anything else may quote what it choked on: a header with the token in it, for one.
    may_be_quoted = isinstance(cause, (OSError, http.client.HTTPException)) and not _is_of_the_library(cause)
    detail = f"{type(cause).__name__}: {cause}" if may_be_quoted else type(cause).__name__
    through = "the proxy for " if isinstance(error, requests.exceptions.ProxyError) else ""
    return f"no answer from {through}{place} ({detail})"


def _cause_below_the_library(error: BaseException) -> BaseException:
    """The exception of the standard library behind those of ``requests`` and ``urllib3``, or ``error`` itself."""
    link: BaseException | None = error
    while link is not None and _is_of_the_library(link):
        link = link.__cause__ or link.__context__
    return link or error


def _is_of_the_library(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] in ("requests", "urllib3")
