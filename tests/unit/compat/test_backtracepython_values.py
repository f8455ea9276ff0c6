"""The promise: whatever a program puts into a report becomes JSON, and no report becomes too large by it."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
from collections import OrderedDict, namedtuple
from pathlib import PurePosixPath
from typing import Any

import pytest

from lastword.capture.budget import Room
from lastword.compat.backtracepython.as_simplejson import json_copy
from lastword.event_json import encode_value
from tests.support.promise import Section, promise

pytestmark = promise(Section.BACKTRACEPYTHON, "No argument makes it raise, and some report always arrives")

Point = namedtuple("Point", "x y")


class Colour(enum.IntEnum):
    RED = 1


class Text(str):
    """A text of the program's own that says otherwise."""

    def __len__(self) -> int:
        raise RuntimeError


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


def copied(value: Any, room: int = 10_000) -> Any:
    copy = json_copy(value, Room(room))
    assert json.loads(encode_value(copy)) == copy
    return copy


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (2**60, 2**60),
        (Colour.RED, 1),
        (1.5, 1.5),
        (float("nan"), None),
        (float("-inf"), None),
        (b"\xc3\xa9", "é"),
        (b"\xff", "\\xff"),
        (decimal.Decimal("1.5"), 1.5),
        (decimal.Decimal("NaN"), None),
        (Point(1, (2,)), {"x": 1, "y": [2]}),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        ({1: 1, None: 2, b"k": 4, 1.5: 5}, {"1": 1, "null": 2, "k": 4, "1.5": 5}),
        ({7}, [7]),
        (datetime.date(2025, 3, 1), "2025-03-01"),
        (PurePosixPath("/tmp/x"), "/tmp/x"),
        (1 << 5000, "(an integer of 5001 bits)"),
    ],
)
def test_a_value_becomes_json(value: Any, expected: Any) -> None:
    """By simplejson's rules where it has any, else as a text."""
    assert copied(value) == expected


def test_no_method_of_a_str_subclass_is_called() -> None:
    """It counts as a text."""
    assert copied({"own": Text("text")}) == {"own": "text"}


def test_an_object_that_cannot_be_shown_says_so() -> None:
    """And raises nothing."""
    assert "unprintable" in copied({"o": Hostile()})["o"]
    assert len(copied({Hostile(): 1})) == 1


def test_a_cycle_has_an_end() -> None:
    """As deep as anything may be."""
    loop: list[Any] = []
    loop.append(loop)
    assert "(left out)" in encode_value(copied(loop))


def test_copy_is_independent_at_any_depth() -> None:
    """At any depth."""
    inner = [1]
    copy = copied({"a": inner})
    inner.append(2)
    assert copy == {"a": [1]}


@pytest.mark.parametrize(
    "value",
    [
        {"text": "x" * 100_000, "after": 1},
        {"text": "\U0001f600" * 100_000},
        {"list": ["y" * 10] * 100_000},
        {f"key{number}" * 10: number for number in range(10_000)},
        {"deep": [[[["z" * 1000] * 50] * 50] * 50]},
    ],
)
def test_a_copy_is_no_larger_than_its_room(value: Any) -> None:
    """But for a few words about what is missing."""
    text = encode_value(copied(value, room=5000))
    assert len(text) < 6000
    assert "left out" in text
