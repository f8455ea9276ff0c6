"""The user's hook, and what may come out of it."""

from __future__ import annotations

import copy
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, cast

import pytest

from lastword.admission import BeforeSend
from lastword.cli.reading import pages_of
from lastword.config import Config
from lastword.errors import RecordRefused
from lastword.event import Event
from lastword.recorder import Recorder
from lastword.spool.record import Record, frame, parse
from lastword.wire.formats import FORMATS
from tests.support import needs
from tests.support.events import EVENT_ID, destination, exception, exception_event, message_event
from tests.support.promise import Section, promise

Hook = Callable[[Any], Any]


def all_places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every item of every dict in ``value``."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*place, key)
            yield from all_places(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from all_places(item, (*place, index))


def rich_event() -> Event:
    """An event in which every field has something."""
    event = exception_event(user={"id": "42"}, tags={"queue": "mail"}, message="hello")
    event["exceptions"] = [exception(notes=["a note"]), exception(kind="cause", parent=0)]
    frame = event["exceptions"][0]["frames"][0]
    frame["variables"], frame["columns"] = [("order", "repr", "<Order 7>")], (4, 8, 20)
    event["stack"] = message_event()["stack"]
    event["sources"] = {"/app/shop.py": (1, 2)}
    return event


def inner(event: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        event = event[key]
    return event


class Hostile:
    """Raises at whatever it is asked."""

    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(name)

    def __str__(self) -> str:
        raise SystemExit

    __repr__ = __str__
    __index__ = __float__ = __hash__ = __iter__ = __len__ = __eq__ = None  # type: ignore[assignment]


class HostileDict(dict):  # type: ignore[type-arg]
    """A dict that has something and does not let it be seen."""

    def __getitem__(self, key: Any) -> Any:
        raise SystemExit

    __iter__ = keys = items = get = __getitem__  # type: ignore[assignment]


class HostileMapping(Mapping):  # type: ignore[type-arg]
    """No dict, and raises."""

    def __getitem__(self, key: Any) -> Any:
        raise SystemExit

    def __iter__(self) -> Any:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


class Indexed:
    """A whole number as numpy has it: no int."""

    def __init__(self, value: int) -> None:
        self._value = value

    def __index__(self) -> int:
        return self._value


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)

ODD: list[Any] = [
    *(10**400, -(10**400), 10**5000, 2**63, -1, True, 0.5, 1e300, math.nan, math.inf, -math.inf),
    *(Decimal("NaN"), Decimal("1e999"), Decimal("1e9999999"), Fraction(1, 3), 3 + 4j, b"x", bytearray(b"x")),
    *(datetime.max, datetime(1, 1, 1), "text", "", "\udc80\0\x1b", "x" * 5000, object(), Hostile(), HostileDict(a=1)),
    *(HostileMapping(), MappingProxyType({"a": 1}), Indexed(3), Indexed(10**400), [], {}, (), [None], {"a": None}, {1}),
    *(
        {1: 2, None: 3, (): 4, 0.5: 5},
        [{"a": math.nan}],
        nested(2000),
        nested(100),
        CIRCLE,
        lambda: None,
        type,
        range(3),
    ),
]

ODD_ONES = [
    pytest.param(
        number,
        id=f"{type(odd).__name__} {number}",
        marks=needs.capability(
            type(odd) is not Hostile or sys.implementation.name == "cpython", "a JSON encoder that asks no object"
        ),
    )
    for number, odd in enumerate(ODD)
]


class TestBeforeSend:
    """The user's hook and what may come out of it."""

    def test_returned_object_of_the_hook_is_the_event(self) -> None:
        """Changed in place or made anew."""

        def changes(event: Event) -> Event:
            event["tags"]["queue"] = "changed"
            return event

        for hook in (changes, lambda event: {**event, "tags": {"queue": "changed"}}):
            kept = BeforeSend(hook).apply(rich_event())
            assert kept == {**rich_event(), "tags": {"queue": "changed"}}

    def test_hook_that_returns_none_drops_the_event(self) -> None:
        """The user wants none of it."""
        assert BeforeSend(lambda event: None).apply(rich_event()) is None

    @promise(Section.BEFORE_DISK, "A hook cannot change the event id", broken_by="id not restored")
    def test_hook_cannot_change_the_id(self) -> None:
        """The capture returns it, and trackers recognise repeats by it."""
        for hook in (lambda event: {**event, "id": "mine"}, lambda event: event.pop("id") and event):
            assert cast("Event", BeforeSend(hook).apply(rich_event()))["id"] == EVENT_ID

    @promise(Section.BEFORE_DISK, "An event can be sent whatever fields a hook removes", broken_by="shape not fitted")
    @pytest.mark.parametrize("wire", sorted(FORMATS))
    def test_event_can_be_sent_whatever_a_hook_removes(self, wire: str) -> None:
        """A hook may delete or empty any field at any depth: it is empty then, and the event can be rendered."""
        places = [place for place in all_places(rich_event()) if place != ("level",)]  # no level is an empty one
        assert len(places) > 60
        target: tuple[Any, ...] = ()

        def delete(event: Any) -> Any:
            del inner(event, target[:-1])[target[-1]]
            return event

        def empty(event: Any) -> Any:
            inner(event, target[:-1])[target[-1]] = None
            return event

        for before_send in (BeforeSend(delete), BeforeSend(empty)):
            for target in places:
                kept = json.loads(json.dumps(before_send.apply(rich_event())))
                assert FORMATS[wire].request(kept, destination(DSNS[wire])).body, target

    def test_tag_of_none_is_left_out(self) -> None:
        """As with ``set_tag``."""
        kept = BeforeSend(lambda event: {**event, "tags": {"a": None, "b": "c"}}).apply(rich_event())
        assert kept is not None
        assert kept["tags"] == {"b": "c"}

    def test_a_number_where_a_text_belongs_is_a_text(self) -> None:
        """Tags are where that happens."""
        kept = BeforeSend(lambda event: {**event, "tags": {"attempt": 3, 7: True}}).apply(rich_event())
        assert kept is not None
        assert kept["tags"] == {"attempt": "3", "7": "True"}

    def test_fields_added_by_a_hook_stay(self) -> None:
        """They are on disk."""
        kept = cast("Any", BeforeSend(lambda event: {**event, "mine": [1]}).apply(rich_event()))
        assert kept["mine"] == [1]

    @pytest.mark.parametrize(
        ("hook", "problem"),
        [
            (lambda event: 1 / 0, "before_send raised builtins.ZeroDivisionError"),
            (lambda event: "text", "event is a str, not a dict"),
            (lambda event: True, "event is a bool, not a dict"),
            (lambda event: [event], "event is a list, not a dict"),
            (lambda event: Decimal(1), "event is a Decimal, not a dict"),
            (lambda event: Hostile(), "event is a Hostile, not a dict"),
        ],
    )
    def test_invalid_event_of_a_hook_is_refused_with_the_reason(self, hook: Hook, problem: str) -> None:
        """Refused under ``before_send``, with the place and the kind of the mistake, never with the value."""
        with pytest.raises(RecordRefused, match=problem) as refusal:
            BeforeSend(hook).apply(rich_event())
        assert refusal.value.reason == "before_send"

    @promise(
        Section.BEFORE_DISK,
        "A hook's value that does not fit is left out and named; the event is kept, and the previous value "
        "does not come back",
        broken_by="the field's first value restored; the returned object changed",
    )
    @pytest.mark.parametrize(
        ("hook", "problem"),
        [
            (lambda event: {}, "event['level'] is none of fatal"),
            (lambda event: {**event, "tags": ["a"]}, "event['tags'] is a list, not a dict"),
            (lambda event: {**event, "tags": {"a": ["b"]}}, "event['tags']['a'] is a list, not a text"),
            (lambda event: {**event, "tags": {(): "b"}}, "event['tags'][…] is a tuple, not a text"),
            (lambda event: {**event, "timestamp": "now"}, "event['timestamp'] is a str, not a number"),
            (lambda event: {**event, "timestamp": 10**400}, "event['timestamp'] is out of range"),
            (lambda event: {**event, "timestamp": -1}, "event['timestamp'] is out of range"),
            (lambda event: {**event, "exceptions": [{"frames": [{"line": "1"}]}]}, "[0]['frames'][0]['line'] is a str"),
            (lambda event: {**event, "stack": [{"variables": [("x",)]}]}, "['variables'][0] has 1 items, not 3"),
            (lambda event: {**event, "user": "42"}, "event['user'] is a str, not a dict"),
            (lambda event: {**event, "breadcrumbs": [{}]}, "['breadcrumbs'][0]['level'] is none of"),
            (lambda event: {**event, "breadcrumbs": ["x"] * 10_000}, "['breadcrumbs'][0] is a str, not a dict"),
        ],
    )
    def test_value_of_a_wrong_type_is_left_out_and_named(self, hook: Hook, problem: str) -> None:
        """The event is kept, with a tag that names the place and the kind of the mistake, never the value. What stood
        there before does not come back: the hook may have meant to remove it.
        """
        kept = cast("Event", BeforeSend(hook).apply(rich_event()))
        told = kept["tags"].pop("lastword.before_send")
        assert problem in told and len(told) < 600
        assert (kept["id"], kept["timestamp"]) == (EVENT_ID, rich_event()["timestamp"])
        assert not kept["user"] or "user" not in told
        assert not kept["tags"] or "['tags'] is" not in told
        json.dumps(kept, allow_nan=False)

    @promise(
        Section.BEFORE_DISK,
        "A hook's value that does not fit is left out and named; the event is kept, and the previous value "
        "does not come back",
    )
    def test_only_the_part_that_does_not_fit_is_left_out(self) -> None:
        """A part goes alone; the object that the hook returned is not changed."""
        returned: Any = rich_event()
        returned["tags"] = {"good": "1", "bad": []}
        returned["exceptions"][0]["frames"][0]["variables"] = [("a", "repr", "1"), ("b",), ("c", "shown", "3")]
        returned["sources"]["/app/other.py"] = (10**400, 2)
        before = copy.deepcopy(returned)
        kept = cast("Event", BeforeSend(lambda _: returned).apply(rich_event()))
        assert returned == before
        assert kept["tags"].keys() == {"good", "lastword.before_send"}
        assert kept["exceptions"][0]["frames"][0]["variables"] == [("a", "repr", "1")]
        assert kept["exceptions"][1:] == rich_event()["exceptions"][1:]
        assert "/app/other.py" not in kept["sources"] or len(kept["sources"]) == 1

    @promise(
        Section.BEFORE_DISK,
        "Anything that a hook puts anywhere is recorded, read back and sent",
        broken_by="no range of numbers; `dict.copy` of a class of the program's",
    )
    @pytest.mark.parametrize("number", ODD_ONES)
    def test_anything_a_hook_puts_anywhere_can_be_sent(self, number: int) -> None:
        """The event is kept, read back from disk, and sent in every format."""
        event: Any = None
        recorder = Recorder(Config(before_send=lambda _: event))
        given = exception_event()
        for place in all_places(rich_event()):
            if place[0] == "stack" or place[:2] == ("exceptions", 1):  # the same shapes once more
                continue
            event = rich_event()
            inner(event, place[:-1])[place[-1]] = ODD[number]
            body = recorder._body(given)
            assert body is not None
            record = parse(frame(body, 1).rstrip(b"\n"))
            assert isinstance(record, Record), place
            assert record.captured_at, place
            for wire, form in FORMATS.items():
                assert form.request(cast("Event", record.content), destination(DSNS[wire])).body, place
            list(pages_of(record.content))

    @promise(Section.BEFORE_DISK, "A hook that captures comes to an end", broken_by="no depth limit")
    def test_events_captured_by_a_hook_go_through_it_once(self) -> None:
        """Events that are captured while the hook runs go through it as well, but it does not go on for ever."""
        seen: list[str] = []

        def hook(event: Event) -> Event:
            seen.append(event["environment"])
            try:
                inner_event = copy.deepcopy(event)
                inner_event["environment"] += "+"
                before_send.apply(inner_event)
            except RecordRefused as refusal:
                seen.append(refusal.reason)
            return event

        before_send = BeforeSend(hook)
        for _ in range(2):
            seen.clear()
            assert before_send.apply(exception_event(environment="e"))
            assert seen == ["e", "e+", "before_send"]


DSNS = {
    "booboo": "booboo+http://TOKEN@127.0.0.1:1/organisation/project",
    "backtrace": "backtrace+http://127.0.0.1:1?token=TOKEN",
}
