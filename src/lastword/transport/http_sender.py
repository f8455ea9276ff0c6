"""The only file that opens a socket: one request out, one answer back.

How the way goes is decided by the options of the destination; what they leave open comes from the environment, as
every user of ``requests`` expects: ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, and for the
certificates to trust the first of ``CA_VARIABLES`` that is set. Certificates are always checked unless the destination
itself says otherwise. Nothing else is taken from the environment or kept: no ``.netrc``, no cookies.

A redirect is followed only where it asks for the same request (307, 308) at the same scheme, host and port: the request
holds a token, and nobody but the tracker is to see it.
"""

from __future__ import annotations

import http.client
import io
import os
import re
import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Any, Optional, Union
from urllib.parse import urljoin, urlsplit

import requests
import requests.adapters
import requests.utils
import urllib3.exceptions

from lastword.dsn import Destination, secrets_of_proxy
from lastword.errors import SendError, WhereItFailed
from lastword.foreign_text import MOST_QUOTED, one_line
from lastword.transport.timely_connections import TIMELY_POOLS
from lastword.version import __version__
from lastword.wire.http_message import HttpReply, HttpRequest

#: Bytes of an answer that are read; what a tracker says fits in a fraction of it.
MAX_REPLY_BYTES = 64 * 1024

#: Redirects that are followed one after another.
MAX_REDIRECTS = 3

#: Name a file or directory of CA certificates; the first that is set counts.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")

#: Bytes per second: a way that is slower than this for the whole of an upload counts as broken.
SLOWEST_UPLOAD = 16 * 1024

_SAME_REQUEST_ELSEWHERE = frozenset({307, 308})


class HttpSender:
    """Sends requests one after another over kept-alive connections. Each thread needs a sender of its own."""

    def __init__(self) -> None:
        # A connection is never shared by two ways: one that was made without a look at the certificate would otherwise
        # carry what is meant for a host that has shown it.
        self._sessions: dict[tuple[object, ...], requests.Session] = {}

    def __enter__(self) -> HttpSender:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept-alive connections. The sender may be used again and then opens new ones."""
        for session in self._sessions.values():
            session.close()

    def send(self, request: HttpRequest, destination: Destination) -> HttpReply:
        """Post ``request`` the way that ``destination`` says and return the answer, whatever its status.

        Connecting may take ``destination.connect_timeout`` seconds, and the answer, from its first byte to its last,
        ``destination.timeout``; of the upload, each block of 16 KiB may, and the whole of it as long again at
        SLOWEST_UPLOAD. An answer whose body is over MAX_REPLY_BYTES, is cut off or takes too long is returned with what
        there is of it: its status was said. An answer given before the upload was complete counts as any other.

        Raises SendError when no answer came; ``ambiguous`` is false as long as a part of the request was still unsent,
        because then no tracker can have taken it.
        """
        url = request.url
        for _ in range(MAX_REDIRECTS):
            reply = self._post(url, request, destination)
            target = _redirected_to(url, reply)
            if target is None:
                return reply
            url = target
        return self._post(url, request, destination)

    def _post(self, url: str, request: HttpRequest, destination: Destination) -> HttpReply:
        session = self._session(url, destination)
        upload = _Upload(request.body, destination.timeout)
        try:
            response = session.post(
                url,
                data=upload,
                headers=dict(request.headers),
                timeout=(destination.connect_timeout or destination.timeout, destination.timeout),
                allow_redirects=False,
                stream=True,
            )
        except Exception as error:  # the libraries choke on answers in more ways than they name
            secrets = _secrets(session, destination)
            raise _send_error(error, url, destination, secrets, ambiguous=upload.handed_over) from error
        with response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return HttpReply(response.status_code, _read_body(response), headers, _secrets(session, destination))

    def _session(self, url: str, destination: Destination) -> requests.Session:
        parts = urlsplit(url)
        way = (parts.scheme, parts.netloc, destination.proxy, destination.ca_bundle, destination.verify)
        if way not in self._sessions:
            self._sessions[way] = _new_session(url, destination)
            if not destination.verify:
                _expect_no_warning_about(parts.hostname or "")
        return self._sessions[way]


class _Session(requests.Session):
    """A session that knows nothing of redirects: it would read the whole body of one, however long, to prepare the next
    request, even when it is not to follow.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def _new_session(url: str, destination: Destination) -> requests.Session:
    """A session for one way. The environment is read here, once: for each request it took a third of the time."""
    session = _Session()
    session.trust_env = False
    session.verify = _trusted(destination)
    session.proxies = _proxies(url, destination)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # Compression could turn a small answer into an endless one, and an answer is a line or two anyway.
    session.headers.update({"User-Agent": f"lastword/{__version__}", "Accept-Encoding": "identity"})
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())
    return session


def _proxies(url: str, destination: Destination) -> dict[str, str]:
    """The proxies for ``url``, by scheme; raises SendError where it would take one that speaks SOCKS.

    Our connections do not, and would pass it by if they were let.
    """
    if destination.proxy:
        return {"http": destination.proxy, "https": destination.proxy}
    found: dict[str, str] = requests.utils.get_environ_proxies(url)
    proxy = requests.utils.select_proxy(url, found) or ""
    if proxy.lower().startswith("socks"):
        advice = "name an HTTP proxy with the option proxy, or the tracker's host in NO_PROXY"
        reason = f"the proxy {_host_and_port(proxy)} of the environment speaks SOCKS, and lastword does not: {advice}"
        raise SendError(reason, ambiguous=False, where="proxy")
    return found


def _secrets(session: requests.Session, destination: Destination) -> tuple[str, ...]:
    """What was sent and is not to be repeated, that of proxies of the environment too."""
    of_proxies = (secret for proxy in session.proxies.values() for secret in secrets_of_proxy(proxy))
    return tuple(dict.fromkeys((*destination.secrets, *of_proxies)))


def _expect_no_warning_about(host: str) -> None:
    """Who switches verification off knows it; in a program that makes errors of warnings it would stop the sender."""
    about_it = f"Unverified HTTPS request is being made to host '{re.escape(host)}'"
    warnings.filterwarnings("ignore", about_it, urllib3.exceptions.InsecureRequestWarning)


def _trusted(destination: Destination) -> Union[bool, str]:
    """What ``requests`` is to check certificates with; raises SendError where that is not there."""
    if not destination.verify:
        return False
    variable = next((name for name in CA_VARIABLES if os.environ.get(name)), None)
    bundle = destination.ca_bundle or (variable and os.environ[variable])
    if bundle and not os.path.exists(bundle):
        source = "the option ca_bundle" if destination.ca_bundle else variable
        raise SendError(f"{source} names {bundle}, which is not there", ambiguous=False, where="tls")
    return bundle or True


def _redirected_to(url: str, reply: HttpReply) -> Optional[str]:
    """Where the same request is to go instead; None where it is not to be sent again."""
    location = reply.headers.get("location")
    if reply.status not in _SAME_REQUEST_ELSEWHERE or not location:
        return None
    try:
        target = urljoin(url, location)
        return target if _origin(target) == _origin(url) else None
    except ValueError:
        return None


def _origin(url: str) -> tuple[object, ...]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.username, parts.hostname, port


class _Upload(io.BytesIO):
    """A body that knows whether all of it was handed to the connection, which asks for it only once it is made, block
    by block, and which breaks off when that takes too long as a whole.
    """

    def __init__(self, body: bytes, timeout: float) -> None:
        super().__init__(body)
        self._handed_over = 0
        self._size = len(body)
        self._most = timeout + len(body) / SLOWEST_UPLOAD
        self._began: Optional[float] = None

    def read(self, size: int | None = -1) -> bytes:
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        if now - self._began > self._most:
            raise socket.timeout(f"it took less than {self._size} bytes in {self._most:g} s")
        block = super().read(size)
        self._handed_over += len(block)
        return block

    @property
    def handed_over(self) -> bool:
        return self._handed_over >= self._size


class _Adapter(requests.adapters.HTTPAdapter):
    """The adapter of ``requests`` with connections of ours, proxied or not."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = TIMELY_POOLS

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = TIMELY_POOLS
        return manager


def _read_body(response: requests.Response) -> bytes:
    body = b""
    # Cut off, too slow or no HTTP: the status was said, and what is missing here is missed by the format if it matters.
    with suppress(Exception):
        for piece in _as_it_comes(response):
            body += piece
            if len(body) >= MAX_REPLY_BYTES:
                break
    return body[:MAX_REPLY_BYTES]


def _as_it_comes(response: requests.Response) -> Iterator[bytes]:
    """The body in pieces that wait for no byte but the first: a full read would wait for all, however slow they are."""
    read_some = getattr(response.raw, "read1", None)
    if read_some is None:  # urllib3 before 2.2
        yield from response.iter_content(1)
        return
    while piece := read_some(MAX_REPLY_BYTES, decode_content=True):
        yield piece


def _send_error(
    error: BaseException, url: str, destination: Destination, secrets: tuple[str, ...], *, ambiguous: bool
) -> SendError:
    """What went wrong, for people. Never the text of ``requests``, which repeats the URL and so the token in it."""
    place = _host_and_port(url)
    chain = list(_chain(error))
    where = _where_it_failed(chain, handed_over=ambiguous)
    detail = one_line(_detail(chain), MOST_QUOTED, secrets)
    if where == "proxy":
        reason = f"the proxy {_proxy_in_use(url, destination)} gives no way to {place} ({detail})"
    elif where == "tls":
        reason = f"no TLS with {place} ({detail}); {_tls_advice(chain)}"
    elif isinstance(error, requests.ConnectTimeout):
        seconds = destination.connect_timeout or destination.timeout
        reason = f"no connection to {place} within {seconds:g} s"
    elif isinstance(error, requests.ReadTimeout):
        reason = f"no answer from {place} within {destination.timeout:g} s"
    else:
        reason = f"no answer from {place} ({detail})"
    return SendError(reason, ambiguous=ambiguous, where=where)


def _where_it_failed(chain: list[BaseException], *, handed_over: bool) -> WhereItFailed:
    if any(isinstance(link, (requests.exceptions.ProxyError, urllib3.exceptions.ProxyError)) for link in chain):
        return "proxy"
    if any(isinstance(link, socket.gaierror) for link in chain):
        return "name"
    tls = (ssl.SSLError, requests.exceptions.SSLError, urllib3.exceptions.SSLError)
    if not handed_over and any(isinstance(link, tls) for link in chain):
        return "tls"
    return "network"


def _tls_advice(chain: list[BaseException]) -> str:
    if any(isinstance(link, ssl.SSLCertVerificationError) for link in chain):
        return f"if its certificate is by a CA of your own, name that CA's file with ca_bundle or {CA_VARIABLES[0]}"
    return "does it speak TLS at that port?"


def _proxy_in_use(url: str, destination: Destination) -> str:
    """The proxy by host and port alone: the rest of its URL may be a password."""
    proxy = requests.utils.select_proxy(url, _proxies(url, destination)) or ""
    return _host_and_port(proxy if "://" in proxy else f"//{proxy}")


def _host_and_port(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _chain(error: Optional[BaseException]) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__ or _wrapped_by(error)


def _wrapped_by(error: BaseException) -> Optional[BaseException]:
    """What urllib3 2 wraps without saying so to the interpreter: the trouble with a certificate behind a proxy."""
    inner = error.args[0] if error.args else None
    return inner if isinstance(inner, BaseException) else None


def _detail(chain: list[BaseException]) -> str:
    """The exception of the standard library behind those of ``requests`` and ``urllib3``, or the first of them."""
    cause = next((link for link in chain if not _is_of_the_library(link)), chain[0])
    # Anything else may quote what it choked on: a header with the token in it, for one.
    may_be_quoted = isinstance(cause, (OSError, http.client.HTTPException)) and not _is_of_the_library(cause)
    return f"{type(cause).__name__}: {cause}" if may_be_quoted else type(cause).__name__


def _is_of_the_library(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] in ("requests", "urllib3")
