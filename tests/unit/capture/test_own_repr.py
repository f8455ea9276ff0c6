"""Objects that the program wants to be shown by their own repr."""

from __future__ import annotations

import json
import sys
from types import FrameType
from typing import Any, Union

import pytest

from lastword.capture.own_repr import OwnReprs
from lastword.capture.variables import VariableReader
from lastword.scrub import is_sensitive


class Order:
    """Says more of itself than its address."""

    def __repr__(self) -> str:
        return "<order 42>"


class UrgentOrder(Order):
    """A subclass."""


class Failing(Order):
    """Its repr raises."""

    def __repr__(self) -> str:
        raise RuntimeError


class NoText(Order):
    """Its repr is none."""

    def __repr__(self) -> Any:
        return 5


def shown(value: object, *allowed: Union[type, str]) -> Any:
    return OwnReprs(allowed, str).of(value, 200)


@pytest.mark.parametrize("named", [Order, "Order", f"{__name__}.Order", object, "object"])
def test_repr_of_a_named_class_is_called(named: Union[type, str]) -> None:
    """By the class or its name, with or without its module; subclasses included."""
    assert shown(Order(), named) == "<order 42>"
    assert shown(UrgentOrder(), "Other", named) == "<order 42>"


def test_repr_of_other_classes_is_not_called() -> None:
    """Also where lastword has its own way to show a value, or the repr raises or returns no text."""
    assert shown(Order(), "UrgentOrder", "order", int) is None
    assert shown([Order()], object) is None
    assert shown(Failing(), Order) is None
    assert shown(NoText(), Order) is None


def test_a_repr_is_scrubbed_and_bounded() -> None:
    """Scrubbed first, so that no secret is cut in two."""

    class Long:
        def __repr__(self) -> str:
            return "x" * 190 + "secret" + "y" * 50_000_000

    seen: list[int] = []

    def scrub_text(text: str) -> str:
        seen.append(len(text))
        return text.replace("secret", "-")

    text = OwnReprs((Long,), scrub_text).of(Long(), 200)
    assert text == "x" * 190 + "-yyyyyyyy…"
    assert seen[0] < 10_000


def test_reprs_of_one_event_have_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Later objects are shown as if their class had not been named."""
    times = iter([0.0, 0.009, 1.0, 1.002])
    monkeypatch.setattr("lastword.capture.own_repr.time.perf_counter", lambda: next(times))
    reprs = OwnReprs((Order,), str)
    assert [reprs.of(Order(), 200) for _ in range(4)] == ["<order 42>", "<order 42>", None, None]


def test_repr_that_captures_is_not_called_again() -> None:
    """The capture inside shows it by its address, or it would never end."""

    class Capturing:
        def __repr__(self) -> str:
            return f"inside: {shown(self, Capturing)}"

    assert shown(Capturing(), Capturing) == "inside: None"
    assert shown(Capturing(), Capturing) == "inside: None"


def test_local_variables_of_a_named_class_are_shown_by_their_repr() -> None:
    """Objects inside containers are not."""

    def function(order: Order, orders: list[Order], password: Order) -> FrameType:
        return sys._getframe()

    frame = function(Order(), [Order()], Order())
    order, orders, password = json.loads(VariableReader(is_sensitive).read(frame, OwnReprs((Order,), str))[0])
    assert order == ["order", "repr", "<order 42>"]
    assert orders[2].startswith(f"[<{__name__}.Order object at 0x")
    assert password == ["password", "filtered", "[filtered]"]
