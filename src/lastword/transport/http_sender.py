"""Send one HTTP request and return its answer; the only file that opens a socket.

The options of the destination decide the proxy and the certificates. Options that are not set come from the
environment, as every user of ``requests`` expects: ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, and
for the certificates to trust the first of ``CA_VARIABLES`` that is set. Certificates are always checked unless the
destination itself says otherwise. Nothing else is taken from the environment or kept: no ``.netrc``, no cookies.

A redirect is followed only if it asks for the same request (307, 308) at the same scheme, host and port: the request
holds a token that only the tracker may see.
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
from lastword.wire.format import HttpReply, HttpRequest

#: Most bytes read of an answer; a tracker's answer fits in a fraction of this.
MAX_REPLY_BYTES = 64 * 1024

#: Most redirects followed one after another.
MAX_REDIRECTS = 3

#: Environment variables that name a file or directory of CA certificates; the first that is set counts.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")

#: Bytes per second: a connection that is slower than this over a whole upload counts as broken.
SLOWEST_UPLOAD = 16 * 1024

_SAME_REQUEST_ELSEWHERE = frozenset({307, 308})


class HttpSender:
    """Sends requests one after another over kept-alive connections. Each thread needs a sender of its own."""

    def __init__(self) -> None:
        # Connections with different options are never shared: otherwise one made without checking the certificate would
        # carry requests meant for a host with a checked certificate.
        self._sessions: dict[tuple[object, ...], requests.Session] = {}

    def __enter__(self) -> HttpSender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept-alive connections. The sender can be used again, and then opens new ones."""
        for session in self._sessions.values():
            session.close()

    def send(self, request: HttpRequest, destination: Destination) -> HttpReply:
        """Post ``request`` with the options of ``destination`` and return the answer, whatever its status.

        Connecting may take ``destination.connect_timeout`` seconds, and the answer, from its first byte to its last,
        ``destination.timeout`` seconds. In the upload, each block of 16 KiB may take ``destination.timeout``, and the
        whole that time plus the time it takes at SLOWEST_UPLOAD. If the body of an answer is over MAX_REPLY_BYTES, cut
        off or too slow, the answer is returned with the part that came, because its status is known. An answer given
        before the upload was complete counts like any other.

        Raises SendError if no answer came; ``ambiguous`` is false if a part of the request was still unsent, because
        then no tracker can have accepted it.
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
        except Exception as error:  # the libraries fail on answers in more ways than they document
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
    """A session that does not recognize redirects: ``requests`` would read the whole body of one, however long, to
    prepare the next request, even if it must not follow.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def _new_session(url: str, destination: Destination) -> requests.Session:
    """Create a session. It reads the environment once: doing so for each request took a third of the time."""
    session = _Session()
    session.trust_env = False
    session.verify = _trusted(destination)
    session.proxies = _proxies(url, destination)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # Compression could turn a small answer into an endless one, and an answer has only a line or two anyway.
    session.headers.update({"User-Agent": f"lastword/{__version__}", "Accept-Encoding": "identity"})
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())
    return session


def _proxies(url: str, destination: Destination) -> dict[str, str]:
    """Return the proxies for ``url``, by scheme; raises SendError if the environment names a SOCKS proxy for it.

    Our connections do not speak SOCKS, and would bypass that proxy.
    """
    if destination.proxy:
        return {"http": destination.proxy, "https": destination.proxy}
    found: dict[str, str] = requests.utils.get_environ_proxies(url)
    proxy = requests.utils.select_proxy(url, found) or ""
    if proxy.lower().startswith("socks"):
        advice = "set the option proxy to an HTTP proxy, or add the tracker's host to NO_PROXY"
        reason = f"the environment's proxy {_host_and_port(proxy)} speaks SOCKS, which lastword cannot use: {advice}"
        raise SendError(reason, ambiguous=False, where="proxy")
    return found


def _secrets(session: requests.Session, destination: Destination) -> tuple[str, ...]:
    """Return the secrets sent that no message may repeat, including those of proxies from the environment."""
    of_proxies = (secret for proxy in session.proxies.values() for secret in secrets_of_proxy(proxy))
    return tuple(dict.fromkeys((*destination.secrets, *of_proxies)))


def _expect_no_warning_about(host: str) -> None:
    """Ignore the warning about ``host``: the user chose not to verify, and as an error it would stop the sender."""
    about_it = f"Unverified HTTPS request is being made to host '{re.escape(host)}'"
    warnings.filterwarnings("ignore", about_it, urllib3.exceptions.InsecureRequestWarning)


def _trusted(destination: Destination) -> Union[bool, str]:
    """Return the ``verify`` option for ``requests``; raises SendError if the CA file that is named does not exist."""
    if not destination.verify:
        return False
    variable = next((name for name in CA_VARIABLES if os.environ.get(name)), None)
    bundle = destination.ca_bundle or (variable and os.environ[variable])
    if bundle and not os.path.exists(bundle):
        source = "the option ca_bundle" if destination.ca_bundle else variable
        raise SendError(f"{source} names {bundle}, which does not exist", ambiguous=False, where="tls")
    return bundle or True


def _redirected_to(url: str, reply: HttpReply) -> Optional[str]:
    """Return the URL to send the same request to, or None if it must not be sent again."""
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
    """A body that knows whether all of it was handed to the connection, and raises if the whole upload takes too long.

    The connection reads it block by block, once it is established.
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
            raise socket.timeout(f"fewer than {self._size} bytes could be sent in {self._most:g} s")
        block = super().read(size)
        self._handed_over += len(block)
        return block

    @property
    def handed_over(self) -> bool:
        return self._handed_over >= self._size


class _Adapter(requests.adapters.HTTPAdapter):
    """The adapter of ``requests`` with our own connections, proxied or not."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = TIMELY_POOLS

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = TIMELY_POOLS
        return manager


def _read_body(response: requests.Response) -> bytes:
    body = b""
    # Cut off, too slow or not HTTP: the status is known, and the wire format notices a missing part that matters.
    with suppress(Exception):
        for piece in _as_it_comes(response):
            body += piece
            if len(body) >= MAX_REPLY_BYTES:
                break
    return body[:MAX_REPLY_BYTES]


def _as_it_comes(response: requests.Response) -> Iterator[bytes]:
    """Yield the body in pieces, each as soon as its first byte is there: a full read would wait for all bytes."""
    read_some = getattr(response.raw, "read1", None)
    if read_some is None:  # urllib3 before 2.2
        yield from response.iter_content(1)
        return
    while piece := read_some(MAX_REPLY_BYTES, decode_content=True):
        yield piece


def _send_error(
    error: BaseException, url: str, destination: Destination, secrets: tuple[str, ...], *, ambiguous: bool
) -> SendError:
    """Describe the error for people, never with the text of ``requests``, which repeats the URL with the token."""
    place = _host_and_port(url)
    chain = list(_chain(error))
    where = _where_it_failed(chain, handed_over=ambiguous)
    detail = one_line(_detail(chain), MOST_QUOTED, secrets)
    if where == "proxy":
        reason = f"the proxy {_proxy_in_use(url, destination)} does not connect to {place} ({detail})"
    elif where == "tls":
        reason = f"TLS with {place} failed ({detail}); {_tls_advice(chain)}"
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
        return f"if your own CA issued its certificate, set ca_bundle or {CA_VARIABLES[0]} to that CA's file"
    return "check that it speaks TLS at that port"


def _proxy_in_use(url: str, destination: Destination) -> str:
    """Return only host and port of the proxy: the rest of its URL may hold a password."""
    proxy = requests.utils.select_proxy(url, _proxies(url, destination)) or ""
    return _host_and_port(proxy if "://" in proxy else f"//{proxy}")


def _host_and_port(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _chain(error: Optional[BaseException]) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__ or _wrapped_by(error)


def _wrapped_by(error: BaseException) -> Optional[BaseException]:
    """Return the error that urllib3 2 wraps without setting ``__cause__``: a certificate error behind a proxy."""
    inner = error.args[0] if error.args else None
    return inner if isinstance(inner, BaseException) else None


def _detail(chain: list[BaseException]) -> str:
    """Describe the first exception not raised by ``requests`` or ``urllib3``, or else the first of all."""
    cause = next((link for link in chain if not _is_of_the_library(link)), chain[0])
    # Other exceptions may quote the data that they failed on, for example a header with the token.
    may_be_quoted = isinstance(cause, (OSError, http.client.HTTPException)) and not _is_of_the_library(cause)
    return f"{type(cause).__name__}: {cause}" if may_be_quoted else type(cause).__name__


def _is_of_the_library(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] in ("requests", "urllib3")
