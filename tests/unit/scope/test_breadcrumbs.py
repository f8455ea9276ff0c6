"""Breadcrumbs: the last ones of a context, bounded, and nobody else's."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from lastword.admission import BeforeSend
from lastword.assembly import message_event
from lastword.capture import CaptureSettings
from lastword.event import Breadcrumb, Event
from lastword.event_json import own_copy
from lastword.scope import breadcrumbs
from lastword.scope.breadcrumbs import MAX_BREADCRUMBS, MAX_DATA, MAX_MESSAGE, MAX_TRAIL, add_breadcrumb, current
from tests.support import needs


def trail_after(*calls: Callable[[], Any]) -> list[Breadcrumb]:
    def run() -> list[Breadcrumb]:
        for call in calls:
            call()
        return [*current()]

    return contextvars.Context().run(run)


def messages() -> list[str]:
    return [crumb["message"] for crumb in current()]


def test_breadcrumb_has_its_fields_and_time() -> None:
    """With all fields, and with the fewest."""
    before = time.time()
    trail = trail_after(
        lambda: add_breadcrumb(
            "GET /", category="requests", level="warning", data={"status": 503, "tries": [1, 2]}, type="http"
        ),
        lambda: add_breadcrumb(),
    )
    assert before <= trail[0]["timestamp"] <= trail[1]["timestamp"] <= time.time()
    full, bare = ({name: value for name, value in crumb.items() if name != "timestamp"} for crumb in trail)
    assert full == {
        "type": "http",
        "category": "requests",
        "level": "warning",
        "message": "GET /",
        "data": {"status": 503, "tries": [1, 2]},
    }
    assert bare == {"type": "default", "category": "", "level": "info", "message": "", "data": {}}


def test_the_last_hundred_are_kept() -> None:
    """In the order in which they happened."""
    trail = trail_after(*[lambda number=number: add_breadcrumb(number) for number in range(250)])
    assert [crumb["message"] for crumb in trail] == [str(number) for number in range(250 - MAX_BREADCRUMBS, 250)]


@pytest.mark.parametrize("text", ["x" * 5000, "\U0001f4a5" * 5000, "\x00" * 5000, '"' * 5000, "\ud800" * 5000])
def test_an_event_has_as_many_as_there_is_room_for(text: str) -> None:
    """The newest; in characters of JSON, whatever the text."""
    one = lambda: add_breadcrumb(text, category=text, data={"text": text, "more": [text] * 10}, type=text)  # noqa: E731
    trail = trail_after(*[one] * MAX_BREADCRUMBS, lambda: add_breadcrumb("newest"))
    assert trail[-1]["message"] == "newest"
    assert 3 < len(trail) < MAX_BREADCRUMBS
    assert len(trail[0]["message"]) <= MAX_MESSAGE
    assert len(json.dumps(trail[0]["data"], separators=(",", ":"))) <= MAX_DATA
    assert len(json.dumps(trail, separators=(",", ":"))) <= MAX_TRAIL


def test_an_unknown_level_is_info() -> None:
    """As with messages."""
    level: Any = "catastrophe"
    assert trail_after(lambda: add_breadcrumb("a", level=level))[0]["level"] == "info"


def test_a_breadcrumb_that_cannot_be_read_costs_no_other() -> None:
    """It is left out."""
    data: Any = 7
    trail = trail_after(lambda: add_breadcrumb("a"), lambda: add_breadcrumb("b", data=data))
    assert [crumb["message"] for crumb in trail] == ["a"]


def test_breadcrumbs_of_an_event_are_a_copy(settings: CaptureSettings) -> None:
    """A hook that changes the breadcrumbs of one event changes no other's."""

    def spoil(event: Event) -> Event:
        for crumb in event["breadcrumbs"]:
            crumb["message"] = "spoilt"
            crumb["data"]["rows"].append(2)
        return event

    def run() -> Event:
        add_breadcrumb("a", data={"rows": [1]})
        BeforeSend(spoil).apply(own_copy(message_event("one", level=None, settings=settings)))
        return message_event("two", level=None, settings=settings)

    [crumb] = contextvars.Context().run(run)["breadcrumbs"]
    assert (crumb["message"], crumb["data"]) == ("a", {"rows": [1]})


@pytest.mark.parametrize(
    "remove",
    [
        lambda event: event.pop("breadcrumbs") and event,
        lambda event: {**event, "breadcrumbs": None},
        lambda event: event["breadcrumbs"].clear() or event,
    ],
)
def test_hook_may_remove_breadcrumbs(remove: Callable[[Any], Any], settings: CaptureSettings) -> None:
    """In each of the ways in which a hook removes something."""

    def run() -> Event:
        add_breadcrumb("a")
        return message_event("one", level=None, settings=settings)

    kept = BeforeSend(remove).apply(own_copy(contextvars.Context().run(run)))
    assert kept is not None
    assert kept["breadcrumbs"] == []


def test_tasks_do_not_see_each_others_breadcrumbs() -> None:
    """Each starts with those of its creator."""

    async def request(name: str) -> list[str]:
        for number in range(3):
            add_breadcrumb(f"{name}{number}")
            await asyncio.sleep(0)
        return messages()

    async def main() -> Any:
        add_breadcrumb("before")
        return await asyncio.gather(*(request(name) for name in "abc")), messages()

    results, after = contextvars.Context().run(lambda: asyncio.run(main()))
    assert after == ["before"]
    assert results == [["before", f"{name}0", f"{name}1", f"{name}2"] for name in "abc"]


def test_threads_in_copied_contexts_do_not_share_breadcrumbs() -> None:
    """They add to a shared full trail at the same time."""

    def work(name: int) -> None:
        for number in range(MAX_BREADCRUMBS // 2):
            add_breadcrumb(f"{name} {number}")
        seen[name] = messages()

    def main() -> None:
        for number in range(MAX_BREADCRUMBS):
            add_breadcrumb(f"before {number}")
        copies = [contextvars.copy_context() for _ in range(4)]
        threads = [threading.Thread(target=copy.run, args=(work, name)) for name, copy in enumerate(copies)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)

    seen: dict[int, list[str]] = {}
    contextvars.Context().run(main)
    half = MAX_BREADCRUMBS // 2
    before = [f"before {number}" for number in range(half, MAX_BREADCRUMBS)]
    assert seen == {name: before + [f"{name} {number}" for number in range(half)] for name in range(4)}


@needs.capability(hasattr(gc, "callbacks"), "gc.callbacks")
def test_a_finalizer_sets_nothing_while_garbage_is_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Python 3.12 that may happen within any ``ContextVar.set``, and the process would die of it."""
    monkeypatch.setattr(breadcrumbs, "_COLLECTS_ANYWHERE", True)

    class Cycle:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            add_breadcrumb("from a finalizer")

    def run() -> list[str]:
        add_breadcrumb("before")
        Cycle()
        gc.collect()
        add_breadcrumb("after")
        return messages()

    breadcrumbs.watch_collections()
    try:
        assert contextvars.Context().run(run) == ["before", "after"]
    finally:
        breadcrumbs.unwatch_collections()
    assert not any(watcher in gc.callbacks for watcher in breadcrumbs._WATCHERS)


@needs.capability(hasattr(gc, "callbacks"), "gc.callbacks")
def test_threads_that_collect_garbage_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """They change what a look at the phases reads, at any moment."""
    monkeypatch.setattr(breadcrumbs, "_COLLECTS_ANYWHERE", True)
    looks_are_over = threading.Event()

    def collect() -> None:
        while not looks_are_over.is_set():
            gc.collect(0)

    breadcrumbs.watch_collections()
    thread = threading.Thread(target=collect)
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        for _ in range(200_000):
            breadcrumbs.is_collecting()
    finally:
        looks_are_over.set()
        thread.join()
        sys.setswitchinterval(switching)
        breadcrumbs.unwatch_collections()
