"""The promise: a report that a program has prepared arrives as it was told, and as much of it as the tracker takes."""

from __future__ import annotations

import base64
import json
from typing import Any

from lastword.event import TRIMMED_TAG, Event
from lastword.testing.dialects import READERS
from lastword.testing.exchange import Request
from lastword.wire.backtrace_prepared import PREPARED
from lastword.wire.format import HttpRequest
from lastword.wire.formats import FORMATS
from tests.support.events import destination, exception_event
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.BACKTRACEPYTHON,
    "A tracker with a smaller limit gets a smaller report",
    broken_by="attachments and source not left out before all the rest",
)

DESTINATION = destination("backtrace+http://127.0.0.1:1?token=TOKEN")
BLOCK = {"startLine": 1, "startColumn": 1, "path": "/app/shop.py", "tabWidth": 3, "text": "x" * 50_000}


def event_with(*attachments: dict[str, Any], **changes: Any) -> Event:
    event: Any = exception_event(attachments=[*attachments])
    event[PREPARED] = {
        "agent": "backtrace-python",
        "agent_version": "0.4.3",
        "attributes": {"error.message": "told"},
        "annotations": {"Log": []},
        "tab_width": 3,
        "source_wanted": True,
        "lines_around": 2,
        "source": {"/app/shop.py": BLOCK},
        "report": None,
        **changes,
    }
    return event  # type: ignore[no-any-return]


def received(request: HttpRequest) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What the tracker reads."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    path = "/post?token=TOKEN&format=json"
    reading = READERS["backtrace"](Request(0.0, "POST", path, headers, request.body), "TOKEN")
    assert reading.body is not None, reading.why
    return reading.body, dict(reading.attachments)


def attached(name: str, content: bytes) -> dict[str, Any]:
    text = base64.b64encode(content).decode()
    return {"name": name, "type": "", "size": len(content), "content": text, "file": None, "left_out": None}


def test_attributes_annotations_and_agent_are_those_of_the_program() -> None:
    """lastword adds none of its own."""
    report, _ = received(FORMATS["backtrace"].request(event_with(), DESTINATION))
    assert (report["agent"], report["agentVersion"]) == ("backtrace-python", "0.4.3")
    assert report["attributes"] == {"error.message": "told"}
    assert report["annotations"] == {"Log": []}
    assert report["sourceCode"]["/app/shop.py"] == BLOCK


def test_report_made_by_the_program_is_sent_as_it_stands() -> None:
    """With source, if the options want it."""
    mine = {"uuid": "mine", "attributes": {}, "more": [1]}
    report, _ = received(FORMATS["backtrace"].request(event_with(report=mine), DESTINATION))
    assert report.pop("sourceCode")["/app/shop.py"] == BLOCK
    assert report == mine
    report, _ = received(FORMATS["backtrace"].request(event_with(report=mine, source_wanted=False), DESTINATION))
    assert report == mine


def test_attachments_of_any_name_and_content_arrive() -> None:
    """Names as browsers write them; bytes as they are."""
    content = bytes(range(256)) + b"\r\n--lastword-\r\n"
    files = [attached("a.bin", content), attached('q"uo\r\nte', b""), attached("é", b"e")]
    _, attachments = received(FORMATS["backtrace"].request(event_with(*files), DESTINATION))
    assert list(attachments.values()) == [content, b"", b"e"]
    assert list(attachments)[:2] == ["a.bin", "q%22uo%0D%0Ate"]


def test_smaller_limit_trims_source_then_attachments_then_the_rest() -> None:
    """The omitted files are named."""
    event = event_with(attached("log.txt", b"y" * 30_000), annotations={"big": "z" * 20_000})
    whole = len(FORMATS["backtrace"].request(event, DESTINATION).body)

    def within(limit: int) -> tuple[dict[str, Any], dict[str, bytes]]:
        request = FORMATS["backtrace"].request(event, DESTINATION, limit)
        assert len(request.body) <= limit
        return received(request)

    report, attachments = within(whole - 1)
    assert report["sourceCode"].get("/app/shop.py") != BLOCK and list(attachments) == ["log.txt"]
    report, attachments = within(whole - 60_000)
    assert not attachments and report["attributes"][TRIMMED_TAG] == "left out to fit: log.txt"
    assert report["annotations"]["Attachments left out"] == ["log.txt (30000 bytes): too large for the tracker"]
    report, attachments = within(10_000)
    assert len(report["annotations"]["big"]) < 20_000 and report["attributes"]["error.message"] == "told"


def test_another_tracker_can_have_the_event_too() -> None:
    """Redirected to booboo, it has the exception with its stack."""
    booboo = destination("booboo+http://TOKEN@127.0.0.1:1/organisation/project")
    body = json.loads(FORMATS["booboo"].request(event_with(), booboo).body)
    assert body["stacktrace"] and body["exception_type"]
