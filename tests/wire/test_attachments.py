"""The promise: attachments arrive as parts of the form, or are named where a tracker does not get them."""

from __future__ import annotations

import base64
import json
from typing import Any, Optional

import pytest

from lastword.event import ATTACHMENTS_TAG, TRIMMED_TAG, Attachment, Event
from lastword.testing.dialects import READERS
from lastword.testing.exchange import Request
from lastword.wire.formats import FORMATS
from tests.support.events import breadcrumb, destination, exception_event, frame
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.ATTACHMENTS,
    "Attachments of any name, type and number can be sent, or are named",
    broken_by="names not told apart; types as they were given; contents trimmed as texts; number not "
    "trimmed; not the first to go",
)

DESTINATIONS = {
    "backtrace": destination("backtrace+http://127.0.0.1:1?token=TOKEN"),
    "booboo": destination(),
}


def attachment(name: str, data: Optional[bytes] = b"x", **changes: Any) -> Attachment:
    complete: Any = {
        "name": name,
        "type": "text/plain",
        "size": len(data or b""),
        "content": None if data is None else base64.b64encode(data).decode(),
        "file": None,
        "left_out": None,
        **changes,
    }
    return complete  # type: ignore[no-any-return]


def backtrace(event: Event, limit: Optional[int] = None) -> tuple[dict[str, Any], dict[str, bytes], bytes]:
    """The report and the files that the tracker reads, and the body."""
    request = FORMATS["backtrace"].request(event, DESTINATIONS["backtrace"], limit)
    headers = {name.lower(): value for name, value in request.headers.items()}
    arrived = Request(0.0, "POST", "/post?token=TOKEN&format=json", headers, request.body)
    reading = READERS["backtrace"](arrived, "TOKEN")
    assert reading.body is not None, reading.why
    return reading.body, dict(reading.attachments), request.body


def booboo(event: Event, limit: Optional[int] = None) -> dict[str, Any]:
    body = FORMATS["booboo"].request(event, DESTINATIONS["booboo"], limit).body
    assert len(body) <= (limit or 102_400)
    return json.loads(body)  # type: ignore[no-any-return]


def test_backtrace_gets_each_as_a_part_of_its_type() -> None:
    """Before the breadcrumbs; a type that is none could break the header, and is that of bytes."""
    odd = attachment("b", b"\r\n--", type="text/html\r\nX: y")
    event = exception_event(attachments=[attachment("a", b"A"), odd], breadcrumbs=[breadcrumb()])
    _, files, body = backtrace(event)
    assert list(files.items())[:2] == [("a", b"A"), ("b", b"\r\n--")]
    assert list(files)[2:] == ["bt-breadcrumbs-0"]
    assert body.count(b"\r\nContent-Type: text/plain\r\n\r\n") == 1
    assert b"X: y" not in body


def test_equal_names_are_made_distinct() -> None:
    """The tracker refuses a form with two parts of one name, and breadcrumbs keep theirs."""
    names = ["x.log", "x.log", ".x", ".x", "bt-breadcrumbs-0", 'a"', "a%22"]
    event = exception_event(attachments=[attachment(name) for name in names], breadcrumbs=[breadcrumb()])
    _, files, _ = backtrace(event)
    assert list(files) == [
        *("x.log", "x-2.log", ".x", ".x-2", "bt-breadcrumbs-0-2", "a%22", "a%22-2", "bt-breadcrumbs-0")
    ]


def test_backtrace_annotation_names_omitted_attachments() -> None:
    """With name and size."""
    event = exception_event(
        attachments=[
            attachment("huge", None, size=7_000_000, left_out="there was no room for it"),
            attachment("gone", None, left_out="it could not be read"),
            attachment("here"),
        ]
    )
    report, files, _ = backtrace(event)
    assert list(files) == ["here"]
    assert report["annotations"]["Attachments left out"] == [
        "huge (7000000 bytes): there was no room for it",
        "gone: it could not be read",
    ]


def test_content_set_by_a_hook_is_sent_as_it_is() -> None:
    """Where it is no base64 it is a text; where there is nothing, nothing is sent, nor said."""
    event = exception_event(
        attachments=[
            attachment("plain", content="a plain text"),
            attachment("none", None),
            attachment("\ud800", content="\ud800"),
        ]
    )
    report, files, _ = backtrace(event)
    assert list(files.values()) == [b"a plain text", b"?"]
    assert "Attachments left out" not in report["annotations"]


def test_attachments_are_left_out_first_for_a_backtrace_size_limit() -> None:
    """They are named, and the stack keeps its variables."""
    shown = frame(variables=[("order", "repr", "x" * 1000)])
    event = exception_event(attachments=[attachment("log", b"y" * 50_000)])
    event["exceptions"][0]["frames"] = [shown]
    report, files, _ = backtrace(event, 30_000)
    assert not files
    assert report["annotations"]["Attachments left out"] == ["log (50000 bytes): too large for the tracker"]
    assert report["annotations"]["Local variables"][0]["variables"] == {"order": "x" * 1000}
    assert report["attributes"][TRIMMED_TAG] == "left out to fit: log"


def test_booboo_tag_names_the_attachments() -> None:
    """booboo has no place for files; their content makes no request too large."""
    event = exception_event(
        attachments=[
            attachment("log", b"y" * 500_000),
            attachment("gone", None, left_out="it could not be read"),
        ]
    )
    body = booboo(event)
    assert body["tags"] == {
        "runtime": "python",
        ATTACHMENTS_TAG: "not sent: log (500000 bytes); gone: it could not be read",
    }
    assert ATTACHMENTS_TAG not in booboo(exception_event())["tags"]


def test_trimmed_request_still_names_attachments() -> None:
    """Trimming looks into no content, and cuts none."""
    event = exception_event(attachments=[attachment("log", b"y" * 500_000)])
    event["exceptions"][0]["value"] = "v" * 200_000
    tags = booboo(event)["tags"]
    assert tags[ATTACHMENTS_TAG] == "not sent: log (500000 bytes)"
    assert tags[TRIMMED_TAG].endswith("middles of texts 1")


@pytest.mark.parametrize("wire", sorted(FORMATS))
def test_any_attachments_set_by_a_hook_can_be_trimmed(wire: str) -> None:
    """Any number of them, with names of any length."""
    many = [attachment(f"{number}" + "\U0001f4a5" * 500, left_out="no") for number in range(1000)]
    for event in (exception_event(attachments=many), exception_event(attachments=[attachment("n" * 400_000)])):
        assert len(FORMATS[wire].request(event, DESTINATIONS[wire], 20_000).body) <= 20_000
