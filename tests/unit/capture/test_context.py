"""User and tags: each context has its own, and nothing that is set can spoil an event."""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from lastword.capture import CaptureSettings, message_event
from lastword.capture.context import MAX_ITEMS, MAX_TAG, MAX_TAGS, MAX_USER, current, set_tag, set_user


def in_new_context(run: Callable[[], Any]) -> Any:
    """What ``run`` returns in a context in which nothing was set."""
    return contextvars.Context().run(run)


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
    assert in_new_context(current) == (None, {})


def test_events_carry_the_user_and_the_tags(settings: CaptureSettings) -> None:
    """As they are at the moment of the capture."""

    def run() -> Any:
        set_user({"id": "42"})
        set_tag("queue", "mail")
        return message_event("hello", level="info", settings=settings)

    event = in_new_context(run)
    assert (event["user"], event["tags"]) == ({"id": "42"}, {"queue": "mail"})


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
def test_what_is_kept_of_a_user_is_json(user: Any, kept: Any) -> None:
    """A mapping by its items, anything else as an id; objects as their text."""
    assert user_after(user) == kept


def test_a_user_that_cannot_be_read_is_none_rather_than_the_one_before() -> None:
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
    """One bad value does not cost the others."""

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


def test_threads_do_not_see_each_others_user() -> None:
    """Each request of a threaded server has its own."""
    seen: dict[str, Any] = {}
    all_set = threading.Barrier(4)

    def request(name: str) -> None:
        set_user(name)
        all_set.wait(timeout=30)
        seen[name] = current()[0]

    threads = [threading.Thread(target=request, args=(f"user{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert seen == {f"user{number}": {"id": f"user{number}"} for number in range(4)}


def test_tasks_start_with_the_context_of_their_creator_and_keep_changes_to_themselves() -> None:
    """As context variables do."""

    async def request(name: str) -> Any:
        inherited = current()
        set_user(name)
        set_tag("task", name)
        await asyncio.sleep(0)
        return inherited, current()

    async def main() -> Any:
        set_tag("app", "shop")
        results = await asyncio.gather(*(request(name) for name in ("a", "b")))
        return results, current()

    results, after = in_new_context(lambda: asyncio.run(main()))
    outer = (None, {"app": "shop"})
    assert after == outer
    assert results == [(outer, ({"id": name}, {"app": "shop", "task": name})) for name in ("a", "b")]
