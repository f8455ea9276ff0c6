"""One attempt: whatever the record and the destination are like, it ends in a verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastword.dsn import Destination, Dsn
from lastword.flusher.delivery import Courier
from lastword.spool import destination as destination_files
from lastword.spool.layout import Layout
from lastword.spool.record import Record
from lastword.testing import LoopbackTracker
from lastword.transport.http_sender import HttpSender
from lastword.wire.format import Blame, Delivered, History, Misconfigured, Refused, Retry
from tests.support.events import message_event
from tests.support.promise import Section, promise


@pytest.fixture
def courier(layout: Layout) -> Iterator[Courier]:
    with HttpSender() as sender:
        yield Courier(layout, sender)


def record(kind: str = "event", content: object = None) -> Record:
    event = dict(message_event()) if content is None else content
    return Record(seq=1, to="x", id="ab" * 16, kind=kind, content=event)  # type: ignore[arg-type]


def stored(layout: Layout, dsn: str) -> str:
    destination = Destination(Dsn.parse(dsn), 5.0)
    destination_files.store(layout, destination)
    return destination.key


def test_accepted_event_is_delivered(layout: Layout, courier: Courier) -> None:
    """A tracker that takes it has it."""
    with LoopbackTracker() as tracker:
        attempt = courier.attempt(record(), stored(layout, tracker.dsn), History())
        assert attempt.verdict == Delivered()
        assert len(tracker.events) == 1


@pytest.mark.parametrize("cut", [False, True])
def test_no_answer_is_ambiguous_when_the_event_may_have_arrived(layout: Layout, courier: Courier, cut: bool) -> None:
    """A refused connection left the event here for certain; an answer that was cut did not."""
    with LoopbackTracker() as tracker:
        key = stored(layout, tracker.dsn)
        if cut:
            tracker.cut_answers(stored=True)
        else:
            tracker.go_down()
        attempt = courier.attempt(record(), key, History())
    assert isinstance(attempt.verdict, Retry)
    assert attempt.ambiguous is cut


def test_exchange_that_raises_is_a_failed_attempt(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this event alone: what was raised is its verdict, without the token that it may quote."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("with the key TOKEN")

    sender = HttpSender()
    monkeypatch.setattr(sender, "send", broken)
    key = stored(layout, "booboo+http://TOKEN@127.0.0.1:1/o/p")
    verdict = Courier(layout, sender).attempt(record(), key, History()).verdict
    assert isinstance(verdict, Retry)
    assert verdict.blame is Blame.EVENT
    assert "ZeroDivisionError" in verdict.reason
    assert "TOKEN" not in verdict.reason


@pytest.mark.parametrize(("kind", "content"), [("event", [1, 2]), ("event", {"no": "event"}), ("envelope", {})])
def test_a_record_that_cannot_be_sent_is_refused(layout: Layout, courier: Courier, kind: str, content: object) -> None:
    """One bad record never stops the queue: it is set aside, with the reason, and nothing is raised."""
    with LoopbackTracker() as tracker:
        attempt = courier.attempt(record(kind, content), stored(layout, tracker.dsn), History())
        assert isinstance(attempt.verdict, Refused)
        assert tracker.requests == []


@pytest.mark.parametrize("content", [None, b"", b"garbage", b'{"dsn": {}, "timeout": 1}'])
def test_a_destination_that_cannot_be_read_keeps_its_events(
    layout: Layout, courier: Courier, content: bytes | None
) -> None:
    """Without the file that says where to, nothing is thrown away."""
    if content is not None:
        Path(layout.destination("0" * 12)).write_bytes(content)
    attempt = courier.attempt(record(), "0" * 12, History())
    assert isinstance(attempt.verdict, Misconfigured)
    assert "000000000000" in attempt.verdict.reason


def test_a_changed_destination_is_not_trusted(layout: Layout, courier: Courier) -> None:
    """A destination file that does not have the content it is named after sends nothing anywhere."""
    with LoopbackTracker() as tracker:
        key = stored(layout, "booboo+http://t@127.0.0.1:1/o/p")
        Path(layout.destination(key)).write_bytes(Destination(Dsn.parse(tracker.dsn), 5.0).encode())
        assert isinstance(courier.attempt(record(), key, History()).verdict, Misconfigured)
        assert tracker.requests == []


def rendered(wire: str, text: str) -> Record:
    return record("rendered", {"wire": wire, "timestamp": 1.0, "type": "application/json", "text": text})


@promise(
    Section.BOOBOO,
    "A rendered body is sent as it stands, to its own format only, and trimmed if too large",
    broken_by="its format not compared; no limit",
)
def test_a_rendered_body_is_sent_as_it_stands(layout: Layout, courier: Courier) -> None:
    """Not a byte is changed, and the headers are those of the format."""
    text = '{ "message":"x", "odd": [1.0, NaN] }'
    with LoopbackTracker() as tracker:
        assert courier.attempt(rendered("booboo", text), stored(layout, tracker.dsn), History()).verdict == Delivered()
        [request] = tracker.requests
    assert request.raw == text.encode()
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize("broken", [rendered("backtrace", "{}"), record("rendered", {"wire": "booboo"})])
def test_a_rendered_body_that_cannot_be_sent_is_refused(layout: Layout, courier: Courier, broken: Record) -> None:
    """One that is of another format than its destination is never sent there."""
    with LoopbackTracker() as tracker:
        assert isinstance(courier.attempt(broken, stored(layout, tracker.dsn), History()).verdict, Refused)
        assert tracker.requests == []


def test_a_rendered_body_that_is_refused_as_too_large_is_trimmed(layout: Layout, courier: Courier) -> None:
    """It goes once more, at most half as large."""
    text = json.dumps({"message": "m", "tags": {}, "stacktrace": [{"vars": {"a": "x" * 9000}}]})
    with LoopbackTracker(max_body=5000) as tracker:
        assert courier.attempt(rendered("booboo", text), stored(layout, tracker.dsn), History()).verdict == Delivered()
        [event] = tracker.events
    assert event.message == "m"
    assert "lastword.trimmed" in (event.body or {})["tags"]
