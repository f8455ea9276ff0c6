"""Reading a frame's variables changes nothing for the program: up to Python 3.12 that leaves a dict in the frame."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from lastword.capture.budget import Room
from lastword.capture.frames import StackReader
from lastword.capture.settings import CaptureSettings
from lastword.event import Needs
from lastword.scrub import is_sensitive
from tests.support import needs
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.KEEPS_NOTHING,
    "Reading a frame's variables changes no variable that the program can see",
    broken_by="emptied though others refer to it; names set by `exec` removed; emptied inside a trace function",
)

SETTINGS = CaptureSettings(needs=Needs(message_stack=False, memory=False), is_sensitive=is_sensitive)

#: What reads a variable that ``exec`` has set is the dict that stays in the frame.
EXEC_SETS_LOCALS = sys.version_info < (3, 13)


def read(error: BaseException) -> list[list[str]]:
    """The names of the variables that are shown of each frame."""
    frames: Any = StackReader(SETTINGS, Room()).of_traceback(error.__traceback__)
    return [[name for name, _, _ in json.loads(frame.json)["variables"]] for frame in frames]


def fail() -> None:
    raise ValueError("no")


def test_all_variables_are_shown_at_every_capture() -> None:
    def work() -> tuple[list[list[list[str]]], object]:
        first, shown = 1, []
        second = [lambda: first]
        try:
            fail()
        except ValueError as error:
            shown.append(read(error))
            third = 3
            shown.append(read(error))
            return shown, (first, len(second), third)
        raise AssertionError

    (shown, again), values = work()
    assert values == (1, 1, 3)
    assert [sorted(shown[0]), sorted(again[0])] == [
        ["error", "first", "second", "shown"],
        ["error", "first", "second", "shown", "third"],
    ]


@needs.capability(sys.implementation.name == "cpython", "reference counts, by which what nobody holds goes at once")
def test_locals_dict_of_the_program_keeps_its_items() -> None:
    first = object()
    given = locals()
    try:
        fail()
    except ValueError as error:
        read(error)
    assert given["first"] is first
    assert "given" not in given  # or it would hold itself


def test_names_added_by_exec_stay() -> None:
    first = object()
    exec("added = [1]")
    try:
        fail()
    except ValueError as error:
        read(error)
    assert locals()["first"] is first
    assert locals().get("added") == ([1] if EXEC_SETS_LOCALS else None)


def test_variables_of_a_frame_with_too_many_names_stay() -> None:
    names: dict[str, Any] = {"fail": fail, "read": read}
    body = [
        *(f"v{number} = {number}" for number in range(300)),
        "try: fail()",
        "except ValueError as e: shown = read(e)",
    ]
    exec("\n ".join(["def work():", *body, "return shown, locals()"]), names)
    shown, found = names["work"]()
    assert [len(frame) for frame in shown] == [50, 0]
    assert [found[f"v{number}"] for number in range(300)] == list(range(300))


@pytest.mark.parametrize("set_function", [sys.settrace, sys.setprofile])
def test_variables_of_a_traced_frame_stay(set_function: Callable[[Any], None]) -> None:
    """Behind it Python takes the variables back from the dict: an empty one would unset them."""
    errors: list[BaseException] = []
    shown = []

    def look(frame: FrameType, event: str, argument: Any) -> Any:
        if errors and frame.f_code is work.__code__:
            shown.append(read(errors[0])[0])
        return look

    def work() -> tuple[int, list[int]]:
        first, second = 1, [2]
        try:
            fail()
        except ValueError as error:
            errors.append(error)
            len(second)
        return first, second

    before = sys.gettrace(), sys.getprofile()
    set_function(look)
    try:
        result = work()
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    assert result == (1, [2])
    assert {"first", "second", "error", "errors"} in map(set, shown)
