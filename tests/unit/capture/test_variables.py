"""Which locals of a frame are taken, and how each came to its text."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, MutableMapping
from types import FrameType
from typing import Any

from lastword.capture.bounded_repr import MAX_TEXT, BoundedRepr
from lastword.capture.variables import MAX_NAMES, VariableReader
from lastword.event import Variable
from lastword.scrub import is_sensitive


def frame_of(source: str, scope: Any = None) -> FrameType:
    """The frame that runs ``source`` with ``scope`` for its locals; ``source`` has to call ``here``."""
    found: list[FrameType] = []
    names: dict[str, Any] = {"here": lambda: found.append(sys._getframe(1))}
    exec(source, names, scope if scope is not None else names)
    return found[0]


def frame_variables(frame: FrameType, is_sensitive: Callable[[str], bool]) -> list[Variable]:
    """The variables, which are the same when the frame's names are known already."""
    reader = VariableReader(is_sensitive)
    first, again = reader.read(frame), reader.read(frame)
    assert first == again
    return [(name, mark, text) for name, mark, text in json.loads(first[0])]


def by_name(taken: list[Variable]) -> dict[str, tuple[str, str]]:
    return {name: (mark, text) for name, mark, text in taken}


def test_locals_come_in_their_order() -> None:
    """The order in which the function names them is the order in which people read them."""

    def function(first: int, second: str) -> FrameType:
        third = [first]
        del third[0]
        return sys._getframe()

    taken = frame_variables(function(1, "two"), is_sensitive)
    assert taken == [("first", "repr", "1"), ("second", "repr", "'two'"), ("third", "repr", "[]")]


def test_at_most_fifty_names_and_no_dunders() -> None:
    """Names with two underscores on both sides are the interpreter's; they do not count."""
    source = "\n".join([*(f"__d{i}__ = 0" for i in range(60)), *(f"v{i} = {i}" for i in range(60)), "here()"])
    taken = frame_variables(frame_of(source, {}), is_sensitive)
    assert [name for name, _, _ in taken] == [f"v{i}" for i in range(MAX_NAMES)]


def test_a_text_has_at_most_two_hundred_characters() -> None:
    """The limit holds for the text as it is kept, ellipsis included."""
    taken = by_name(frame_variables(frame_of("big = 'x' * 50_000_000\nhere()", {}), is_sensitive))
    assert len(taken["big"][1]) == MAX_TEXT


def test_the_value_of_a_sensitive_name_is_not_touched() -> None:
    """Not even its class is looked at: the name alone decides."""
    source = "api_token = 'hunter2'\nuser_password = 'x'\nplain = 1\nhere()"
    taken = frame_variables(frame_of(source, {}), is_sensitive)
    assert taken == [
        ("api_token", "filtered", "[filtered]"),
        ("user_password", "filtered", "[filtered]"),
        ("plain", "repr", "1"),
    ]


def test_value_is_withheld_when_a_rule_raises() -> None:
    """Doubt is decided for the secret."""

    def broken(name: str) -> bool:
        raise RuntimeError(name)

    assert frame_variables(frame_of("a = 'secret value'\nhere()", {}), broken) == [("a", "filtered", "[filtered]")]


def test_a_repr_that_fails_leaves_the_type(monkeypatch: Any) -> None:
    """The variable is there, marked, with the name of its class for a text."""

    def failing(*_: object) -> str:
        raise RecursionError

    monkeypatch.setattr(BoundedRepr, "of_each", failing)
    monkeypatch.setattr(BoundedRepr, "of", failing)
    assert frame_variables(frame_of("a = 1.5\nhere()", {}), is_sensitive) == [("a", "failed", "float")]


def test_texts_of_the_program_and_long_numbers_may_have_secrets() -> None:
    """Any text with content of the program, and numbers as long as card numbers."""
    card, short = 4111111111111111, 411111111111
    scope = {"a": 1, "b": None, "c": True, "d": 2.5, "e": object(), "f": "text", "g": {"k": 1}, "h": [1], "i": card}
    scope |= {"j": short, "k": b"bytes", "l": (1, 2), "m": {3}, "n": -card, "o": len, "p": int, "q": 1j}
    _, texts = VariableReader(is_sensitive).read(frame_of("here()", scope))
    shown = ["'text'", "{'k': 1}", "[1]", str(card), "b'bytes'", "(1, 2)", "{3}", str(-card)]
    assert texts == [*shown, "<function len>", "<class 'int'>", "1j"]


def test_names_that_are_no_plain_text_are_left_out() -> None:
    """A namespace may have any keys; hashing or comparing them would run their code."""

    class Name(str):
        __slots__ = ()

        def startswith(self, *_: object) -> bool:
            raise AssertionError("application code ran")

    scope: dict[Any, Any] = {Name("odd"): 1, 5: 2, None: 3, "plain": 4}
    assert frame_variables(frame_of("here()", scope), is_sensitive) == [("plain", "repr", "4")]


def test_a_mapping_of_the_application_is_not_read() -> None:
    """The body of a class may run in a mapping whose every method is application code."""

    class Scope(MutableMapping[str, Any]):
        armed = False

        def refuse(self) -> None:
            if self.armed:
                raise AssertionError("application code ran")

        def __getitem__(self, key: str) -> Any:
            self.refuse()
            raise KeyError(key)

        def __setitem__(self, key: str, value: Any) -> None:
            self.refuse()

        def __delitem__(self, key: str) -> None:
            self.refuse()

        def __iter__(self) -> Iterator[str]:
            self.refuse()
            return iter(())

        def __len__(self) -> int:
            self.refuse()
            return 0

    scope = Scope()
    frame = frame_of("here()", scope)
    Scope.armed = True
    assert frame_variables(frame, is_sensitive) == []


def test_a_dict_subclass_is_read_as_the_dict_it_is() -> None:
    """enum's namespace is one; its own methods are passed over."""

    class Scope(dict):  # type: ignore[type-arg]
        def items(self) -> Any:
            raise AssertionError("application code ran")

        def __iter__(self) -> Any:
            raise AssertionError("application code ran")

    assert frame_variables(frame_of("a = 1\nhere()", Scope()), is_sensitive) == [("a", "repr", "1")]


def test_variables_of_closures_and_comprehensions_are_there() -> None:
    """What a function closes over is among its locals on every version of Python."""

    def outer(free: int) -> Callable[[], FrameType]:
        def inner() -> FrameType:
            local = free
            del local
            return sys._getframe()

        return inner

    assert by_name(frame_variables(outer(7)(), is_sensitive)) == {"free": ("repr", "7")}
