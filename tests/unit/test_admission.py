"""What keeps an event from the disk: ignored classes, sampling, floods, and the user's hook."""

from __future__ import annotations

import copy
import ctypes
import json
import math
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Optional, cast

import pytest

from lastword.admission import BeforeSend, Floods, Gate, gate
from lastword.admission.floods import BURST, MAX_ORIGINS, RATE, Bucket, pour
from lastword.admission.gate import Ignored
from lastword.cli.reading import pages_of
from lastword.config import Config
from lastword.errors import RecordRefused
from lastword.event import Event, Origin
from lastword.recorder import Recorder
from lastword.spool.record import Record, frame, parse
from lastword.wire.formats import FORMATS
from tests.support import needs
from tests.support.events import EVENT_ID, destination, exception, exception_event, message_event

HERE = Origin("KeyError", "/app/shop.py", 12)
ELSEWHERE = Origin("KeyError", "/app/shop.py", 13)
NOON = 1_740_830_645.0  # 2025-03-01T12:04:05Z

Hook = Callable[[Any], Any]

#: Ways to fork: by Python, and by C code, which runs no hook (PyPy cannot call it with the interpreter's lock held).
FORKS: list[Callable[[], int]] = [os.fork, *([ctypes.PyDLL(None).fork] if hasattr(ctypes, "PyDLL") else [])]


class TestFloods:
    """A token bucket for each origin."""

    def test_a_burst_is_kept_whole_and_then_one_a_second(self) -> None:
        """Of an event 10 times a second for a minute: the first 100, then those that a second each brings back."""
        floods = Floods()
        admitted = [tenth for tenth in range(600) if floods.pass_through(HERE, 30, NOON + tenth / 10).admitted]
        assert admitted[:33] == list(range(33))  # while 30 were used up, 3 came back
        assert {later - earlier for earlier, later in zip(admitted[33:], admitted[34:])} == {10}

    def test_no_more_than_the_burst_and_the_seconds(self) -> None:
        """Whatever the rhythm: in any stretch of time at most the burst and one for each second."""
        for seed in range(20):
            dice, now, bucket = random.Random(seed), NOON, None
            times = []
            for _ in range(150):
                now += dice.choice([0.0, 0.01, 0.3, 4.0])
                bucket, admitted = pour(bucket, 7, now)
                times += [now] if admitted else []
            for first in range(len(times)):
                for last in range(first, len(times)):
                    assert last - first + 1 <= 7 + RATE * (times[last] - times[first]) + 1e-6, f"seed {seed}"

    def test_the_next_event_tells_of_those_before_it(self) -> None:
        """How many were left out and since when; once, and nothing where none was."""
        floods = Floods()
        passages = [floods.pass_through(HERE, 2, NOON + after) for after in (0, 0, 0.25, 0.5, 0.75, 1, 9)]
        assert [passage.admitted for passage in passages] == [True, True, False, False, False, True, True]
        assert [passage.first for passage in passages] == [False, False, True, False, False, False, False]
        assert [passage.told for passage in passages[-2:]] == ["3 like this left out since 2025-03-01T12:04:05Z", ""]

    def test_origins_do_not_count_for_one_another(self) -> None:
        """A flood at one line costs no event of another."""
        floods = Floods()
        assert [floods.pass_through(HERE, 1, NOON).admitted for _ in range(3)] == [True, False, False]
        assert floods.pass_through(ELSEWHERE, 1, NOON).admitted

    def test_threads_that_meet_do_not_end_a_flood(self) -> None:
        """However they interrupt one another, a bucket that is empty stays empty."""
        floods, admitted = Floods(), []
        floods.pass_through(HERE, 1, NOON)

        def flood() -> None:
            admitted.extend([floods.pass_through(HERE, 1, NOON).admitted for _ in range(1000)])

        threads = [threading.Thread(target=flood) for _ in range(4)]
        switching = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(switching)
        assert admitted == [False] * 4000

    def test_a_clock_that_is_set_back(self) -> None:
        """It adds no token, and takes none: a second later by the new clock there is one again."""
        bucket = Bucket(0.0, NOON)
        bucket, admitted = pour(bucket, 5, NOON - 3600)
        assert not admitted
        assert pour(bucket, 5, NOON - 3599)[1]

    def test_the_memory_is_bounded(self) -> None:
        """Of too many origins those go that had no event for the longest time."""
        floods = Floods()
        floods.pass_through(HERE, 1, NOON)
        floods.pass_through(ELSEWHERE, 1, NOON)
        sizes = []
        for line in range(2 * MAX_ORIGINS):
            now = NOON + (line + 1) / 1e6
            assert not floods.pass_through(HERE, 1, now).admitted
            assert floods.pass_through(Origin("ValueError", "/app/made.py", line), 1, now).admitted
            sizes.append(len(floods._buckets.get()))
        assert max(sizes) == MAX_ORIGINS
        assert min(sizes[MAX_ORIGINS:]) >= MAX_ORIGINS * 0.9
        assert floods.pass_through(ELSEWHERE, 1, now).admitted

    def test_a_forked_child_begins_anew(self) -> None:
        """However it was forked, the flood of its parent is not its own; the parent's goes on."""
        floods = Floods()
        floods.pass_through(HERE, 1, NOON)
        for fork in FORKS:
            child = fork()
            if child == 0:
                os._exit(0 if floods.pass_through(HERE, 1, NOON).admitted else 1)
            assert os.waitpid(child, 0)[1] == 0
        assert not floods.pass_through(HERE, 1, NOON).admitted


#: Twenty a second for five minutes.
FLOOD = [number / 20 for number in range(6000)]


class TestFloodsByFill:
    """What is left out without a ``flood_burst`` depends on how full the spool is."""

    @staticmethod
    def admitted(fill: float, times: list[float]) -> list[float]:
        """Of events of one origin at these seconds, those that are kept in a spool that stays so full."""
        floods = Floods()
        return [at for at in times if floods.pass_through(HERE, None, NOON + at, lambda _: fill).admitted]

    @pytest.mark.parametrize("fill", [0.0, 0.24])
    def test_below_a_quarter_everything_is_kept(self, fill: float) -> None:
        """However many they are."""
        assert self.admitted(fill, FLOOD) == FLOOD

    @pytest.mark.parametrize("fill", [0.25, 0.49])
    def test_above_it_a_burst_and_then_one_a_second(self, fill: float) -> None:
        """As with a ``flood_burst`` of 100."""
        kept = self.admitted(fill, FLOOD)
        assert kept[:BURST] == FLOOD[:BURST]
        assert {round(later - earlier, 6) for earlier, later in zip(kept[BURST + 5 :], kept[BURST + 6 :])} == {1.0}

    @pytest.mark.parametrize("fill", [0.51, 0.7, 0.9, 1.0, 3.0])
    def test_above_a_half_nothing_of_a_flood_that_goes_on(self, fill: float) -> None:
        """Its beginning is kept, the less of it the fuller the spool is, and then none as long as it lasts."""
        kept = self.admitted(fill, FLOOD)
        assert max(kept) < 10
        assert len(kept) <= {0.51: 105, 0.7: 55}.get(fill, 3)

    @pytest.mark.parametrize("fill", [0.0, 0.3, 0.6, 1.0, 3.0])
    def test_what_comes_once_a_minute_is_always_kept(self, fill: float) -> None:
        """For a day, and in another rhythm."""
        every_minute = [60.0 * number for number in range(24 * 60)]
        assert self.admitted(fill, every_minute) == every_minute
        in_pairs = [120.0 * number + second for number in range(12 * 60) for second in (0.0, 1.0)]
        assert self.admitted(fill, in_pairs) == in_pairs

    def test_the_fuller_the_rarer(self) -> None:
        """What comes every five seconds is kept when what comes every second is not any more."""
        every_second, every_five = ([step * float(number) for number in range(600)] for step in (1, 5))
        assert self.admitted(0.55, every_second) == every_second
        assert len(self.admitted(0.7, every_second)) < 100
        assert self.admitted(0.7, every_five) == every_five
        assert len(self.admitted(0.9, every_five)) < 5

    def test_a_flood_that_ends_is_kept_again(self) -> None:
        """Once there is room, with the number of those that were left out."""
        floods, fill = Floods(), 0.9
        for number in range(1000):
            floods.pass_through(HERE, None, NOON + number / 10, lambda _: fill)
        fill = 0.2
        passage = floods.pass_through(HERE, None, NOON + 100, lambda _: fill)
        assert passage.admitted
        assert passage.told.startswith("997 like this left out")

    def test_how_full_it_is_costs_a_rare_event_nothing(self) -> None:
        """Nor is it asked for afresh before something would be left out."""
        asked: list[bool] = []

        def fill(fresh: bool) -> float:
            asked.append(fresh)
            return 0.2 if fresh or len(asked) < 5 else 1.0

        floods = Floods()
        for minute in range(3):
            assert floods.pass_through(HERE, None, NOON + 60 * minute, fill).admitted
        assert asked == []
        assert all(floods.pass_through(HERE, None, NOON + 120, fill).admitted for _ in range(6))
        assert asked == [False] * 5 + [True]

    @pytest.mark.parametrize("burst", [None, 1])
    def test_last_words_are_never_left_out(self, burst: Optional[int]) -> None:
        """What ends the program is kept in the midst of a flood of the same, and tells of it."""
        guard = Gate(Config(flood_burst=burst), fill=lambda _: 1.0)
        decisions = [guard.decide(KeyError(), HERE, NOON) for _ in range(20)]
        assert decisions[-1].refused == "flood"
        last = guard.decide(KeyError(), HERE, NOON, last_words=True)
        assert last.refused is None
        assert last.left_out.startswith(f"{[one.refused for one in decisions].count('flood')} like this left out")
        assert guard.decide(KeyError(), HERE, NOON).refused == "flood"


class Refusing(type):
    """Raises at whatever it is asked."""

    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError(name)

    def __instancecheck__(cls, instance: object) -> bool:
        raise RuntimeError

    def __subclasscheck__(cls, subclass: type) -> bool:
        raise RuntimeError

    def __eq__(cls, other: object) -> bool:
        raise RuntimeError

    __hash__ = type.__hash__


class OddError(KeyError, metaclass=Refusing):
    """Lies about its class, too."""

    __class__ = property(lambda self: 1 / 0)


class TestIgnore:
    """What an ``except`` clause would catch."""

    @pytest.mark.parametrize(
        ("listed", "ignored"),
        [
            ([], False),
            ([KeyError], True),
            ([LookupError], True),
            ([IndexError, OSError], False),
            (["KeyError"], True),
            (["builtins.KeyError"], True),
            (["LookupError"], True),
            (["keyerror"], False),
            (["shop.KeyError"], False),
            (["Error"], False),
            ([IndexError, "KeyError"], True),
            ([BaseException], True),
        ],
    )
    def test_classes_and_names_hold_for_their_subclasses(self, listed: list[Any], ignored: bool) -> None:
        """A class, or its name with or without its module."""
        assert Ignored(listed).has(KeyError("x")) is ignored

    def test_a_name_is_that_of_the_class_where_it_is_defined(self) -> None:
        """The module and the name with its outer classes; or the last part alone."""

        class Refused(Exception):
            pass

        Refused.__module__, Refused.__qualname__ = "shop.errors", "Card.Refused"
        for name in ("shop.errors.Card.Refused", "Refused"):
            assert Ignored([name]).has(Refused())
        assert not Ignored(["shop.errors.Refused", "Card.Refused"]).has(Refused())

    @pytest.mark.parametrize("listed", [[OddError], [KeyError], ["OddError"], ["KeyError"]])
    def test_no_class_of_the_application_is_asked(self, listed: list[Any]) -> None:
        """Neither a metaclass nor a property is, so nothing raises and nothing lies."""
        assert Ignored(listed).has(OddError())
        assert not Ignored([OddError, "OddError"]).has(KeyError())


class TestGate:
    """Ignoring, then sampling, then floods."""

    def test_an_ignored_event_is_not_drawn_and_a_sampled_one_is_no_flood(self) -> None:
        """What an earlier check turns away takes no part in the later ones."""
        drawn: list[float] = []

        def draw() -> float:
            drawn.append(0.5)
            return drawn[-1]

        config = Config(ignore_errors=(KeyError,), sample_rate=0.5, flood_burst=1)
        guard = Gate(config, draw)
        assert guard.decide(KeyError(), HERE, NOON).refused == "ignored"
        assert drawn == []
        assert [guard.decide(ValueError(), HERE, NOON).refused for _ in range(3)] == ["sampled"] * 3
        generous = Gate(Config(ignore_errors=(KeyError,), sample_rate=0.6, flood_burst=1), draw)
        generous.floods = guard.floods
        assert [generous.decide(ValueError(), HERE, NOON).refused for _ in range(2)] == [None, "flood"]
        assert generous.decide(KeyError(), HERE, NOON).refused == "ignored"
        assert generous.decide(ValueError(), HERE, NOON + 1).left_out.startswith("1 like this")

    def test_a_message_is_never_ignored(self) -> None:
        """There is no class to ignore it by, whatever it says."""
        assert Gate(Config(ignore_errors=(BaseException, "message", "object"))).decide(None, HERE, NOON).refused is None

    @pytest.mark.parametrize(("rate", "admitted"), [(0.0, 0), (0.25, 500), (1.0, 2000)])
    def test_the_sample_rate_is_the_share_that_is_kept(self, rate: float, admitted: int) -> None:
        """Nothing at 0, everything at 1, and the share of the draws below it in between."""
        draws: Iterator[float] = iter([number / 2000 for number in range(2000)])
        guard = Gate(Config(sample_rate=rate, flood_burst=0), lambda: next(draws))
        assert sum(guard.decide(None, HERE, NOON).refused is None for _ in range(2000)) == admitted

    def test_a_draw_is_a_fraction_and_not_the_same_in_a_forked_child(self) -> None:
        """A child draws for itself, also where C code forks it and no hook of Python runs."""
        assert all(0.0 <= gate.draw() < 1.0 for _ in range(1000))
        for fork in FORKS:
            told, tell = os.pipe()
            child = fork()
            mine = [gate.draw() for _ in range(4)]
            if child == 0:
                os.write(tell, json.dumps(mine).encode())
                os._exit(0)
            os.waitpid(child, 0)
            theirs = json.loads(os.read(told, 4096))
            os.close(told)
            os.close(tell)
            assert not set(mine) & set(theirs)

    def test_without_a_burst_there_is_no_flood(self) -> None:
        """0 keeps everything."""
        guard = Gate(Config(flood_burst=0))
        assert all(guard.decide(None, HERE, NOON).refused is None for _ in range(1000))

    def test_the_beginning_of_a_flood_is_remarked(self) -> None:
        """Once, with the place, for whoever wonders where the events are."""
        guard = Gate(Config(flood_burst=1))
        remarks = [guard.decide(KeyError(), HERE, NOON).remark for _ in range(4)]
        assert ["KeyError at /app/shop.py:12" in remark for remark in remarks] == [False, True, False, False]


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

    def test_what_the_hook_returns_is_the_event(self) -> None:
        """Changed in place or made anew."""

        def changes(event: Event) -> Event:
            event["tags"]["queue"] = "changed"
            return event

        for hook in (changes, lambda event: {**event, "tags": {"queue": "changed"}}):
            kept = BeforeSend(hook).apply(rich_event())
            assert kept == {**rich_event(), "tags": {"queue": "changed"}}

    def test_none_means_no_event(self) -> None:
        """The user wants none of it."""
        assert BeforeSend(lambda event: None).apply(rich_event()) is None

    def test_the_id_stays_what_it_was(self) -> None:
        """It is what the capture returns, and what a repeat is recognised by."""
        for hook in (lambda event: {**event, "id": "mine"}, lambda event: event.pop("id") and event):
            assert cast("Event", BeforeSend(hook).apply(rich_event()))["id"] == EVENT_ID

    @pytest.mark.parametrize("wire", sorted(FORMATS))
    def test_whatever_is_taken_away_the_rest_can_be_sent(self, wire: str) -> None:
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

    def test_a_tag_of_none_is_no_tag(self) -> None:
        """As with ``set_tag``."""
        kept = BeforeSend(lambda event: {**event, "tags": {"a": None, "b": "c"}}).apply(rich_event())
        assert kept is not None
        assert kept["tags"] == {"b": "c"}

    def test_a_number_where_a_text_belongs_is_a_text(self) -> None:
        """Tags are where that happens."""
        kept = BeforeSend(lambda event: {**event, "tags": {"attempt": 3, 7: True}}).apply(rich_event())
        assert kept is not None
        assert kept["tags"] == {"attempt": "3", "7": "True"}

    def test_what_the_hook_adds_stays(self) -> None:
        """It is on disk, should somebody look for it there."""
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
    def test_what_is_no_event_costs_the_event_and_says_why(self, hook: Hook, problem: str) -> None:
        """Refused under ``before_send``, with the place and the kind of the mistake, never with the value."""
        with pytest.raises(RecordRefused, match=problem) as refusal:
            BeforeSend(hook).apply(rich_event())
        assert refusal.value.reason == "before_send"

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
    def test_what_does_not_fit_is_left_out_and_said(self, hook: Hook, problem: str) -> None:
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

    def test_the_rest_of_it_stays(self) -> None:
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

    @pytest.mark.parametrize("number", ODD_ONES)
    def test_anything_anywhere(self, number: int) -> None:
        """Whatever a hook puts anywhere in its event, it is kept, read back from disk, and sent in every format."""
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

    def test_a_hook_that_captures_is_given_those_events_once(self) -> None:
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
