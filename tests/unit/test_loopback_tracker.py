"""The loopback tracker takes what the trackers take that it stands for, and misbehaves exactly as told."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lastword import testing
from lastword.dsn import Dsn
from lastword.testing import LoopbackTracker
from tests.support.posting import EVENT, REPORT, form, send, send_form, swallow


@pytest.fixture
def tracker() -> Iterator[LoopbackTracker]:
    with LoopbackTracker("booboo") as running:
        yield running


@pytest.fixture
def backtrace() -> Iterator[LoopbackTracker]:
    with LoopbackTracker("backtrace") as running:
        yield running


# What it takes, and what it refuses


def test_a_booboo_event_is_answered_with_a_2xx_and_kept_as_it_was_sent(tracker: LoopbackTracker) -> None:
    """An accepted event is in ``events`` with its headers, path and body before the sender has the answer."""
    before = time.time()
    assert 200 <= send(tracker).status < 300
    [event] = tracker.events
    assert (event.body, event.message, event.id) == (EVENT, "card declined", None)
    assert json.loads(event.raw) == EVENT
    assert (event.method, event.path, event.headers["x-booboo-dsn"]) == ("POST", "/", "loopback-token")
    assert before <= event.at <= time.time()


def test_a_backtrace_report_is_answered_with_an_rxid_and_kept_with_its_attachments(backtrace: LoopbackTracker) -> None:
    """The form's ``upload_file`` is the event, whose uuid is its id; every other file is an attachment."""
    log = b"line\r\n--frontie\r\n\x00\xff"
    upload = ("upload_file", "upload_file", json.dumps(REPORT).encode())
    status, answer = send_form(backtrace, form(upload, ("attachment_app.log", "/var/log/app.log", log)))
    assert (status, answer["response"]) == (200, "ok")
    assert answer["_rxid"]
    [event] = backtrace.events
    assert (event.body, event.message, event.id) == (REPORT, "card declined", REPORT["uuid"])
    assert event.attachments == {"/var/log/app.log": log}


@pytest.mark.parametrize("wire", ["booboo", "backtrace"])
def test_its_dsn_leads_to_the_address_and_token_that_it_wants(wire: str) -> None:
    """An event sent to where lastword's own reading of the DSN points is taken."""
    with LoopbackTracker(wire, token="another") as tracker:
        dsn = Dsn.parse(tracker.dsn)
        assert dsn.wire == wire
        upload = form(("upload_file", "upload_file", json.dumps(REPORT).encode()))
        body = upload if wire == "backtrace" else json.dumps(EVENT).encode()
        headers = {"Content-Type": "multipart/form-data; boundary=frontier", "X-Booboo-DSN": dsn.token}
        with urllib.request.urlopen(urllib.request.Request(dsn.url, body, headers), timeout=10) as response:
            assert 200 <= response.status < 300
        assert len(tracker.events) == 1


@pytest.mark.parametrize(
    ("status", "sending"),
    [
        pytest.param(401, {"token": None}, id="no token"),
        pytest.param(403, {"token": "guess"}, id="wrong token"),
        pytest.param(404, {"path": "/api/1/store"}, id="wrong path"),
        pytest.param(404, {"path": "//"}, id="doubled slash"),
        pytest.param(405, {"method": "PUT"}, id="wrong method"),
        pytest.param(400, {"body": b"{"}, id="no JSON"),
        pytest.param(400, {"body": b"\xff\xfe"}, id="no text"),
        pytest.param(400, {"body": b"[]"}, id="no object"),
        pytest.param(400, {"body": b"[" * 100_000}, id="nested beyond reading"),
    ],
)
def test_request_invalid_for_booboo_is_refused_and_shown(
    tracker: LoopbackTracker, status: int, sending: dict[str, Any]
) -> None:
    """A refused request is no event, but it is in ``requests`` with its status and the reason."""
    assert send(tracker, **sending).status == status
    assert tracker.events == []
    [request] = tracker.requests
    assert (request.status, request.stored) == (status, False)
    assert request.why


@pytest.mark.parametrize(
    ("status", "sending"),
    [
        pytest.param(401, {"path": "/post?format=json"}, id="no token"),
        pytest.param(403, {"path": "/post?token=guess&format=json"}, id="wrong token"),
        pytest.param(404, {"path": "//post?token=loopback-token&format=json"}, id="doubled slash"),
        pytest.param(400, {"path": "/post?token=loopback-token"}, id="no format"),
        pytest.param(400, {"content_type": "application/json"}, id="no form"),
        pytest.param(400, {"content_type": "multipart/form-data"}, id="no boundary"),
        pytest.param(400, {"body": b""}, id="empty"),
        pytest.param(400, {"body": form(("upload_file", "upload_file", b"{}"))[:-6]}, id="cut short"),
        pytest.param(400, {"body": form(("upload_file", "upload_file", b"{}"), boundary="b")}, id="other boundary"),
        pytest.param(400, {"body": form(("upload", "upload", b"{}"))}, id="no upload_file"),
        pytest.param(400, {"body": form(("upload_file", "upload_file", b"NULL"))}, id="no JSON"),
        pytest.param(400, {"body": form(*[("upload_file", "upload_file", b"{}")] * 2)}, id="twice the same part"),
        pytest.param(400, {"body": b"--frontier\r\n\r\n{}\r\n--frontier--\r\n"}, id="nameless part"),
    ],
)
def test_request_invalid_for_backtrace_is_refused_and_shown(
    backtrace: LoopbackTracker, status: int, sending: dict[str, Any]
) -> None:
    """The form is read strictly: a wire format that breaks its rules must not pass here."""
    answered, answer = send_form(backtrace, **sending)
    assert (answered, backtrace.events) == (status, [])
    assert answer["detail"] == backtrace.requests[0].why


def test_a_handshake_is_answered_but_is_no_event(tracker: LoopbackTracker) -> None:
    """booboo's own SDK begins with a handshake, which must not count as something captured."""
    assert 200 <= send(tracker, {"handshake": True, "sdk": "python/0.16.0"}).status < 300
    assert (len(tracker.requests), tracker.events) == (1, [])


def test_a_body_over_the_limit_is_refused_with_413() -> None:
    """``max_body`` counts bytes, and a body of exactly that many passes."""
    size = len(json.dumps(EVENT))
    with LoopbackTracker(max_body=size) as tracker:
        assert send(tracker, json.dumps(EVENT).encode() + b" ").status == 413
        assert send(tracker).status == 202
        assert len(tracker.events) == 1


def test_a_request_that_is_no_http_is_answered_with_400(tracker: LoopbackTracker) -> None:
    """Noise on the port ends its own connection and nothing else."""
    with socket.create_connection(("127.0.0.1", tracker.port), timeout=10) as noise:
        noise.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert noise.recv(100).startswith(b"HTTP/1.1 400 ")
    assert send(tracker).status == 202


def test_a_request_cut_short_by_its_sender_is_not_taken(tracker: LoopbackTracker) -> None:
    """A sender killed half-way has sent nothing: half a body is never an event."""
    with socket.create_connection(("127.0.0.1", tracker.port), timeout=10) as dying:
        dying.sendall(b"POST / HTTP/1.1\r\nX-Booboo-DSN: loopback-token\r\nContent-Length: 100\r\n\r\n{}")
        dying.shutdown(socket.SHUT_WR)
        assert dying.recv(100) == b""
    assert tracker.requests == []


def test_an_unknown_kind_of_tracker_is_named() -> None:
    """A misspelt kind fails at once, and says which there are."""
    with pytest.raises(ValueError, match="'bugsnag'; there are booboo, backtrace"):
        LoopbackTracker("bugsnag")


# Misbehaving


def test_an_ordered_answer_is_given_until_the_tracker_is_told_otherwise(tracker: LoopbackTracker) -> None:
    """``answer`` decides status and headers; an event answered with an error is not taken."""
    tracker.answer(429, retry_after=5, headers={"X-Sentry-Rate-Limits": "60::key"})
    for _ in range(2):
        response = send(tracker)
        assert (response.status, response.headers["Retry-After"]) == (429, "5")
        assert response.headers["X-Sentry-Rate-Limits"] == "60::key"
    tracker.answer(503, retry_after="Wed, 21 Oct 2026 07:28:00 GMT")
    assert send(tracker).headers["Retry-After"] == "Wed, 21 Oct 2026 07:28:00 GMT"
    assert tracker.events == []
    tracker.answer_normally()
    assert send(tracker).status == 202
    assert [request.status for request in tracker.requests] == [429, 429, 503, 202]
    assert len(tracker.events) == 1


def test_an_ordered_answer_may_hold_for_a_number_of_requests(tracker: LoopbackTracker) -> None:
    """``times`` makes "two failures, then success" one line of a test, with no race."""
    tracker.answer(500, times=2)
    assert [send(tracker).status for _ in range(3)] == [500, 500, 202]


def test_an_ordered_2xx_takes_the_event_with_the_body_given(backtrace: LoopbackTracker) -> None:
    """Backtrace's "200 without an _rxid" can be played: the event arrived, but the answer does not say so."""
    backtrace.answer(200, body=b'{"response": "busy"}')
    assert send_form(backtrace) == (200, {"response": "busy"})
    assert len(backtrace.events) == 1


@pytest.mark.parametrize("stored", [True, False])
def test_cut_answer_ends_the_connection_without_a_byte(tracker: LoopbackTracker, stored: bool) -> None:
    """The request is read whole, then the connection ends without a byte; the test chooses if the event is taken."""
    tracker.cut_answers(stored=stored, times=1)
    with pytest.raises(http.client.RemoteDisconnected):
        send(tracker)
    [request] = tracker.requests
    assert (request.status, request.stored, len(tracker.events)) == (None, stored, int(stored))
    assert send(tracker).status == 202


def test_a_slow_tracker_takes_the_event_before_it_answers(tracker: LoopbackTracker) -> None:
    """A sender whose patience ends first has delivered all the same."""
    tracker.be_slow(60)
    impatient = http.client.HTTPConnection("127.0.0.1", tracker.port, timeout=0.2)
    with pytest.raises(socket.timeout):
        send(tracker, over=impatient)
    impatient.close()
    assert len(tracker.wait_for(1)) == 1


def test_delayed_answer_is_not_sent_after_go_down(tracker: LoopbackTracker) -> None:
    """After ``go_down`` has returned, a delayed answer does not come out any more."""
    tracker.be_slow(60)
    outcome: list[object] = []

    def record() -> None:
        try:
            outcome.append(send(tracker).status)
        except (OSError, http.client.HTTPException) as error:
            outcome.append(error)

    sender = threading.Thread(target=record)
    sender.start()
    tracker.wait_for(1)
    tracker.go_down()
    sender.join(10)
    assert isinstance(outcome[0], (OSError, http.client.HTTPException))


# Waiting


def test_waiting_returns_the_events_as_soon_as_the_condition_holds(tracker: LoopbackTracker) -> None:
    """``wait_for`` takes a number or a function of the events, and returns them."""
    sender = threading.Thread(target=lambda: [send(tracker, {"message": str(n)}) for n in range(3)])
    sender.start()
    assert [event.message for event in tracker.wait_for(3)] == ["0", "1", "2"]
    assert len(tracker.wait_for(lambda events: any(event.message == "1" for event in events))) == 3
    sender.join(10)


def test_waiting_in_vain_says_what_was_received_instead(tracker: LoopbackTracker) -> None:
    """The failure shows the received and the refused requests, and why."""
    send(tracker)
    send(tracker, token="guess")
    with pytest.raises(AssertionError) as failure:
        tracker.wait_for(2, timeout=0.05)
    text = str(failure.value)
    assert "waited 0.05 s for 2 events; received 1 events and 1 requests that were not taken" in text
    assert "event: card declined" in text
    assert "403: POST / wrong token" in text


def test_the_tracker_writes_nothing_to_the_terminal(
    tracker: LoopbackTracker, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither requests nor broken connections show up among the output of the tests."""
    send(tracker)
    tracker.cut_answers(stored=False)
    swallow(send, tracker)
    with socket.create_connection(("127.0.0.1", tracker.port), timeout=10) as noise:
        noise.sendall(b"GET\r\n\r\n")
    tracker.go_down()
    assert capfd.readouterr() == ("", "")


def test_the_documented_example_works(tmp_path: Path) -> None:
    """The test shown in the package's documentation passes as it stands, in a program that fails as it says."""
    example = (testing.__doc__ or "").partition("::\n")[2].partition("\n**What it keeps")[0]
    program = f"""
from pathlib import Path

def checkout(card):
    try:
        raise ValueError(f"card {{card}}")
    except ValueError:
        assert lastword.capture_exception()

{textwrap.dedent(example)}
test_a_declined_card_is_reported(Path({str(tmp_path)!r}))
"""
    subprocess.run([sys.executable, "-c", program], check=True)
