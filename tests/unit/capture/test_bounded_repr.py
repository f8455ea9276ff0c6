"""The bounded repr shows builtin values as Python would, and of everything else only what it is."""

from __future__ import annotations

import enum
import sys
from typing import Any

import pytest

from lastword.capture.bounded_repr import MAX_DEPTH, BoundedRepr, bounded_repr
from lastword.scrub import is_sensitive
from tests.support import needs

LIMIT = 200


class Ordinary:
    """An object with nothing odd about it."""


class LyingMeta(type):
    """A metaclass that answers for its classes, and raises instead of answering."""

    @property
    def __module__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("asked for __module__")

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("asked for __name__")

    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError(f"asked for {name}")


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 0, -7, 10**100, 1.5, float("nan"), float("-inf"), 2 + 3j, ..., NotImplemented),
        *("", "text", "it's", 'a "quote"', "line\nbreak", "\udc80", "ünï", b"bytes", bytearray(b"ba")),
        *(
            [],
            [1, [2, [3]]],
            (),
            (1,),
            (1, "a"),
            {1},
            set(),
            frozenset(),
            frozenset({"x"}),
            {},
            {"k": [1, {"n": None}]},
            {"k": 1, "t": (1, None, "x"), "f": 0.5},
            [(1, "a", 2.5), (2, "b", (3, (4, "c")))],
        ),
    ],
    ids=repr,
)
def test_a_builtin_value_is_shown_as_python_shows_it(value: object) -> None:
    """Exact builtin scalars and containers that are small look like their repr, each time."""
    shows = BoundedRepr(lambda name: False)
    assert [shows.of(value, LIMIT) for _ in range(2)] == [repr(value)] * 2


def test_an_object_is_shown_by_its_class_and_address() -> None:
    """The address tells two objects apart, the class says what they are."""
    value = Ordinary()
    assert bounded_repr(value, LIMIT) == f"<{__name__}.Ordinary object at 0x{id(value):x}>"


def test_classes_functions_and_modules_are_shown_by_name() -> None:
    """A module's frame is full of them, and their names say more than their addresses."""
    assert bounded_repr(Ordinary, LIMIT) == f"<class '{__name__}.Ordinary'>"
    assert bounded_repr(pytest, LIMIT) == "<module 'pytest'>"
    name = test_classes_functions_and_modules_are_shown_by_name.__qualname__
    assert bounded_repr(test_classes_functions_and_modules_are_shown_by_name, LIMIT) == f"<function {name}>"


def test_no_method_of_the_application_runs() -> None:
    """Whatever methods a class overrides, alone or in a container."""

    def called(*_: object, **__: object) -> Any:
        raise AssertionError("application code ran")

    methods = (
        "__repr__ __str__ __getattr__ __getattribute__ __len__ __iter__ __bool__ __eq__ __hash__ __format__"
        " __getitem__ __contains__ __int__ __float__ items keys bit_length encode"
    )
    body: dict[str, Any] = {**dict.fromkeys(methods.split(), called), "__class__": property(called)}
    for base in (object, int, str, bytes, list, tuple, dict, float):
        value = type(f"Odd{base.__name__}", (base,), dict(body))()
        for holder in (value, [value, (value,), {"k": value}], {"k": (1, value, 2)}, {"k": value}, {(1, 2): (value,)}):
            for _ in range(2):  # what was learned from the first time is used the second time
                assert f"Odd{base.__name__} object at 0x" in bounded_repr(holder, LIMIT)


def test_no_method_of_a_key_is_called() -> None:
    """Not even its hash, once it is in the dict."""

    class Key(str):
        armed = False

        def __hash__(self) -> int:
            assert not self.armed
            return str.__hash__(self)

        def __eq__(self, other: object) -> bool:
            assert not self.armed
            return str.__eq__(self, other)

    key = Key("name")
    holder = {key: 1, "other": 2}
    key.armed = True
    for value in ({"name": 1, "other": 2}, holder, holder):
        assert bounded_repr(value, LIMIT).endswith("'other': 2}")


def test_no_method_of_a_metaclass_is_called() -> None:
    """Name and module come from the slots of ``type`` itself."""
    liar = LyingMeta("Liar", (), {})
    assert "Liar object at 0x" in bounded_repr(type.__call__(liar), LIMIT)
    assert "LyingMeta object at 0x" in bounded_repr(liar, LIMIT)


def test_a_subclass_of_a_builtin_is_not_shown_by_content() -> None:
    """An Enum member or a named tuple may have any repr of its own."""

    class Colour(enum.IntEnum):
        RED = 1

    assert "Colour object at 0x" in bounded_repr(Colour.RED, LIMIT)


@pytest.mark.parametrize(
    "value",
    [
        *("x" * 50_000_000, b"x" * 50_000_000, list(range(1_000_000)), ["y" * 1_000_000] * 100, "\x00" * 1000),
        *({i: i for i in range(100_000)}, set(range(100_000)), [[[["deep"] * 500] * 500] * 500] * 500, ("ü" * 300,)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_big_value_is_cut_with_an_ellipsis(value: object) -> None:
    """However big the value, its text has at most the limit of characters and says that it was cut."""
    shown = bounded_repr(value, LIMIT)
    assert len(shown) <= LIMIT
    assert shown.endswith("…")


@needs.capability(sys.implementation.name == "cpython", "tracemalloc")
def test_a_big_value_is_not_copied() -> None:
    """The memory it takes to show 50 MB is that of the text shown."""
    import tracemalloc

    values = ["x" * 50_000_000, b"\x00" * 50_000_000, bytearray(50_000_000), 1 << 400_000_000]
    tracemalloc.start()
    try:
        for value in values:
            bounded_repr(value, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_only_the_shown_part_of_a_container_is_read() -> None:
    """A member beyond the cut is not made into text at all."""

    class Counted:
        pass

    members = [Counted() for _ in range(1000)]
    assert bounded_repr(members, LIMIT).count("Counted") <= LIMIT // len("Counted")


def test_a_huge_int_is_shown_by_its_size() -> None:
    """Its digits would cost the square of their number, and beyond 4,300 of them Python refuses."""
    assert bounded_repr(1 << 100_000_000, LIMIT) == "<int of 100000001 bits>"
    assert bounded_repr([-(10**5000)], LIMIT) == "[<int of 16610 bits>]"


def test_a_container_that_holds_itself_ends() -> None:
    """Depth is bounded, so recursion is."""
    cyclic: list[object] = []
    cyclic.append(cyclic)
    mapping: dict[str, object] = {}
    mapping["self"] = mapping
    assert bounded_repr(cyclic, LIMIT) == "[" * (MAX_DEPTH + 1) + "…" + "]" * (MAX_DEPTH + 1)
    assert bounded_repr(mapping, LIMIT).endswith("{…}" + "}" * MAX_DEPTH)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"password": "hunter2", "a": 1}, "{'password': [filtered], 'a': 1}"),
        ({b"Cookie": "hunter2"}, "{b'Cookie': [filtered]}"),
        ([{"a": ({"api-key": ["hunter2"]},)}], "[{'a': ({'api-key': [filtered]},)}]"),
        ([(b"authorization", b"hunter2"), ("Accept", "*/*")], "[(b'authorization', [filtered]), ('Accept', '*/*')]"),
        (("token", "secret", "name"), "('token', 'secret', 'name')"),
        ({"x" * 50_000_000 + "password": 1}, "{'" + "x" * 197 + "…"),
        ({None: 1, ("password",): 2}, "{None: 1, ('password',): 2}"),
        ({"a": ("password", "hunter2"), "b": 1}, "{'a': ('password', [filtered]), 'b': 1}"),
        ({"a": (1, ("password", "hunter2"), 2)}, "{'a': (1, ('password', [filtered]), 2)}"),
    ],
    ids=range(9),
)
def test_value_of_a_sensitive_key_is_not_shown(value: object, shown: str) -> None:
    """At any depth; headers often come as a list of pairs, and of bytes."""
    shows = BoundedRepr(is_sensitive)
    assert [shows.of(value, 200) for _ in range(2)] == [shown] * 2
    assert shows.of_each([value]) == ([shown], [shown])


def test_value_of_a_sensitive_key_is_not_touched() -> None:
    """As with a variable of that name."""
    shown = BoundedRepr(lambda name: name == "secret").of({"secret": {"deep": [object()]}}, 200)
    assert shown == "{'secret': [filtered]}"
