"""What the program says of its work, and what is kept of it."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from lastword import diagnostics
from lastword.assembly import exception_event, message_event
from lastword.capture import CaptureSettings
from lastword.capture.json_copy import MAX_ITEMS
from lastword.scope.breadcrumbs import add_breadcrumb
from lastword.scope.context import (
    MAX_CONTEXTS,
    MAX_EXTRA,
    MAX_TAG,
    MAX_TAGS,
    MAX_USER,
    current,
    level_or,
    new_scope,
    set_context,
    set_extra,
    set_fingerprint,
    set_level,
    set_tag,
    set_tags,
    set_transaction,
    set_user,
)
from tests.support.promise import Section, promise
from tests.support.scopes import crumbs, in_new_context


def user_after(user: Any) -> Any:
    def run() -> Any:
        set_user(user)
        return current()[0]

    user = in_new_context(run)
    json.dumps(user, allow_nan=False)
    return user


def tags_after(*tags: tuple[Any, Any]) -> dict[str, str]:
    def run() -> dict[str, str]:
        for key, value in tags:
            set_tag(key, value)
        return current()[1]

    found: dict[str, str] = in_new_context(run)
    return found


def test_nothing_is_set_at_first() -> None:
    """No user is None, not an empty one."""
    assert in_new_context(current) == (None, {}, {}, {}, [], None)


def test_events_carry_user_tags_and_context(settings: CaptureSettings) -> None:
    """As it is at the moment of the capture."""

    def run() -> Any:
        set_user({"id": "42"})
        set_tags({"queue": "mail", "attempt": 2})
        set_extra("order", [17])
        set_context("shop", {"open": True})
        set_fingerprint(["orders", 17])
        set_transaction("POST /checkout")
        return message_event("hello", level="info", settings=settings)

    event = in_new_context(run)
    assert (event["user"], event["tags"]) == ({"id": "42"}, {"queue": "mail", "attempt": "2"})
    assert (event["extra"], event["contexts"]) == ({"order": [17]}, {"shop": {"open": True}})
    assert (event["fingerprint"], event["transaction"]) == (["orders", "17"], "POST /checkout")


def test_a_later_change_of_the_callers_object_does_not_show() -> None:
    """A copy is taken when the user is set, and another when it is read."""

    def run() -> Any:
        user: dict[str, Any] = {"id": "42", "roles": ["admin"]}
        set_user(user)
        user["id"] = "43"
        user["roles"].append("root")
        current()[0]["roles"].append("nobody")  # type: ignore[index]
        return current()[0]

    assert in_new_context(run) == {"id": "42", "roles": ["admin"]}


@pytest.mark.parametrize(
    ("user", "kept"),
    [
        (None, None),
        ("ann", {"id": "ann"}),
        (42, {"id": 42}),
        (uuid.UUID(int=7), {"id": "00000000-0000-0000-0000-000000000007"}),
        ({}, {}),
        (MappingProxyType({"id": 1}), {"id": 1}),
        ({"ok": True, "none": None, "pi": 3.5}, {"ok": True, "none": None, "pi": 3.5}),
        ({"nan": float("nan"), "inf": float("-inf")}, {"nan": "nan", "inf": "-inf"}),
        ({"set": {1}, "tuple": (1, "a"), "price": Decimal("1.50")}, {"set": [1], "tuple": [1, "a"], "price": "1.50"}),
        ({1: "int", None: "none", b"b": "bytes"}, {"1": "int", "None": "none", "b'b'": "bytes"}),
        ({"\udc80": "\udc80"}, {"\\udc80": "\\udc80"}),
        ({"a": {"b": {"c": {}, "d": 1}}}, {"a": {"b": {"c": "(left out)", "d": 1}}}),
    ],
)
def test_user_is_kept_as_json(user: Any, kept: Any) -> None:
    """A mapping by its items, anything else as an id; objects as their text."""
    assert user_after(user) == kept


def test_unreadable_user_becomes_none() -> None:
    """The previous user would be the wrong one."""

    class Broken(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            raise RuntimeError

        def __iter__(self) -> Iterator[str]:
            return iter(["id"])

        def __len__(self) -> int:
            return 1

    def run() -> Any:
        set_user("ann")
        set_user(Broken())
        return current()[0]

    assert in_new_context(run) is None


def test_values_that_cannot_be_shown_are_named_by_their_class() -> None:
    """One bad value does not affect the others."""

    class Unprintable:
        def __str__(self) -> str:
            raise RuntimeError

    user = user_after({"bad": Unprintable(), "id": "42", "huge": 10**5000})
    assert user["id"] == "42"
    assert user["bad"].endswith("Unprintable>")
    assert len(user["huge"]) < 2000


def test_a_user_is_bounded() -> None:
    """In items, in depth, and as a whole."""
    recursive: dict[str, Any] = {}
    recursive["self"] = recursive
    assert user_after(recursive) == {"self": {"self": {"self": "(left out)"}}}
    assert len(user_after({str(number): number for number in range(10_000)})) == MAX_ITEMS
    for big in ({str(i): "ü" * 50_000 for i in range(40)}, {"x": [["y" * 5000] * 50] * 50, "id": 1}, "z" * 50_000_000):
        assert len(json.dumps(user_after(big))) <= MAX_USER
    assert user_after({"x": [["y" * 5000] * 50] * 50, "id": 1}) == {"x": "(left out)", "id": 1}


def test_tags_are_texts_bounded_in_number_and_length() -> None:
    """Whatever is given; a tag that is there can still be changed when no new one is kept."""
    assert tags_after(("n", 1), ("flag", True), (5, "five")) == {"n": "1", "flag": "True", "5": "five"}
    assert len(tags_after(("long", "x" * 1000))["long"]) == MAX_TAG
    many = tags_after(*((f"t{number}", number) for number in range(100)), ("t0", "changed"))
    assert len(many) == MAX_TAGS
    assert many["t0"] == "changed"


def test_none_removes_a_tag() -> None:
    """And removing one that is not there is no error."""
    assert tags_after(("a", 1), ("b", 2), ("a", None), ("c", None)) == {"b": "2"}


class TestExtraAndContexts:
    """Values of any kind, by themselves and in groups."""

    def test_none_removes_each_setting(self) -> None:
        """Also one that was never set."""

        def run() -> Any:
            set_extra("order", 17)
            set_extra("cart", "full")
            set_context("shop", {"open": True})
            set_transaction("POST /checkout")
            set_fingerprint(["a"])
            for forget in (set_transaction, set_fingerprint, set_level, set_user):
                forget(None)
            set_extra("order", None)
            set_context("shop", None)
            set_context("none", None)
            return current()

        assert in_new_context(run) == (None, {}, {"cart": "full"}, {}, [], None)

    def test_a_later_change_does_not_show(self) -> None:
        """Neither of what was given nor of what was got."""

        def run() -> Any:
            order = {"id": 17, "items": [1]}
            set_extra("order", order)
            set_context("order", order)
            order["items"] = []
            current().extra["order"]["items"].append(2)
            current().contexts["order"]["items"].append(2)
            return current()

        said = in_new_context(run)
        assert said.extra == {"order": {"id": 17, "items": [1]}} == said.contexts

    def test_extra_and_contexts_are_bounded_in_total(self) -> None:
        """The ones that come too late are left out, and that is noted."""

        def run() -> Any:
            for number in range(100):
                set_extra(f"small {number}", number)
                set_context(f"small {number}", {"n": number})
            few = current()
            for number in range(100):
                set_extra(f"small {number}", "é" * 2000)
                set_context(f"small {number}", {"text": "é" * 2000})
            return few, current()

        few, large = in_new_context(run)
        assert list(few.extra) == list(few.contexts) == [f"small {number}" for number in range(MAX_ITEMS)]
        assert len(json.dumps(large.extra, separators=(",", ":"))) <= MAX_EXTRA
        assert len(json.dumps(large.contexts, separators=(",", ":"))) <= MAX_CONTEXTS
        assert list(large.extra.values()).count("(left out)") > 10
        assert list(large.contexts.values()).count({}) > 10
        assert any("set_context" in text for text in diagnostics.waiting())

    def test_a_name_that_is_set_again_makes_room_first(self) -> None:
        """A loop that sets the same thing over and over never runs out."""

        def run() -> Any:
            for number in range(10):
                set_extra("rows", ["x" * 1000] * 20 + [number])
            return current().extra["rows"][-1]

        assert in_new_context(run) == 9


class TestLevel:
    """``set_level`` is for events whose capture names no level."""

    def test_level_holds_for_events_that_name_none(self, settings: CaptureSettings) -> None:
        """Handled exceptions and messages; an uncaught exception stays fatal."""

        def levels() -> list[str]:
            handled = exception_event(ValueError(), handled=True, mechanism="test", settings=settings)
            uncaught = exception_event(ValueError(), handled=False, mechanism="test", settings=settings)
            message = message_event("hello", level=None, settings=settings)
            named = message_event("hello", level="debug", settings=settings)
            return [event["level"] for event in (handled, uncaught, message, named)]

        def run() -> Any:
            before = levels()
            set_level("warning")
            return before, levels()

        assert in_new_context(run) == (["error", "fatal", "info", "debug"], ["warning", "fatal", "warning", "debug"])

    def test_unknown_level_changes_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        """And is noted."""

        def run() -> Any:
            level: Any = "catastrophe"
            set_level("warning")
            set_level(level)
            return level_or("info")

        assert in_new_context(run) == "warning"
        assert caplog.messages == ["the level was not set: it is none of fatal, error, warning, info, debug"]

    def test_object_equal_to_a_level_is_kept_as_the_level(self) -> None:
        """An object that says it is one is not kept itself."""

        class Level(str):
            __slots__ = ()

            def __eq__(self, other: object) -> bool:
                return other == "error"

            __hash__ = str.__hash__

        def run() -> Any:
            level: Any = Level("nonsense")
            set_level(level)
            return level_or("info")

        assert type(in_new_context(run)) is str


class TestNewScope:
    """What is set inside is forgotten behind it."""

    @promise(Section.CONTEXT, "What a scope set is forgotten after it", broken_by="the scope not reset")
    def test_scope_restores_everything(self) -> None:
        """Breadcrumbs too; and inside everything from outside is there."""

        def run() -> Any:
            set_user("ann")
            set_tag("app", "shop")
            add_breadcrumb("before")
            before = current(), crumbs()
            with contextlib.suppress(KeyError), new_scope():
                inside = current(), crumbs()
                set_user("bob")
                set_tags({"app": None, "queue": "mail"})
                set_extra("a", 1)
                set_context("a", {"b": 1})
                set_fingerprint(["a"])
                set_transaction("a")
                set_level("debug")
                add_breadcrumb("inside")
                assert crumbs() == ["before", "inside"]
                with new_scope():
                    set_user("carol")
                assert current().user == {"id": "bob"}
                raise KeyError
            return before, inside, (current(), crumbs()), level_or("info")

        before, inside, after, level = in_new_context(run)
        assert before == inside == after
        assert level == "info"

    @promise(
        Section.CONTEXT,
        "A scope that is left in another context changes nothing there",
        broken_by="the previous values set, wherever it is left",
    )
    def test_scope_left_in_another_context_changes_nothing_there(self) -> None:
        """The values of the context where it was entered do not appear there."""
        scope = new_scope()

        def enter() -> None:
            set_user("ann")
            scope.__enter__()

        def leave() -> Any:
            set_user("bob")
            scope.__exit__(None, None, None)
            return current().user

        in_new_context(enter)
        assert in_new_context(leave) == {"id": "bob"}

    def test_scope_is_not_in_the_traceback(self) -> None:
        """The frames of an event are the program's."""
        try:
            with new_scope():
                raise KeyError
        except KeyError as error:
            assert error.__traceback__ is not None
            assert error.__traceback__.tb_next is None


def test_calls_work_before_init_and_log_waiting_notes(caplog: pytest.LogCaptureFixture) -> None:
    """Once, as each call that the user makes on purpose; but a breadcrumb may come from a logging handler."""
    diagnostics.note("disk", "full")
    in_new_context(lambda: add_breadcrumb("hello"))
    assert caplog.messages == []
    in_new_context(lambda: set_extra("a", 1))
    in_new_context(lambda: set_extra("a", 1))
    assert caplog.messages == ["full"]
