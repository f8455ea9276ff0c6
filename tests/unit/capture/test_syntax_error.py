"""A SyntaxError names a place that no traceback leads to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from lastword.assembly import exception_event
from lastword.capture import CaptureSettings
from lastword.capture.exception import FUNCTION
from lastword.event import Frame
from lastword.event_json import to_json
from tests.support import needs


def frames(error: BaseException, settings: CaptureSettings) -> list[Frame]:
    event = exception_event(error, handled=False, mechanism="test", settings=settings)  # without its callers
    to_json(event)
    return event["exceptions"][0]["frames"]


def broken(source: str, file: str) -> SyntaxError:
    try:
        compile(source, file, "exec")
    except SyntaxError as error:
        return error
    raise AssertionError


def test_place_of_a_syntax_error_is_the_innermost_frame(tmp_path: Path, settings: CaptureSettings) -> None:
    """With the line that could not be parsed."""
    outer, place = frames(broken("x = 1\n  y = 2\n", str(tmp_path / "app.py")), settings)
    assert outer["function"] == "broken"
    assert (place["path"], place["line"], place["function"]) == (str(tmp_path / "app.py"), 2, FUNCTION)
    assert (place["source"], place["first_source_line"], place["in_app"]) == (["  y = 2"], 2, True)


@needs.capability(sys.version_info >= (3, 10), "Python 3.10")
def test_columns_of_a_syntax_error_count_from_zero(settings: CaptureSettings) -> None:
    """As those of other frames do."""
    assert frames(broken("y = é § 1\n", "<string>"), settings)[-1]["columns"] == (1, 6, 6)


@pytest.mark.parametrize(
    "told",
    [
        {"filename": 5},
        {"filename": None},
        {"lineno": "3"},
        {"lineno": None},
        {"lineno": -1},
    ],
)
def test_syntax_error_without_a_place_has_no_frame(told: dict[str, Any], settings: CaptureSettings) -> None:
    """Programs make their own, with anything in them."""
    error = SyntaxError("made", ("file.py", 1, 1, "text"))
    for name, value in told.items():
        setattr(error, name, value)
    assert frames(error, settings) == []


@pytest.mark.parametrize("text", [None, 5, "", "\n", "\udc80x", "x" * 100_000])
def test_odd_texts_cost_only_the_source(text: Any, settings: CaptureSettings) -> None:
    """The place is still there."""
    place_told: Any = ("file.py", 7, "one", text)
    error = SyntaxError("made", place_told)
    (place,) = frames(error, settings)
    assert place["line"] == 7
    assert len("".join(place["source"])) <= 510
