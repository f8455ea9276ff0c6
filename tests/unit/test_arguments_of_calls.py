"""Levels, exceptions and hooks' values in the forms in which programs have them: taken for what is meant, or said."""

from __future__ import annotations

import datetime
import decimal
import enum
import functools
import json
import logging
import pathlib
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lastword
from lastword import diagnostics
from lastword.audit.accounts import read_accounts
from tests.support.promise import Section, promise

pytestmark = [
    pytest.mark.usefixtures("as_in_a_new_process"),
    promise(
        Section.BEFORE_DISK,
        "A level, an exception or a hook's value in an unusual form is understood, or counted and logged",
        broken_by="names compared as they stand; no second encoding; a text as no exception; data that ends "
        "at the recursion limit not encoded anew; numbers of any size kept",
    ),
]


class Severity(str, enum.Enum):
    LOUD = "error"


class Number(enum.IntEnum):
    LOUD = 40


class Uninstantiable(Exception):
    def __init__(self, needed: int) -> None:
        super().__init__(needed)


def events(spool: Path) -> list[Any]:
    lines = [line for path in spool.glob("v1/writers/*/*.seg") for line in path.read_text().splitlines()]
    return [json.loads(line)["event"] for line in lines]


def said() -> str:
    return "\n".join(diagnostics.waiting())


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("critical", "fatal"),
        ("CRITICAL", "fatal"),
        (" Error ", "error"),
        ("warn", "warning"),
        (logging.ERROR, "error"),
        (logging.CRITICAL + 10, "fatal"),
        (logging.INFO + 1, "info"),
        (0, "debug"),
        (Severity.LOUD, "error"),
        (Number.LOUD, "error"),
    ],
)
def test_level_in_an_unusual_form_is_understood(given: Any, meant: str, tmp_path: Path) -> None:
    """In a message, in the context, in a breadcrumb and from a hook."""
    lastword.init(spool=tmp_path, before_send=lambda event: {**event, "level": given})
    assert lastword.capture_message("of a hook")
    lastword.init(spool=tmp_path, before_send=None)
    assert lastword.capture_message("x", given)
    with lastword.new_scope():
        lastword.set_level(given)
        lastword.add_breadcrumb("a", level=given)
        assert lastword.capture_message("x")
    found = events(tmp_path)
    assert [event["level"] for event in found] == [meant] * 3
    assert found[-1]["breadcrumbs"][-1]["level"] == meant
    assert not said()


@pytest.mark.parametrize("given", ["catastrophe", "", 1.5, True, object(), b"error"])
def test_unknown_level_is_noted_and_replaced(given: Any, tmp_path: Path) -> None:
    """By info in a message or breadcrumb, by error from a hook; the context keeps its level."""
    lastword.init(spool=tmp_path, before_send=lambda event: {**event, "level": given})
    assert lastword.capture_message("x")
    assert "an event of before_send was given" in said()
    lastword.init(spool=tmp_path)
    assert lastword.capture_message("x", given)
    assert "capture_message was given" in said()
    with lastword.new_scope():
        lastword.set_level("warning")
        lastword.set_level(given)
        lastword.add_breadcrumb("a", level=given)
        assert lastword.capture_message("x")
    assert [event["level"] for event in events(tmp_path)] == ["error", "info", "warning"]


def test_a_text_given_as_an_exception_is_a_message(tmp_path: Path) -> None:
    """An error, unless the context has a level."""
    lastword.init(spool=tmp_path)
    assert lastword.capture_exception("it went wrong")
    with lastword.new_scope():
        lastword.set_level("warning")
        assert lastword.capture_exception(Severity.LOUD)
    assert [(event["message"], event["level"], event["mechanism"]) for event in events(tmp_path)] == [
        ("it went wrong", "error", "capture_exception"),
        ("error", "warning", "capture_exception"),
    ]


def test_a_class_given_as_an_exception_is_instantiated(tmp_path: Path) -> None:
    """It has the stack of the call, as any exception that was not raised."""
    lastword.init(spool=tmp_path)
    assert lastword.capture_exception(LookupError)
    assert lastword.capture_exception((LookupError, LookupError, None))  # type: ignore[arg-type]
    for event in events(tmp_path):
        [raised] = event["exceptions"]
        assert raised["type"] == "LookupError"
        assert raised["frames"][-1]["function"] == "test_a_class_given_as_an_exception_is_instantiated"


@pytest.mark.parametrize("given", [7, {"error": "x"}, (), (1, 2, 3), int, Uninstantiable, object(), b"text"])
def test_object_that_is_no_exception_is_counted_and_noted(given: Any, tmp_path: Path) -> None:
    """By its class, not by its content."""
    lastword.init(spool=tmp_path)
    assert lastword.capture_exception(given) is None
    assert "capture_exception was given" in said()
    assert lastword.capture_message("makes the writer that has the counts")
    assert read_accounts(tmp_path).refused == {"no exception": 1}


class Colour(enum.Enum):
    RED = 1


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError


VALUES: dict[str, tuple[Any, Any]] = {
    "datetime": (datetime.datetime(2026, 11, 29, 22, 0), "2026-11-29 22:00:00"),
    "date": (datetime.date(2026, 11, 29), "2026-11-29"),
    "timedelta": (datetime.timedelta(hours=1), "1:00:00"),
    "uuid": (uuid.UUID(int=7), str(uuid.UUID(int=7))),
    "decimal": (decimal.Decimal("1.50"), "1.50"),
    "path": (pathlib.PurePosixPath("/srv/shop"), "/srv/shop"),
    "enum": (Colour.RED, "Colour.RED"),
    "bytes": (b"\xff", "b'\\xff'"),
    "set": ({"admin"}, ["admin"]),
    "nested": ([{"at": (datetime.date(2026, 1, 1),)}], [{"at": ["2026-01-01"]}]),
    "nan": (float("nan"), "nan"),
    "number": (Number.LOUD, 40),
    "large number": (10**30, str(10**30)),
    "too large a number": (10**5000, None),
    "unprintable": (Unprintable(), None),
}


def test_hook_value_unknown_to_json_becomes_its_text(tmp_path: Path) -> None:
    """As item, as key, as tag, as message; the rest of the event is as it was."""

    def hook(event: Any) -> Any:
        event["extra"] = {name: value for name, (value, _) in VALUES.items()}
        event["contexts"]["order"] = {datetime.date(2026, 1, 1): {(1, 2): 2}}
        event["tags"] = {"at": datetime.date(2026, 1, 1), "id": uuid.UUID(int=7)}
        event["message"] = decimal.Decimal("1.50")
        event["timestamp"] = datetime.datetime(2026, 11, 29, tzinfo=datetime.timezone.utc)
        event["fingerprint"] = {"one"}
        return event

    lastword.init(spool=tmp_path, before_send=hook)
    assert lastword.capture_message("x"), said()
    [event] = events(tmp_path)
    for name, (_, text) in VALUES.items():
        assert event["extra"][name] == text or text is None, name
    assert event["contexts"]["order"] == {"2026-01-01": {"(1, 2)": 2}}
    assert event["tags"] == {"at": "2026-01-01", "id": str(uuid.UUID(int=7))}
    assert (event["message"], event["timestamp"]) == ("1.50", 1795910400.0)
    assert event["fingerprint"] == ["one"]
    assert not said()


def test_endless_hook_value_is_cut_off(tmp_path: Path) -> None:
    """A list in itself, such as a tree whose nodes know their parents."""
    in_itself: list[Any] = []
    in_itself.append(in_itself)

    def hook(event: Any) -> Any:
        event["extra"]["tree"] = in_itself
        return event

    lastword.init(spool=tmp_path, before_send=hook)
    assert lastword.capture_message("x"), said()
    assert "(left out)" in str(events(tmp_path)[0]["extra"]["tree"])


async def asynchronous(event: Any) -> Any:
    return event


def generator(event: Any) -> Any:
    yield event


class Asynchronous:
    async def __call__(self, event: Any) -> Any:
        return event


class OddRepr:
    async def __repr__(self) -> str:  # type: ignore[override]
        return "x"


@promise(Section.BEFORE_DISK, "`init` refuses a hook that cannot work", broken_by="not checked")
@pytest.mark.parametrize(
    "options",
    [
        {"before_send": asynchronous},
        {"before_send": functools.partial(asynchronous)},
        {"before_send": Asynchronous()},
        {"before_send": Asynchronous().__call__},
        {"before_send": generator},
        {"repr_of": [OddRepr]},
    ],
)
def test_an_async_hook_is_a_config_error(options: dict[str, Any]) -> None:
    """Any hook that returns something to run later; the previous setup stays."""
    with pytest.raises(lastword.ConfigError, match=r"gives a (coroutine|generator)"):
        lastword.init(**options)


def test_hook_that_turns_out_to_be_async_is_noted(tmp_path: Path) -> None:
    """Python alone would not report the coroutine that was never awaited."""
    hook: Callable[[Any], Any] = lambda event: asynchronous(event)  # noqa: E731
    lastword.init(spool=tmp_path, before_send=hook)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lastword.capture_message("x") is None
    assert "cannot be async" in said()
