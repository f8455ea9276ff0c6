"""Capturing never raises, keeps its limits and gives strict JSON, whatever objects Hypothesis makes up."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lastword import diagnostics
from lastword.assembly import exception_event, message_event
from lastword.capture import CaptureSettings
from lastword.config import Config
from lastword.event import Event, Needs
from lastword.scope import context
from lastword.scrub import Rules, scrub
from lastword.spool.record import encode_event, frame
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.BEFORE_DISK,
    "Odd objects raise nothing and cost only themselves",
    broken_by="an exception's `__str__` guarded for ValueError alone, `__repr__` likewise; lone "
    "surrogates kept; scrubbed texts without a length limit",
)

RULES = Rules(Config())
PLAIN = CaptureSettings(needs=Needs(message_stack=True), is_sensitive=RULES.is_sensitive)
WITH_REPRS = CaptureSettings(
    needs=Needs(), is_sensitive=RULES.is_sensitive, repr_of=(object,), scrub_text=RULES.scrub_text
)

MAX_RECORD = 1 << 20


@pytest.fixture(autouse=True)
def _no_notes_and_time_enough(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Under Hypothesis' tracing the limit of scrubbing may be reached."""
    monkeypatch.setattr("lastword.scrub.whole_event.TIME_LIMIT", 60.0)
    yield
    diagnostics.forget()


def fail(*_: object, **__: object) -> Any:
    raise RuntimeError("application code that raises")


def recurse(*arguments: object, **__: object) -> Any:
    return recurse(*arguments)


#: What application code may do instead of what it should.
ANSWERS = st.sampled_from(
    [
        fail,
        recurse,
        lambda *_, **__: 5,
        lambda *_, **__: None,
        lambda self, *_: self,
        lambda *_, **__: "password=hunter2" * 10_000,
        lambda *_, **__: "\ud800",
        lambda *_, **__: float("nan"),
        lambda *_, **__: b"\xff",
        lambda *_, **__: iter(int, 1),  # has no end
    ]
)
METHODS = st.dictionaries(
    st.sampled_from(
        [
            *("__repr__", "__str__", "__getattr__", "__getattribute__", "__hash__", "__eq__", "__len__", "__iter__"),
            *("__bool__", "__format__", "__dir__", "__getitem__", "__contains__", "__sizeof__", "__index__", "keys"),
            *("__int__", "__float__", "items", "values", "__reduce__", "__missing__", "__lt__", "__length_hint__"),
        ]
    ),
    ANSWERS,
)
LIES = st.dictionaries(st.sampled_from(["__class__", "__dict__", "__notes__", "__cause__", "args"]), ANSWERS)
BASES = st.sampled_from([object, int, str, bytes, float, list, dict, tuple, set, frozenset, bytearray])

#: Makes an object. Hypothesis itself must not meet the object: it would ask it for its repr, its truth, its hash.
Maker = Callable[[], Any]


def odd(base: type, methods: dict[str, Any], lies: dict[str, Any], of_meta: dict[str, Any]) -> Any:
    """An object of a new class with these methods and properties, of a new metaclass that has some as well."""
    meta: Any = type("Meta", (type,), of_meta)
    new: Any = base.__new__
    return new(meta("Odd", (base,), {**methods, **{name: property(answer) for name, answer in lies.items()}}))


def dict_of(pairs: list[tuple[Maker, Maker]]) -> dict[Any, Any]:
    made = {}
    for key, value in pairs:
        with suppress(Exception):  # no key
            made[key()] = value()
    return made


def list_with_itself(members: list[Maker]) -> list[Any]:
    made: list[Any] = [member() for member in members]
    made += [made, {"again": made, "password": made}]
    return made


def constant(value: Any) -> Maker:
    return partial(copy.copy, value)


PLAIN_TEXTS = st.text(st.characters(exclude_categories=()))
TEXTS = PLAIN_TEXTS.map(constant) | st.sampled_from(
    [
        lambda: "x" * 50_000,
        lambda: "password=hunter2",
        lambda: "Bearer abc123def456 " * 500,
        lambda: "\x00\x1f\u2028",
        lambda: "://a:b@" * 3000,
    ]
)
NUMBERS = (st.integers() | st.floats() | st.complex_numbers()).map(constant) | st.just(lambda: 10**5000)
ODD = st.builds(partial, st.just(odd), BASES, METHODS, LIES, METHODS)
LEAVES = (st.none() | st.booleans() | st.binary()).map(constant) | NUMBERS | TEXTS | ODD


def containers(inner: st.SearchStrategy[Maker]) -> st.SearchStrategy[Maker]:
    members = st.lists(inner, max_size=5)
    return (
        members.map(lambda makers: lambda: [make() for make in makers])
        | members.map(lambda makers: lambda: tuple([make() for make in makers]))
        | members.map(lambda makers: partial(list_with_itself, makers))
        | st.lists(st.tuples(LEAVES, inner), max_size=5).map(lambda pairs: partial(dict_of, pairs))
    )


MAKERS = st.recursive(LEAVES, containers, max_leaves=8)


def checked(event: Event) -> Any:
    """What the spool would get is strict JSON, within a record."""
    line = frame(encode_event(event["id"], None, scrub(event, RULES)), 1)
    assert len(line) < MAX_RECORD
    read: Any = json.loads(line, parse_constant=fail)["event"]
    assert read["id"] == event["id"]
    json.dumps(read, ensure_ascii=False).encode("utf-8")
    return read


def raised(error: BaseException, **local: object) -> BaseException:
    """``error`` with a frame that has these local variables."""
    try:
        exec("raise error", {"error": error}, local)
    except BaseException as caught:
        return caught
    raise AssertionError


thoroughly = settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))


@thoroughly
@given(MAKERS, MAKERS)
def test_any_local_variable(make: Maker, make_another: Maker) -> None:
    """All names are there, within their limits; and with reprs that the program asked for, too."""
    first, second = make(), make_another()
    error = raised(ZeroDivisionError(), first=first, password=second, headers=[("Cookie", first)], second=second)
    for how in (PLAIN, WITH_REPRS):
        (info,) = checked(exception_event(error, handled=True, mechanism="test", settings=how))["exceptions"]
        variables = info["frames"][-1]["variables"]
        assert [name for name, _, _ in variables] == ["first", "password", "headers", "second"]
        assert all(len(text) <= 200 for _, _, text in variables)
        assert [mark for _, mark, _ in variables] == ["repr", "filtered", "repr", "repr"]
        assert variables[1] == ["password", "filtered", "[filtered]"]
        assert variables[2][2] == "[('Cookie', [filtered])]"


@thoroughly
@given(MAKERS, METHODS, LIES, MAKERS)
def test_any_exception(make: Maker, methods: dict[str, Any], lies: dict[str, Any], make_notes: Maker) -> None:
    """Of any class, with any arguments, notes and attributes."""
    odd_class: Any = type("OddError", (Exception,), {**methods, **{name: property(lies[name]) for name in lies}})
    error: BaseException = BaseException.__new__(odd_class, make())
    with suppress(Exception):  # there may be a lie in its place
        object.__setattr__(error, "__notes__", make_notes())
    event = exception_event(error, handled=False, mechanism="test", settings=PLAIN)
    assert checked(event)["exceptions"][0]["type"] == "OddError"
    assert not [note for note in diagnostics.waiting() if "an event went without" in note]


@thoroughly
@given(MAKERS, MAKERS)
def test_any_message_user_and_tag(make: Maker, make_another: Maker) -> None:
    """In a context of its own, so that nothing is left behind."""
    value, other = make(), make_another()

    def capture() -> Event:
        context.set_user(value)
        context.set_tag(value, other)
        context.set_user({"more": other, "list": [value]})
        return message_event(other, level="info", settings=PLAIN)

    checked(copy_context().run(capture))
