"""The network as users have it: proxies, certificates of their own, trackers that move or fall silent.

Each test talks over real sockets to a server on 127.0.0.1 that behaves as it has to.
"""

from __future__ import annotations

import shutil
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest

from lastword.config import Config
from lastword.dsn import Destination
from lastword.errors import SendError
from lastword.event import TRIMMED_TAG
from lastword.testing import LoopbackTracker
from lastword.transport.http_sender import CA_VARIABLES, HttpSender
from lastword.wire.format import HttpRequest
from tests.support import needs
from tests.support.loopback_servers import (
    OK,
    PATIENCE,
    Certificate,
    Serve,
    Server,
    answering,
    full_backlog,
    in_front_of,
    redirecting,
    relaying,
    servers,
    silent,
)
from tests.support.programs import run, wait_until_no_flusher
from tests.support.promise import Section, promise

REQUEST = b'{"message": "hello"}'

with_openssl = needs.capability(shutil.which("openssl") is not None, "openssl command")


@pytest.fixture
def serve() -> Iterator[Serve]:
    with servers() as start:
        yield start


@pytest.fixture
def sender(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpSender]:
    for variable in CA_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    with HttpSender() as sender:
        yield sender


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate.made(tmp_path_factory.mktemp("certificate"))


def by(**options: Any) -> Destination:
    """A destination as ``init`` makes it from these options."""
    made = Config.load({"dsn": "booboo+https://TOKEN@127.0.0.1:1/o/p", "timeout": PATIENCE, **options}, {}).destination
    return cast("Destination", made)


def post_to(url: str) -> HttpRequest:
    return HttpRequest(url, REQUEST, {"X-Booboo-DSN": "TOKEN"})


class TestCertificates:
    """Whom an event is given to is checked, with the CA that the user names."""

    pytestmark = with_openssl

    def test_the_ca_can_be_named_by_the_option(
        self, serve: Serve, sender: HttpSender, certificate: Certificate
    ) -> None:
        """A tracker with a certificate of the company's own CA is reached."""
        server = serve(answering(OK), certificate)
        assert sender.send(post_to(server.url), by(ca_bundle=certificate.path)).status == 200

    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
    def test_the_ca_can_be_named_by_the_environment(
        self,
        serve: Serve,
        sender: HttpSender,
        certificate: Certificate,
        monkeypatch: pytest.MonkeyPatch,
        variable: str,
    ) -> None:
        """By the variables that requests and OpenSSL know."""
        monkeypatch.setenv(variable, str(certificate.path))
        server = serve(answering(OK), certificate)
        assert sender.send(post_to(server.url), by()).status == 200

    @promise(
        Section.NETWORK,
        "A server with an untrusted certificate receives no byte of the request",
        broken_by="TLS reported as network",
    )
    def test_untrusted_server_receives_no_byte_of_the_request(
        self, serve: Serve, sender: HttpSender, certificate: Certificate
    ) -> None:
        """A certificate that is not trusted gets no byte of the request; the error is TLS's and says what to do."""
        server = serve(answering(OK), certificate)
        with pytest.raises(SendError, match=r"certificate.* ca_bundle or REQUESTS_CA_BUNDLE") as raised:
            sender.send(post_to(server.url), by())
        assert (raised.value.where, raised.value.ambiguous, server.heads) == ("tls", False, [])
        assert "SECRET" not in str(raised.value)

    def test_behind_a_proxy_the_advice_is_the_same(
        self, serve: Serve, sender: HttpSender, certificate: Certificate
    ) -> None:
        """It is the tracker's certificate that is not trusted, whatever the way there."""
        server, proxy = serve(answering(OK), certificate), serve(relaying)
        with pytest.raises(SendError, match=r"certificate.* ca_bundle or REQUESTS_CA_BUNDLE") as raised:
            sender.send(post_to(server.url), by(proxy=f"http://127.0.0.1:{proxy.port}"))
        assert (raised.value.where, raised.value.ambiguous, server.heads) == ("tls", False, [])

    def test_verify_false_is_an_option(self, serve: Serve, sender: HttpSender, certificate: Certificate) -> None:
        """For trying things out; even in a program that makes errors of warnings it does what it says."""
        server = serve(answering(OK), certificate)
        assert sender.send(post_to(server.url), by(verify=False)).status == 200

    @pytest.mark.parametrize("variable", ["PYTHONHTTPSVERIFY", "NODE_TLS_REJECT_UNAUTHORIZED", *CA_VARIABLES])
    def test_no_environment_variable_switches_verification_off(
        self,
        serve: Serve,
        sender: HttpSender,
        certificate: Certificate,
        monkeypatch: pytest.MonkeyPatch,
        variable: str,
    ) -> None:
        """The option alone does."""
        monkeypatch.setenv(variable, "0")
        server = serve(answering(OK), certificate)
        with pytest.raises(SendError):
            sender.send(post_to(server.url), by())
        assert server.heads == []

    def test_unverified_connection_is_not_shared_between_destinations(
        self, serve: Serve, sender: HttpSender, certificate: Certificate
    ) -> None:
        """Two destinations on one host: what one of them trusts blindly, the other does not."""
        server = serve(answering(OK), certificate)
        sender.send(post_to(server.url), by(verify=False))
        with pytest.raises(SendError):
            sender.send(post_to(server.url), by())
        assert len(server.heads) == 1

    def test_a_bundle_that_is_gone_is_named(self, sender: HttpSender, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error names the file and the setting that named it."""
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle")
        with pytest.raises(
            SendError, match=r"REQUESTS_CA_BUNDLE names /no/such/bundle, which does not exist"
        ) as raised:
            sender.send(post_to("https://127.0.0.1:1/"), by())
        assert (raised.value.where, raised.value.ambiguous) == ("tls", False)

    def test_error_names_a_port_without_tls(self, serve: Serve, sender: HttpSender) -> None:
        """An https DSN for a port that speaks plain HTTP."""
        server = serve(lambda connection, server: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
        with pytest.raises(SendError, match=r"check that it speaks TLS at that port") as raised:
            sender.send(post_to(server.url.replace("http:", "https:")), by())
        assert raised.value.where == "tls"


class TestProxies:
    """Where there is one, everything goes through it; its password is nobody's business."""

    @with_openssl
    @pytest.mark.parametrize("how", ["proxy", "https_proxy", "HTTPS_PROXY", "all_proxy"])
    def test_tls_goes_through_the_proxy_to_its_end(
        self,
        serve: Serve,
        sender: HttpSender,
        certificate: Certificate,
        monkeypatch: pytest.MonkeyPatch,
        how: str,
    ) -> None:
        """By option or by environment; the proxy learns the password for itself, and neither token nor event."""
        server, proxy = serve(answering(OK), certificate), serve(relaying)
        url = f"http://user:password@127.0.0.1:{proxy.port}"
        if how != "proxy":
            monkeypatch.setenv(how, url)
        to = by(ca_bundle=certificate.path, **({"proxy": url} if how == "proxy" else {}))
        assert sender.send(post_to(server.url), to).status == 200
        [asked] = proxy.heads
        assert asked.startswith(f"CONNECT 127.0.0.1:{server.port} ")
        assert f"Proxy-Authorization: Basic {b64encode(b'user:password').decode()}" in asked
        assert "TOKEN" not in asked
        assert "roxy" not in server.heads[0]

    def test_the_option_wins_over_the_environment(
        self, serve: Serve, sender: HttpSender, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Over a proxy and a NO_PROXY that are set for other programs."""
        named, other = serve(answering(OK)), serve(answering(OK))
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{other.port}")
        monkeypatch.setenv("no_proxy", "tracker.invalid")
        sender.send(post_to("http://tracker.invalid/"), by(proxy=f"http://127.0.0.1:{named.port}"))
        assert (len(named.heads), len(other.heads)) == (1, 0)

    def test_no_proxy_is_obeyed(self, serve: Serve, sender: HttpSender, monkeypatch: pytest.MonkeyPatch) -> None:
        """A tracker in the house is not asked for outside."""
        server, proxy = serve(answering(OK)), serve(answering(OK))
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        sender.send(post_to(server.url), by())
        assert (len(server.heads), len(proxy.heads)) == (1, 0)

    @promise(Section.NETWORK, "Errors do not show the proxy password", broken_by="whole URL")
    @pytest.mark.parametrize("scheme", ["http", "https"])
    @pytest.mark.parametrize("by_option", [True, False])
    def test_unreachable_proxy_is_named_without_its_password(
        self, serve: Serve, sender: HttpSender, monkeypatch: pytest.MonkeyPatch, scheme: str, by_option: bool
    ) -> None:
        """The reason has its host and port; the event cannot have arrived."""
        url = "http://user:password@127.0.0.1:9"
        if not by_option:
            monkeypatch.setenv(f"{scheme}_proxy", url)
        with pytest.raises(SendError, match=r"the proxy 127\.0\.0\.1:9 does not connect to tracker\.invalid") as raised:
            sender.send(post_to(f"{scheme}://tracker.invalid/"), by(**({"proxy": url} if by_option else {})))
        assert (raised.value.where, raised.value.ambiguous) == ("proxy", False)
        assert "password" not in str(raised.value)

    @promise(Section.NETWORK, "A SOCKS proxy that cannot be used is not bypassed", broken_by="not refused")
    @pytest.mark.parametrize("scheme", ["socks5", "SOCKS5h", "socks4"])
    def test_unusable_socks_proxy_of_the_environment_is_not_bypassed(
        self, serve: Serve, sender: HttpSender, monkeypatch: pytest.MonkeyPatch, scheme: str
    ) -> None:
        """The reason says what is missing; the tracker gets no request by another way."""
        server = serve(answering(OK))
        monkeypatch.setenv("all_proxy", f"{scheme}://user:SECRET@127.0.0.1:9")
        with pytest.raises(SendError, match=r"proxy 127\.0\.0\.1:9 speaks SOCKS.*option proxy") as raised:
            sender.send(post_to(server.url), by())
        assert (raised.value.where, raised.value.ambiguous, server.connections) == ("proxy", False, 0)
        assert "SECRET" not in str(raised.value)

    @promise(
        Section.NETWORK,
        "The connection to a refusing proxy is closed at once",
        broken_by="its answer left open (Python 3.9)",
    )
    def test_connection_to_a_refusing_proxy_is_closed_at_once(self, serve: Serve, sender: HttpSender) -> None:
        """Not only when the last reference to the exception is gone."""
        hung_up = threading.Event()

        def says_no(connection: socket.socket, server: Server) -> None:
            server.read_request(connection)
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            assert connection.recv(1) == b""
            hung_up.set()

        with pytest.raises(SendError) as raised:
            sender.send(post_to("https://tracker.invalid/"), by(proxy=f"http://127.0.0.1:{serve(says_no).port}"))
        assert hung_up.wait(PATIENCE / 2)
        assert raised.value.where == "proxy"

    def test_reason_has_the_answer_of_a_proxy_that_wants_a_password(self, serve: Serve, sender: HttpSender) -> None:
        """Its answer to CONNECT is part of the reason."""
        proxy = serve(answering(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"))
        with pytest.raises(SendError, match=r"407 Proxy Authentication Required") as raised:
            sender.send(post_to("https://tracker.invalid/"), by(proxy=f"http://127.0.0.1:{proxy.port}"))
        assert (raised.value.where, raised.value.ambiguous) == ("proxy", False)


@promise(
    Section.NETWORK,
    "The token is sent to the tracker's origin only",
    broken_by="followed anywhere; port or scheme not compared",
)
class TestTheTokenStaysWithTheTracker:
    """No answer makes the sender tell somebody else what it was to tell the tracker."""

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_no_redirect_leads_to_another_host(self, serve: Serve, sender: HttpSender, status: int) -> None:
        """The other one hears nothing, not even a connection; the redirect is the answer."""
        other = serve(answering(OK))
        server = serve(redirecting(status, other.url))
        assert sender.send(post_to(server.url), by()).status == status
        assert other.connections == 0

    @pytest.mark.parametrize(
        "location",
        [
            "http://localhost:{port}/",
            "https://127.0.0.1:{port}/",
            "//127.0.0.1:{other}/",
            "http://127.0.0.1:{port}@localhost/",
            "http://user@127.0.0.1:{port}/",
            "http://127.0.0.1:{port}0/",
            "http://127.0.0.1:nonsense/",
            "http://[::1/",
            "ftp://127.0.0.1:{port}/",
            "",
        ],
    )
    def test_redirect_is_followed_only_within_exactly_the_same_origin(
        self, serve: Serve, sender: HttpSender, location: str
    ) -> None:
        """Another name, scheme, port or user; and what is no address at all."""
        other = serve(answering(OK))
        server = serve(lambda connection, server: redirecting(308, where(server.port))(connection, server))

        def where(port: int) -> str:
            return location.format(port=port, other=other.port)

        assert sender.send(post_to(server.url), by()).status == 308
        assert (len(server.heads), other.connections) == (1, 0)


class TestSilence:
    """A tracker that takes an event and says nothing may have it."""

    def test_a_tracker_that_never_answers(self, serve: Serve, sender: HttpSender) -> None:
        """After the timeout the sender is free again, and does not know."""
        with pytest.raises(SendError, match=r"no answer from 127.0.0.1:\d+ within 0\.3 s") as raised:
            sender.send(post_to(serve(silent).url), by(timeout=0.3))
        assert (raised.value.where, raised.value.ambiguous) == ("network", True)

    @promise(Section.NETWORK, "Connecting has its own time limit", broken_by="option ignored")
    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_connecting_has_its_own_short_timeout(self, sender: HttpSender, scheme: str) -> None:
        """Connecting has a time of its own, and it is short; the event cannot have arrived."""
        to = by(connect_timeout=0.2, timeout=3600)
        with full_backlog() as port, pytest.raises(SendError, match=r"no connection to .* within 0\.2 s") as raised:
            sender.send(post_to(f"{scheme}://127.0.0.1:{port}/"), to)
        assert (raised.value.where, raised.value.ambiguous) == ("network", False)

    def test_error_names_an_unknown_host(self, sender: HttpSender) -> None:
        """A typing error in the DSN, or a resolver that is down."""
        with pytest.raises(SendError, match=r"no\.such\.host\.invalid") as raised:
            sender.send(post_to("http://no.such.host.invalid/"), by())
        assert (raised.value.where, raised.value.ambiguous) == ("name", False)


class TestFromProgramToTracker:
    """The whole way: a real program, its spool, a real flusher."""

    @promise(Section.NETWORK, "The flusher uses the program's proxy and CA", broken_by="options not in the file")
    @with_openssl
    def test_flusher_uses_the_programs_proxy_and_ca(
        self, tmp_path: Path, serve: Serve, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Proxy and CA travel through the spool: the flusher sees neither the variables nor the program."""
        spool = tmp_path / "spool"
        with LoopbackTracker() as tracker:
            port = urlsplit(tracker.dsn).port or 0
            front, proxy = serve(in_front_of(port), certificate), serve(relaying)
            monkeypatch.setenv("LASTWORD_PROXY", f"http://user:password@127.0.0.1:{proxy.port}")
            monkeypatch.setenv("LASTWORD_CA_BUNDLE", str(certificate.path))
            dsn = tracker.dsn.replace("+http:", "+https:").replace(str(port), str(front.port))
            run("acked(lastword.capture_message('from inside'))", spool=spool, dsn=dsn)
            [event] = tracker.wait_for(1)
            wait_until_no_flusher(spool)
        assert event.message == "from inside"
        assert [head.split()[0] for head in proxy.heads] == ["CONNECT"]
        [told] = spool.glob("v1/destinations/*.json")
        assert told.stat().st_mode & 0o777 == 0o600  # it holds the password

    @promise(Section.NETWORK, "A RecursionError with big local variables arrives", broken_by="no own limit")
    def test_a_recursion_error_with_big_locals_arrives(self, tmp_path: Path) -> None:
        """It is far over booboo's limit: trimmed, it is taken at the first attempt, and says what is missing."""
        spool = tmp_path / "spool"
        with LoopbackTracker("booboo", max_body=102_400) as tracker:
            run(RECURSION, spool=spool, dsn=tracker.dsn)
            [event] = tracker.wait_for(1)
            wait_until_no_flusher(spool)
            assert len(tracker.requests) == 1
        body = event.body or {}
        assert body["exception_type"] == "RecursionError"
        assert [frame["function"] for frame in body["stacktrace"][-3:]] == ["deeper"] * 3
        assert body["stacktrace"][-2]["vars"]["local_39"] == "'" + "x" * 198 + "…"
        assert body["tags"][TRIMMED_TAG].startswith("left out to fit: ")


RECURSION = r"""
assignments = "".join(f"    local_{number} = 'x' * 500\n" for number in range(40))
exec(f"def deeper(level):\n{assignments}    return deeper(level + 1)\n")
try:
    deeper(0)
except RecursionError:
    acked(lastword.capture_exception())
"""
