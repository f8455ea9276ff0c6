"""Bodies that were rendered at capture are made to fit, too, as far as that is possible without their event."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lastword.event import TRIMMED_TAG
from lastword.wire import backtrace, booboo
from lastword.wire.trim_rendered import fit_rendered
from tests.support.events import destination
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.BOOBOO, "A rendered body is sent as it stands, to its own format only, and trimmed if too large"
)


def body_of(size: int) -> bytes:
    """A booboo event of exactly so many bytes."""
    event: dict[str, Any] = {"message": "", "tags": {"runtime": "python"}, "stacktrace": []}
    event["message"] = "x" * (size - len(json.dumps(event)))
    return json.dumps(event).encode()


def test_body_within_the_limit_is_unchanged() -> None:
    """A booboo body of 102,400 bytes goes as it stands; one byte more, and it is trimmed, marked, and goes."""
    fits, too_large = body_of(102_400), body_of(102_401)
    assert booboo.rendered(fits, "application/json", destination()).body == fits
    smaller = booboo.rendered(too_large, "application/json", destination()).body
    assert len(smaller) <= 102_400
    assert TRIMMED_TAG in json.loads(smaller)["tags"]


def frame(number: int) -> dict[str, Any]:
    lines = ["above" * 10] * 5
    variables = {f"name{index}": "v" * 200 for index in range(20)}
    return {
        "function": f"f{number}",
        "pre_context": lines,
        "post_context": lines,
        "vars": variables,
        "in_app": number > 9,
    }


def test_least_useful_parts_go_first() -> None:
    """Variables of libraries, then lines around, then the middle of the stack; message and both ends stay."""
    event = {"message": "why", "tags": {}, "stacktrace": [frame(number) for number in range(100)]}
    whole = json.dumps(event).encode()
    once = json.loads(fit_rendered(whole, len(whole) - 1))
    assert [bool(one["vars"]) for one in once["stacktrace"]] == [False] * 10 + [True] * 90
    assert once["stacktrace"][0]["pre_context"]
    little = json.loads(fit_rendered(whole, 2_000))
    names = [one["function"] for one in little["stacktrace"]]
    assert little["message"] == "why"
    assert (names[0], names[-1]) == ("f0", "f99")


@pytest.mark.parametrize(
    "body", [b"no JSON " * 100, b'"a text"' + b" " * 500, b"[" * 5000, json.dumps(["x" * 900]).encode()]
)
def test_trimming_any_body_raises_nothing(body: bytes) -> None:
    """A hook may have made anything of it."""
    assert isinstance(fit_rendered(body, 100), bytes)


def test_backtrace_form_keeps_its_report() -> None:
    """Attachments are removed only where the form is too large."""
    report = b'--B\r\nContent-Disposition: form-data; name="upload_file"\r\n\r\n{"uuid": "1"}'
    whole = (
        report
        + b'\r\n--B\r\nContent-Disposition: form-data; name="attachment_a"\r\n\r\n'
        + b"x" * 900
        + b"\r\n--B--\r\n"
    )
    to = destination("backtrace+http://127.0.0.1:1?token=TOKEN")
    assert backtrace.rendered(whole, "multipart/form-data; boundary=B", to).body == whole
    assert backtrace.rendered(whole, "multipart/form-data; boundary=B", to, 500).body == report + b"\r\n--B--\r\n"
    assert backtrace.rendered(report + b"\r\n--B--\r\n", "x", to, 5).body == report + b"\r\n--B--\r\n"
