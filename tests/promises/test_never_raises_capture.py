"""Capturing never raises into the application, whatever the application is like; there is always an event."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, Optional

import pytest

from lastword import assembly, diagnostics
from lastword.assembly import exception_event, message_event
from lastword.audit.accounts import read_accounts
from lastword.capture import CaptureSettings
from lastword.event import Event, Needs
from lastword.event_json import own_copy, to_json
from lastword.scrub import is_sensitive
from tests.support import needs
from tests.support.programs import PROGRAMS, run
from tests.support.promise import Section, promise

SETTINGS = CaptureSettings(needs=Needs(message_stack=True, memory=True), is_sensitive=is_sensitive)


@pytest.fixture(autouse=True)
def _no_notes_left() -> Any:
    yield
    diagnostics.forget()


def refuse(*_: object, **__: object) -> NoReturn:
    raise RuntimeError("application code that raises")


ODD_METHODS: dict[str, Any] = dict.fromkeys(
    [
        *("__repr__", "__str__", "__getattr__", "__getattribute__", "__hash__", "__eq__", "__len__", "__iter__"),
        *("__bool__", "__format__", "__dir__", "__getitem__", "__contains__", "__reduce__", "__sizeof__", "__index__"),
        *("__int__", "__float__", "keys", "items", "values"),
    ],
    refuse,
)


def odd(base: type) -> Any:
    """An object of a subclass of ``base`` that raises at everything, even when asked for its class."""
    return type("Odd", (base,), {**ODD_METHODS, "__class__": property(refuse)})()


def recursive_list() -> list[object]:
    members: list[object] = []
    members.extend([members, {"again": members}, (members,)])
    return members


ODD_VALUES: dict[str, Callable[[], Any]] = {
    **{f"odd {base.__name__}": partial(odd, base) for base in (object, int, str, bytes, float, list, dict, tuple)},
    "recursive list": recursive_list,
    "lone surrogates": lambda: {"\udc80": ["\ud800", b"\xff"]},
    "50 MB text": lambda: "x" * 50_000_000,
    "5 MB bytes": lambda: bytearray(5_000_000),
    "huge int": lambda: 10**20_000,
    "not a number": lambda: [float("nan"), float("inf"), complex("nan+infj")],
    "weird keys": lambda: {None: 1, (1, 2): 2, frozenset({3}): 3, b"b": 4, float("nan"): 5, 1 << 70: 6},
    "weird types": lambda: [
        type,
        object,
        len,
        str.join,
        sys,
        print,
        iter([]),
        memoryview(b"x"),
        range(9),
    ],
    "deep nesting": lambda: json.loads("[" * 900 + "]" * 900),
}


def checked(event: Event) -> Event:
    assert json.loads(to_json(event))["id"] == event["id"]
    assert len(to_json(event)) < 1_000_000
    json.dumps(own_copy(event), ensure_ascii=False).encode("utf-8")
    return event


def captured(error: BaseException) -> Event:
    event = checked(exception_event(error, handled=True, mechanism="test", settings=SETTINGS))
    assert event["exceptions"][0]["type"] == type.__dict__["__name__"].__get__(type(error))
    return event


@pytest.mark.parametrize("name", ODD_VALUES)
def test_any_local_variable_can_be_captured(name: str) -> None:
    """The variable is there, bounded, and the others are unharmed."""

    def fail(value: object) -> None:
        beside = "unharmed"
        raise ValueError(beside)

    with pytest.raises(ValueError, match="unharmed") as raised:
        fail(ODD_VALUES[name]())
    variables = {
        name: (mark, text) for name, mark, text in captured(raised.value)["exceptions"][0]["frames"][-1]["variables"]
    }
    mark, text = variables["value"]
    assert mark == "repr"
    assert 0 < len(text) <= 200
    assert variables["beside"] == ("repr", "'unharmed'")


@pytest.mark.parametrize("name", ODD_VALUES)
def test_any_exception_argument_can_be_captured(name: str) -> None:
    """``str(exception)`` runs the application's code; what it raises is not passed on."""
    value = captured(ValueError(ODD_VALUES[name]()))["exceptions"][0]["value"]
    assert 0 < len(value) <= 8192


@pytest.mark.parametrize("name", ODD_VALUES)
def test_any_message_can_be_captured(name: str) -> None:
    """A message should be a text, and may be anything."""
    checked(message_event(ODD_VALUES[name](), level="info", settings=SETTINGS))


ODD_ANSWERS: dict[str, Any] = {
    "RuntimeError": RuntimeError("no"),
    "RecursionError": RecursionError(),
    "MemoryError": MemoryError(),
    "int": 5,
    "None": None,
}


@pytest.mark.parametrize("name", ODD_ANSWERS)
def test_an_exception_whose_text_fails_is_named_by_its_class(name: str) -> None:
    """``__str__`` may raise, or return what is no text."""

    class OddError(Exception):
        def __str__(self) -> Any:
            if isinstance(ODD_ANSWERS[name], Exception):
                raise ODD_ANSWERS[name]
            return ODD_ANSWERS[name]

    assert captured(OddError())["exceptions"][0]["value"] == "<unprintable OddError>"


def test_a_text_of_an_odd_class_is_taken_as_the_text_it_is() -> None:
    """A subclass of str may override slicing, length and encoding."""

    class OddTextError(Exception):
        def __str__(self) -> str:
            text: str = odd_text
            return text

    odd_text = type("OddText", (str,), {**ODD_METHODS, "encode": refuse, "isascii": refuse})("x" * 9000 + "ü")
    value = captured(OddTextError())["exceptions"][0]["value"]
    assert value.startswith("xxx")
    assert value.endswith("xxxü")


def test_an_exception_that_lies_about_everything_can_be_captured() -> None:
    """Properties in the place of its chain, its traceback and its notes are not asked."""
    names = "__cause__ __context__ __suppress_context__ __traceback__ __notes__ __dict__ __class__ args"
    lies = {**ODD_METHODS, **{name: property(refuse) for name in names.split()}}
    liar = type("LiarError", (Exception,), lies)()  # not raised, for PyPy would trip over it
    with pytest.raises(ZeroDivisionError) as raised:
        divmod(1, 0)
    event = exception_event(liar, traceback=raised.tb, handled=True, mechanism="test", settings=SETTINGS)
    (info,) = checked(event)["exceptions"]
    assert (info["type"], info["value"], info["notes"]) == ("LiarError", "<unprintable LiarError>", [])
    assert info["frames"], "one lie does not cost the rest"


def test_a_class_that_lies_about_its_name_can_be_captured() -> None:
    """A metaclass may answer for its classes with anything."""

    class LyingMeta(type):
        __getattribute__ = refuse

    class HonestError(Exception, metaclass=LyingMeta):
        __module__ = 5  # type: ignore[assignment]

    (info,) = captured(BaseException.__new__(HonestError))["exceptions"]
    assert (info["type"], info["module"]) == ("HonestError", None)


def captured_with_room_for(calls: int, error: BaseException) -> Optional[Event]:
    """What a capture gives that has ``calls`` calls left to the recursion limit; None where it had too few."""

    def deeper(levels: int) -> Event:
        if levels:
            return deeper(levels - 1)
        return exception_event(error, handled=True, mechanism="test", settings=SETTINGS)

    try:
        return deeper(sys.getrecursionlimit() - depth_of_stack() - calls)
    except RecursionError:
        return None


def depth_of_stack() -> int:
    frame: Optional[FrameType] = sys._getframe()
    depth = 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1
    return depth


def raised_in(path: Path) -> Exception:
    """An exception from a file that no capture has met before."""
    path.write_text("def fail():\n    raise ValueError('near the limit')\n\nfail()\n")
    try:
        exec(compile(path.read_text(), str(path), "exec"), {})
    except ValueError as error:
        return error
    raise AssertionError


def test_capture_near_the_recursion_limit_gives_a_smaller_event(tmp_path: Path) -> None:
    """A few calls below the limit there is an event; with some more room it is complete."""
    error = raised_in(tmp_path / "module.py")
    events = [captured_with_room_for(calls, error) for calls in range(150)]
    first_success = next(index for index, event in enumerate(events) if event is not None)
    assert first_success < 20
    for event in events[first_success:]:
        assert event is not None
        assert checked(event)["exceptions"][0]["type"] == "ValueError"
    whole = events[-1]
    assert whole is not None
    assert whole["exceptions"][0]["value"] == "near the limit"
    assert whole["exceptions"][0]["frames"][-1]["source"]
    assert whole["process"]["pid"] != 0


@promise(
    Section.NOT_LOST,
    "A capture with a full stack raises nothing and is recorded or counted",
    broken_by="no guard around the capture",
)
@needs.capability(sys.implementation.name == "cpython", "recursion limit that counts calls")
def test_capture_with_a_full_stack_is_recorded_or_counted(tmp_path: Path) -> None:
    """Wherever below the recursion limit a capture is made: an event or a refusal, and the program goes on."""
    rooms = range(2, 80)
    body = f"""
def room():
    try:
        return 1 + room()
    except RecursionError:
        return 1

def deeper(levels, capture):
    return deeper(levels - 1, capture) if levels else capture("with little room")

def with_room_for(calls, capture):
    return deeper(room() - 2 - calls, capture)

def same_depth_as_a_capture(message):
    return None

with_room_for({rooms[0]}, same_depth_as_a_capture)
kept = [with_room_for(calls, lastword.capture_message) for calls in {rooms!r}]
for event_id in kept:
    if event_id is not None:
        acked(event_id)
acked(lastword.capture_message("later"))
"""
    acked = run(body, spool=tmp_path / "spool")
    accounts = read_accounts(tmp_path / "spool")
    refused = sum(accounts.refused.values())
    assert refused > 0, "no capture met a full stack: nothing was proved"
    assert len(acked) + refused == len(rooms) + 1
    assert accounts.recorded >= len(acked)


def test_source_unreadable_near_the_limit_is_read_later(tmp_path: Path) -> None:
    """A failure for want of stack says nothing about the file, so it is not remembered as having no source."""
    for calls in range(60):
        error = raised_in(tmp_path / f"module_{calls}.py")
        captured_with_room_for(calls, error)
        for frame in captured(error)["exceptions"][0]["frames"][-2:]:
            assert frame["source"], f"with room for {calls} calls"


@pytest.mark.parametrize(
    "part", ["exception_tree", "process_info", "host_info", "thread_info", "runtime_info", "clean"]
)
def test_a_part_that_fails_is_missing_and_noted(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the event is there, and the failure is logged later."""
    monkeypatch.setattr(assembly, part, refuse)
    event = captured(ValueError("x"))
    assert event["exceptions"][0]["type"] == "ValueError"
    assert any("RuntimeError" in note for note in diagnostics.waiting())


@promise(Section.BEFORE_DISK, "Ctrl-C during a capture reaches the program")
def test_ctrl_c_passes_through() -> None:
    """One that arrives during a capture is meant for the program."""

    class Interrupted(Exception):
        def __str__(self) -> str:
            signal.raise_signal(signal.SIGINT)
            return "of an object"

    with pytest.raises(KeyboardInterrupt):
        exception_event(Interrupted(), handled=True, mechanism="test", settings=SETTINGS)


class Panic(BaseException):
    """What PyO3 raises where Rust code panics is no Exception."""


@promise(
    Section.FAILURES, "A `__str__` that raises a BaseException costs no event", broken_by="`except Exception` there"
)
@pytest.mark.parametrize("error", [Panic, SystemExit, GeneratorExit, KeyboardInterrupt])
def test_str_that_raises_a_base_exception_costs_no_event(error: type[BaseException]) -> None:
    """It does not reach the program either."""

    class FromRust(Exception):
        def __str__(self) -> str:
            raise error("index out of bounds")

    event = exception_event(FromRust(), handled=True, mechanism="test", settings=SETTINGS)
    assert event["exceptions"][0]["value"] == "<unprintable FromRust>"


def test_the_first_capture_imports_nothing_and_starts_nothing() -> None:
    """No import, thread, socket or process: a lock of any of them may be held by a thread that a fork left behind."""
    subprocess.run([sys.executable, str(PROGRAMS / "imports_nothing.py")], check=True, timeout=60)
