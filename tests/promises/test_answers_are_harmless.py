"""Whatever a tracker or a proxy answers: what is kept of it is one short line that steers no terminal, and without the
token, the password of the proxy, userinfo and query values of URLs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from lastword.dsn import Destination, Dsn
from lastword.flusher.delivery import Courier
from lastword.foreign_text import MOST_OF_LINE
from lastword.spool import destination as destinations
from lastword.spool.layout import Layout
from lastword.spool.record import EVENT, Record
from lastword.transport.http_sender import HttpSender
from lastword.wire.format import Delivered, History
from tests.support.events import message_event
from tests.support.hostile import ALL, harm_in
from tests.support.loopback_servers import Serve, answering, servers
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.COMMANDS,
    "Answers of trackers and proxies are kept as one short printable line without secrets",
    broken_by="details as they came; secrets left in Location, body, CONNECT; proxies of the environment "
    "forgotten; malformed header lines logged by urllib3",
)

TOKEN = "t0ken-of/this&destination"
PASSWORD = "pass%40word"
#: Nothing of these may be in a reason: the token, as it is or in a URL, the password likewise, those of other URLs.
SECRETS = (TOKEN, quote(TOKEN, safe=""), PASSWORD, "pass@word", "0ther-s3cret")

UTF8 = ALL.encode("utf-8", "surrogatepass")
LATIN1 = bytes(range(0x80, 0xA0)) + b"\x1b[31m\x08\x7f\x9b31m"
URL = "https://0ther-s3cret:0ther-s3cret@h/" + TOKEN + "?a=0ther-s3cret&b=0ther-s3cret#c=0ther-s3cret"
HARM = (UTF8 + LATIN1 + b" ").replace(b"\r\n", b"").replace(
    b"\n", b""
) + f" {TOKEN} {quote(TOKEN, safe='')} {URL} ".encode()
LONG = HARM + b"\x1b[31m" * 12_000


def answer(status: bytes, body: bytes = b"", *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])


ANSWERS = {
    "a status line": b"HTTP/1.1 " + HARM + b"\r\n\r\n",
    "a status line that does not end": b"HTTP/1.1 " + HARM * 1000,
    "no HTTP at all": HARM + b"\r\n\r\n",
    "a version": b"HTTP/" + HARM + b" 200 OK\r\n\r\n",
    "a status that is none": b"HTTP/1.1 9" + HARM + b"\r\n\r\n",
    "a reason": answer(b"401 " + HARM),
    "a long reason": answer(b"400 " + LONG[:65_000]),
    **{
        f"the body of a {status.decode()}": answer(status, HARM + UTF8)
        for status in (b"200", b"301", b"400", b"401", b"403", b"407", b"413", b"429", b"500", b"503", b"999")
    },
    "a long body": answer(b"401", LONG + HARM),
    "a body in pieces": b"HTTP/1.1 400 no\r\nTransfer-Encoding: chunked\r\n\r\n" + HARM + b"\r\n",
    "a body that is packed": answer(b"400", HARM, b"Content-Encoding: gzip"),
    **{
        f"the Location of a {status.decode()}, {number}": answer(status, b"", b"Location: " + place)
        for status in (b"301", b"307", b"308")
        for number, place in enumerate(
            (HARM, URL.encode() + HARM, b"https://h/" + HARM, b"http://[" + HARM, LONG[:60_000])
        )
    },
    "fields": answer(
        b"503", b"", *(name + HARM for name in (b"Retry-After: ", b"Date: ", b"Server: ", b"Set-Cookie: "))
    ),
    "a line that is no field": answer(b"400", b"", b"X: y", HARM, b" " + HARM, b":" + HARM, b"Z: " + HARM),
    "too long a field": answer(b"400", b"", b"X: " + LONG),
    "too many fields": answer(b"400", b"", *([b"X: " + HARM] * 200)),
}


@pytest.fixture
def serve() -> Iterator[Serve]:
    with servers() as start:
        yield start


def reason_of(tmp_path: Path, destination: Destination) -> str:
    """What is kept of one attempt to send there."""
    layout = Layout(str(tmp_path / "spool"))
    layout.prepare()
    destinations.store(layout, destination)
    event = message_event("hello", stack=[])
    record = Record(seq=1, to=destination.key, id=event["id"], kind=EVENT, content=dict(event))
    with HttpSender() as sender:
        verdict = Courier(layout, sender).attempt(record, destination.key, History()).verdict
    assert not isinstance(verdict, Delivered)
    return verdict.reason


def harmless(reason: str) -> bool:
    assert harm_in(reason, lines=False) == []
    assert len(reason) <= MOST_OF_LINE
    assert [secret for secret in SECRETS if secret in reason] == []
    return bool(reason)


@pytest.mark.parametrize("kind", ANSWERS)
def test_answer_of_a_tracker_is_one_harmless_line(
    tmp_path: Path, serve: Serve, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Status line, header fields and body; no library logs them either."""
    tracker = serve(answering(ANSWERS[kind]))
    dsn = f"booboo+http://{quote(TOKEN, safe='')}@127.0.0.1:{tracker.port}/o/p"
    if kind != "the body of a 200":
        assert harmless(reason_of(tmp_path, Destination(Dsn.parse(dsn), 5.0)))
    dsn = f"backtrace+http://127.0.0.1:{tracker.port}?token={quote(TOKEN, safe='')}"
    assert harmless(reason_of(tmp_path, Destination(Dsn.parse(dsn), 5.0)))
    assert [one.getMessage() for one in caplog.records if one.levelno > logging.DEBUG] == []


@pytest.mark.parametrize("kind", sorted(set(ANSWERS) - {"the body of a 200"}))
def test_answer_of_a_proxy_is_one_harmless_line(
    tmp_path: Path, serve: Serve, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """To CONNECT and to whole requests; the password of the proxy is not repeated either."""
    said = ANSWERS[kind].replace(TOKEN.encode(), f"{TOKEN} {PASSWORD} pass@word".encode())
    proxy = serve(answering(said))
    for dsn in (
        f"booboo+https://{quote(TOKEN, safe='')}@tracker.example/o/p",
        f"booboo+http://{quote(TOKEN, safe='')}@127.0.0.1:9/",
    ):
        way = Destination(Dsn.parse(dsn), 5.0, proxy=f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}")
        assert harmless(reason_of(tmp_path, way))
    assert [one.getMessage() for one in caplog.records if one.levelno > logging.DEBUG] == []


def test_password_of_an_environment_proxy_is_not_repeated(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a secret like the password of a proxy that was given by option."""
    for said in (f"{PASSWORD}", "pass@word", "dXNlcjpwYXNzQHdvcmQ="):
        proxy = serve(answering(answer(b"407 " + said.encode(), said.encode())))
        monkeypatch.setenv("HTTP_PROXY", f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}")
        for dsn in ("booboo+http://some-token@tracker.example/", "booboo+https://some-token@tracker.example/"):
            reason = reason_of(tmp_path, Destination(Dsn.parse(dsn), 5.0))
            assert "407" in reason
            assert said not in reason


def test_error_of_an_event_that_cannot_be_rendered_is_harmless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It quotes the event, and people read it."""
    from lastword.wire import booboo

    def fails(*_: object) -> None:
        raise KeyError(HARM.decode("latin-1") + TOKEN)

    monkeypatch.setattr(booboo, "request", fails)
    dsn = f"booboo+http://{quote(TOKEN, safe='')}@127.0.0.1:9/o/p"
    assert harmless(reason_of(tmp_path, Destination(Dsn.parse(dsn), 5.0)))
