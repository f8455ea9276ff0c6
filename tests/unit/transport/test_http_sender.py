"""One request out, one answer back: what the sender adds, what it bounds, and what it says when nothing came."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lastword.dsn import Destination, Dsn
from lastword.errors import SendError
from lastword.transport import http_sender
from lastword.transport.http_sender import MAX_REDIRECTS, MAX_REPLY_BYTES, HttpSender
from lastword.transport.timely_connections import TimelyReader
from lastword.version import __version__
from lastword.wire.format import HttpRequest
from tests.support.loopback_servers import (
    OK,
    PATIENCE,
    Behaviour,
    Serve,
    Server,
    answering,
    redirecting,
    servers,
    silent,
)
from tests.support.promise import Section, promise

#: Seconds: what a test grants a server that never answers.
BRIEFLY = 0.3


@pytest.fixture
def serve() -> Iterator[Serve]:
    with servers() as start:
        yield start


@pytest.fixture
def sender() -> Iterator[HttpSender]:
    with HttpSender() as sender:
        yield sender


def within(seconds: float, **options: Any) -> Destination:
    """A destination with this timeout; where it leads does not matter to the sender."""
    return Destination(Dsn("booboo", "", ""), seconds, **options)


def test_an_answer_comes_back_whole_with_lower_case_header_names(serve: Serve, sender: HttpSender) -> None:
    """Status, body and headers of any answer are the caller's, an error status included."""
    server = serve(answering(b"HTTP/1.1 503 Busy\r\nRetry-AFTER: 7\r\nContent-Length: 4\r\n\r\nwait"))
    reply = sender.send(HttpRequest(server.url, b"{}"), within(PATIENCE))
    assert (reply.status, reply.body, reply.headers["retry-after"]) == (503, b"wait", "7")


def test_the_request_carries_its_own_headers_and_ours(serve: Serve, sender: HttpSender) -> None:
    """User-Agent names lastword; the body travels with its length, never chunked or compressed."""
    server = serve(answering(OK))
    sender.send(HttpRequest(server.url, b"12345", {"X-Booboo-DSN": "TOKEN"}), within(PATIENCE))
    lines = server.heads[0].split("\n")
    assert lines[0] == "POST /post?token=SECRET HTTP/1.1"
    assert {f"User-Agent: lastword/{__version__}", "X-Booboo-DSN: TOKEN", "Content-Length: 5"} <= set(lines)
    assert "Accept-Encoding: identity" in lines
    assert not [line for line in lines if line.lower().startswith(("transfer-encoding", "content-encoding", "cookie"))]


def test_a_request_may_name_another_user_agent(serve: Serve, sender: HttpSender) -> None:
    """A header of the request wins over the sender's, whatever the case of its name."""
    server = serve(answering(OK))
    sender.send(HttpRequest(server.url, b"x", {"user-agent": "backtrace-python"}), within(PATIENCE))
    assert [line for line in server.heads[0].split("\n") if "agent" in line.lower()] == ["user-agent: backtrace-python"]


def test_requests_share_one_connection(serve: Serve, sender: HttpSender) -> None:
    """A connection is kept alive from answer to answer."""
    server = serve(answering(OK))
    for _ in range(3):
        sender.send(HttpRequest(server.url, b"x"), within(PATIENCE))
    assert (len(server.heads), server.connections) == (3, 1)


def test_a_huge_answer_is_cut_and_the_next_request_still_works(serve: Serve, sender: HttpSender) -> None:
    """No more than MAX_REPLY_BYTES are read, and what was not read cannot become the next answer."""
    huge = b"x" * (MAX_REPLY_BYTES * 4)
    server = serve(answering(b"HTTP/1.1 500 Oops\r\nContent-Length: %d\r\n\r\n" % len(huge) + huge))
    replies = [sender.send(HttpRequest(server.url, b"x"), within(PATIENCE)) for _ in range(2)]
    assert [(reply.status, reply.body) for reply in replies] == [(500, huge[:MAX_REPLY_BYTES])] * 2


def test_an_endless_answer_is_not_read_to_its_end(serve: Serve, sender: HttpSender) -> None:
    """Memory stays small, whatever a server sends: the connection is closed once the limit is reached."""
    could_send_it_all = threading.Event()
    was_stopped = threading.Event()

    def flood(connection: socket.socket, server: Server) -> None:
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        try:
            for _ in range(24):  # more than the kernel buffers
                connection.sendall(bytes(1024 * 1024))
            could_send_it_all.set()
        finally:
            was_stopped.set()

    reply = sender.send(HttpRequest(serve(flood).url, b"x"), within(PATIENCE))
    assert len(reply.body) == MAX_REPLY_BYTES
    assert was_stopped.wait(PATIENCE)
    assert not could_send_it_all.is_set()


@promise(Section.NETWORK, "The body of a redirect is not read to its end", broken_by="requests' own redirect handling")
def test_an_endless_redirect_is_not_read_to_its_end(serve: Serve, sender: HttpSender) -> None:
    """Nor is what a tracker says while it sends us elsewhere."""
    was_stopped = threading.Event()

    def flood(connection: socket.socket, server: Server) -> None:
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://[::1/\r\nConnection: close\r\n\r\n")
        try:
            while True:
                connection.sendall(bytes(1024 * 1024))
        finally:
            was_stopped.set()

    reply = sender.send(HttpRequest(serve(flood).url, b"x"), within(PATIENCE))
    assert (reply.status, len(reply.body)) == (302, MAX_REPLY_BYTES)
    assert was_stopped.wait(PATIENCE)


def test_cookies_are_not_kept(serve: Serve, sender: HttpSender) -> None:
    """Cookies of one answer are not sent with the next request."""
    server = serve(answering(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"))
    for _ in range(2):
        sender.send(HttpRequest(server.url, b"x"), within(PATIENCE))
    assert "cookie" not in server.heads[1].lower()


def test_netrc_is_not_read(serve: Serve, sender: HttpSender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that the user keeps for this host is not sent to it."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server = serve(answering(OK))
    sender.send(HttpRequest(server.url, b"x"), within(PATIENCE))
    assert "authorization" not in server.heads[0].lower()


def test_a_proxy_of_the_environment_is_used(serve: Serve, sender: HttpSender, monkeypatch: pytest.MonkeyPatch) -> None:
    """``http_proxy`` is obeyed as users of requests expect."""
    proxy = serve(answering(OK))
    monkeypatch.setenv("http_proxy", proxy.url.partition("/post")[0])
    sender.send(HttpRequest("http://tracker.invalid/post", b"x"), within(PATIENCE))
    assert proxy.heads[0].startswith("POST http://tracker.invalid/post HTTP/1.1")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 399])
def test_a_redirect_that_asks_for_another_request_is_an_answer(serve: Serve, sender: HttpSender, status: int) -> None:
    """It is returned, not followed."""
    server = serve(redirecting(status, "/elsewhere"))
    reply = sender.send(HttpRequest(server.url, b"x"), within(PATIENCE))
    assert (reply.status, reply.headers["location"], len(server.heads)) == (status, "/elsewhere", 1)


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("location", ["/new?token=SECRET", "http://127.0.0.1:{port}/new?token=SECRET", "new?a=b", "?x"])
def test_the_same_request_is_sent_to_another_place_of_the_same_origin(
    serve: Serve, sender: HttpSender, status: int, location: str
) -> None:
    """With its body and its headers; a tracker behind a proxy may have moved its path."""

    def moved(connection: socket.socket, server: Server) -> None:
        where = location.format(port=server.port)
        server.read_request(connection)
        connection.sendall(f"HTTP/1.1 {status} Moved\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode())
        server.read_request(connection)
        connection.sendall(OK)

    server = serve(moved)
    reply = sender.send(HttpRequest(server.url, b"body", {"X-Booboo-DSN": "TOKEN"}), within(PATIENCE))
    assert (reply.status, server.bodies) == (200, [b"body", b"body"])
    first, second = server.heads
    assert second.split("\n")[1:] == first.split("\n")[1:]
    assert first.split()[1] != second.split()[1]


def test_redirect_loop_ends_after_a_few_rounds(serve: Serve, sender: HttpSender) -> None:
    """After a few rounds the redirect is the answer."""
    server = serve(redirecting(308, "/post"))
    reply = sender.send(HttpRequest(server.url, b"x"), within(PATIENCE))
    assert (reply.status, len(server.heads)) == (308, MAX_REDIRECTS + 1)


def test_an_answer_given_before_the_upload_ended_is_read(serve: Serve, sender: HttpSender) -> None:
    """A tracker that refuses a large body early and stops listening is understood all the same."""

    def refuse_early(connection: socket.socket, server: Server) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
        connection.shutdown(socket.SHUT_RD)
        server.finished.wait(PATIENCE)

    server = serve(refuse_early)
    reply = sender.send(HttpRequest(server.url, bytes(200_000)), within(PATIENCE))
    assert (reply.status, reply.body) == (413, b"big")


def test_answer_with_a_cut_body_keeps_its_status(serve: Serve, sender: HttpSender) -> None:
    """A connection that is cut after the status line changes nothing."""

    def cut(connection: socket.socket, server: Server) -> None:
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\npart")

    reply = sender.send(HttpRequest(serve(cut).url, b"x"), within(PATIENCE))
    assert (reply.status, reply.body) == (202, b"part")


@promise(
    Section.HOSTILE_INPUT,
    "An answer with an unreadable body counts by its status",
    broken_by="OverflowError let through",
)
@pytest.mark.parametrize(
    "rest",
    [
        b"Transfer-Encoding: chunked\r\n\r\n-9223372036854775809\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n{}",
        b"Transfer-Encoding: chunked\r\n\r\n-1\r\n{}",
        b"Content-Length: -9223372036854775809\r\n\r\n{}",
        b"Content-Encoding: gzip\r\n\r\n\x1f\x8bx",
    ],
)
def test_answer_with_an_unreadable_body_keeps_its_status(serve: Serve, sender: HttpSender, rest: bytes) -> None:
    """Whatever error the library raises: neither lastword nor the event is at fault."""

    def answer(connection: socket.socket, server: Server) -> None:
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 202 Accepted\r\n" + rest)

    assert sender.send(HttpRequest(serve(answer).url, b"x"), within(PATIENCE)).status == 202


@promise(Section.NETWORK, "An answer that drips is given up", broken_by="no deadline")
@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Slow: "])
def test_response_head_that_drips_is_given_up(serve: Serve, sender: HttpSender, head: bytes) -> None:
    """Though each byte of it comes in time, the answer as a whole does not: it may have arrived all the same."""
    server = serve(dripping(head))
    with pytest.raises(SendError, match=r"no answer .* within 0\.3 s") as raised:
        sender.send(HttpRequest(server.url, b"x"), within(BRIEFLY))
    assert raised.value.ambiguous
    assert server.finished.wait(PATIENCE)


@pytest.mark.parametrize("how", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
def test_response_body_that_drips_is_given_up(serve: Serve, sender: HttpSender, how: bytes) -> None:
    """The status was said; what came of the body by then is the answer."""
    server = serve(dripping(b"HTTP/1.1 202 Accepted\r\n" + how + b"\r\n\r\n"))
    reply = sender.send(HttpRequest(server.url, b"x"), within(1.0))
    assert reply.status == 202
    assert server.finished.wait(PATIENCE)


def test_each_answer_has_its_whole_timeout() -> None:
    """A connection that is kept alive has its whole timeout again."""
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(PATIENCE)
        reader = TimelyReader(here.makefile("rb", buffering=0), here)
        there.sendall(b"x")
        assert reader.read(1) == b"x"
        assert here.gettimeout() < PATIENCE  # type: ignore[operator]
        reader.close()
        assert here.gettimeout() == PATIENCE


def dripping(head: bytes) -> Behaviour:
    """Begins an answer and goes on byte by byte, until nobody listens any more."""

    def behave(connection: socket.socket, server: Server) -> None:
        server.read_request(connection)
        connection.sendall(head)
        try:
            while not server.finished.wait(BRIEFLY / 10):
                connection.sendall(b"1")
        finally:
            server.finished.set()

    return behave


def test_a_refused_connection_is_not_ambiguous(sender: HttpSender) -> None:
    """Nothing listens: the event cannot have arrived, and the reason names the place but not the token."""
    with socket.create_server(("127.0.0.1", 0)) as closed_at_once:
        port = closed_at_once.getsockname()[1]
    with pytest.raises(SendError, match=f"127.0.0.1:{port}.*refused") as raised:
        sender.send(HttpRequest(f"http://127.0.0.1:{port}/post?token=SECRET", b"x"), within(PATIENCE))
    assert not raised.value.ambiguous
    assert "SECRET" not in str(raised.value)


def test_an_unknown_host_is_not_ambiguous(sender: HttpSender) -> None:
    """A name that leads nowhere: the event cannot have arrived."""
    with pytest.raises(SendError, match=r"no\.such\.host\.invalid") as raised:
        sender.send(HttpRequest("http://no.such.host.invalid/", b"x"), within(PATIENCE))
    assert not raised.value.ambiguous


def test_a_failed_tls_handshake_is_not_ambiguous(serve: Serve, sender: HttpSender) -> None:
    """The body is not sent before both sides have agreed on a cipher."""

    def plain(connection: socket.socket, server: Server) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 400 plain text here\r\n\r\n")

    server = serve(plain)
    with pytest.raises(SendError, match="SSL") as raised:
        sender.send(HttpRequest(server.url.replace("http:", "https:"), b"x"), within(PATIENCE))
    assert not raised.value.ambiguous


def test_silence_after_the_whole_request_is_ambiguous(serve: Serve, sender: HttpSender) -> None:
    """The tracker took the request and said nothing: the event may have arrived."""
    with pytest.raises(SendError, match=r"no answer .* within 0\.3 s") as raised:
        sender.send(HttpRequest(serve(silent).url, b"x"), within(BRIEFLY))
    assert raised.value.ambiguous


def test_a_connection_cut_instead_of_an_answer_is_ambiguous(serve: Serve, sender: HttpSender) -> None:
    """The request was read and the connection closed: the event may have arrived."""
    server = serve(lambda connection, server: (server.read_request(connection), None)[1])
    with pytest.raises(SendError) as raised:
        sender.send(HttpRequest(server.url, b"x"), within(PATIENCE))
    assert raised.value.ambiguous


def test_a_connection_that_takes_only_part_of_the_request_is_not_ambiguous(serve: Serve, sender: HttpSender) -> None:
    """A part of an event is no event: a tracker that stopped reading cannot have it."""

    def stop_reading(connection: socket.socket, server: Server) -> None:
        server.finished.wait(PATIENCE)

    with pytest.raises(SendError) as raised:
        sender.send(HttpRequest(serve(stop_reading).url, bytes(64_000_000)), within(BRIEFLY))
    assert not raised.value.ambiguous


@promise(Section.NETWORK, "An upload that drips is given up", broken_by="no limit for the whole upload")
def test_upload_that_drips_is_given_up(serve: Serve, sender: HttpSender, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though each block of it is taken in time; a tracker that has a part of an event does not have it."""

    def drain_slowly(connection: socket.socket, server: Server) -> None:
        while not server.finished.wait(BRIEFLY / 10) and connection.recv(1 << 16):
            pass

    monkeypatch.setattr(http_sender, "SLOWEST_UPLOAD", 1 << 30)
    with pytest.raises(SendError, match="fewer than 64000000 bytes") as raised:
        sender.send(HttpRequest(serve(drain_slowly).url, bytes(64_000_000)), within(1.0))
    assert not raised.value.ambiguous


@pytest.mark.parametrize("token", ["TOKEN\r\nX: y", "TOKEN€", " TOKEN"])
def test_a_header_that_cannot_be_sent_is_an_error_that_does_not_quote_it(sender: HttpSender, token: str) -> None:
    """Each obstacle to a request is a SendError without secrets."""
    with pytest.raises(SendError) as raised:
        sender.send(HttpRequest("http://127.0.0.1:1/", b"x", {"X-Booboo-DSN": token}), within(PATIENCE))
    assert "TOKEN" not in str(raised.value)
    assert not raised.value.ambiguous


def test_a_sender_may_be_used_again_after_an_error(serve: Serve, sender: HttpSender) -> None:
    """One failure leaves nothing behind that spoils the next request."""
    with pytest.raises(SendError):
        sender.send(HttpRequest(serve(silent).url, b"x"), within(BRIEFLY))
    assert sender.send(HttpRequest(serve(answering(OK)).url, b"x"), within(PATIENCE)).body == b"ok"
