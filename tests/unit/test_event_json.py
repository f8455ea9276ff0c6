"""What capture wrote beforehand is the JSON of the event, and is not believed once a part was changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lastword.assembly import exception_event, message_event
from lastword.capture import CaptureSettings
from lastword.event import Event, Frame, Needs
from lastword.event_json import EncodedFrame, own_copy, to_json
from lastword.scrub import is_sensitive

SETTINGS = CaptureSettings(needs=Needs(message_stack=True, memory=True), is_sensitive=is_sensitive)


def raised(depth: int, **odd: Any) -> BaseException:
    """An exception with a cause, each with frames and variables that JSON has to escape."""
    text, number, secret_token, nothing = 'a "quoted"\n\ud800 ünï 😀', 10**30, "hunter2", None
    try:
        try:
            if depth:
                raise raised(depth - 1, **odd)
            raise KeyError(text, number, secret_token, nothing)
        except KeyError as error:
            raise ValueError(text) from error
    except ValueError as error:
        return error


def plainly(event: Event) -> Any:
    return json.loads(json.dumps(own_copy(event)))


@pytest.mark.parametrize("depth", [0, 3, 12])
def test_the_json_is_that_of_the_event(depth: int) -> None:
    """Piece by piece or as a whole: the same."""
    event = exception_event(
        raised(depth, values=[1.5, {"k": (b"x", {1})}]), handled=True, mechanism="t", settings=SETTINGS
    )
    frames = event["exceptions"][0]["frames"]
    assert frames
    assert {type(frame) for frame in frames} == {EncodedFrame}
    assert {tuple(own_copy(frame)) for frame in frames} == {tuple(Frame.__annotations__)}
    assert json.loads(to_json(event)) == plainly(event)
    assert to_json(event).isascii()


def test_the_json_is_that_of_the_event_when_its_room_is_used_up() -> None:
    """Frames without source or variables are written as they stand."""

    def deep(left: int) -> None:
        large = [{"key": "\x00" * 180}] * 40
        if not left:
            raise ValueError(large)
        names = {f"variable_{number}": "\x00" * 190 for number in range(50)}
        exec("deep(left)", {"deep": deep, "left": left - 1, **names})

    try:
        deep(80)
    except ValueError as error:
        event = exception_event(error, handled=True, mechanism="t", settings=SETTINGS)
    assert any("left out" in note for note in event["exceptions"][0]["notes"])
    assert json.loads(to_json(event)) == plainly(event)


def test_the_json_of_a_message_is_that_of_the_event() -> None:
    """Its stack is made of frames as well."""
    event = message_event("hello", level="info", settings=SETTINGS)
    assert event["stack"]
    assert json.loads(to_json(event)) == plainly(event)


@pytest.mark.parametrize(
    "event", [{}, {"exceptions": []}, {"exceptions": None}, {"exceptions": [None, {}, {"frames": 5}]}, {"stack": "x"}]
)
def test_incomplete_event_is_written_as_it_stands(event: Any) -> None:
    """Events from elsewhere may lack anything."""
    assert json.loads(to_json(event)) == event


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_invalid_json_is_refused(value: object) -> None:
    """Nothing that a tracker could not read gets on the disk."""
    with pytest.raises((ValueError, TypeError)):
        to_json({"message": value})


def test_a_cycle_is_refused() -> None:
    """Only a hook can have made one."""
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises((RecursionError, ValueError)):
        to_json({"message": cycle})
