"""What a thread, task, greenlet or forked child starts with, and that what it sets is its own."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import json
import os
import sys
import threading
from typing import Any

import pytest

from lastword.scope.breadcrumbs import add_breadcrumb
from lastword.scope.context import (
    current,
    set_tag,
    set_user,
)
from tests.support import needs
from tests.support.scopes import crumbs, in_new_context


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


def test_tasks_start_with_their_creators_context_and_change_only_theirs() -> None:
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
    assert after[:2] == outer
    assert [(inherited[:2], own[:2]) for inherited, own in results] == [
        (outer, ({"id": name}, {"app": "shop", "task": name})) for name in ("a", "b")
    ]


def test_threads_start_empty_unless_in_a_copied_context() -> None:
    """As context variables do, in a process that does not have its threads inherit."""

    def main() -> Any:
        set_user("ann")
        add_breadcrumb("before")
        seen: list[Any] = []

        def look() -> None:
            seen.append((current().user, crumbs()))

        for run in (contextvars.Context().run, contextvars.copy_context().run):
            thread = threading.Thread(target=run, args=(look,))
            thread.start()
            thread.join(timeout=30)
        return seen

    assert in_new_context(main) == [(None, []), ({"id": "ann"}, ["before"])]


@pytest.mark.skipif(getattr(sys.flags, "thread_inherit_context", False), reason="here threads inherit")
def test_a_plain_thread_starts_with_nothing() -> None:
    """The rule that users meet."""

    def main() -> Any:
        set_user("ann")
        seen: list[Any] = []
        thread = threading.Thread(target=lambda: seen.append(current().user))
        thread.start()
        thread.join(timeout=30)
        return seen

    assert in_new_context(main) == [None]


def test_forked_child_starts_with_its_parents_context() -> None:
    """What the child sets does not reach the parent."""

    def main() -> Any:
        set_user("parent")
        add_breadcrumb("before")
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            inherited = current().user, crumbs()
            set_user("child")
            add_breadcrumb("in the child")
            os.write(writing, json.dumps([inherited, (current().user, crumbs())]).encode())
            os._exit(0)
        os.waitpid(pid, 0)
        child = json.loads(os.read(reading, 10_000))
        os.close(reading)
        os.close(writing)
        return child, (current().user, crumbs())

    child, parent = in_new_context(main)
    assert child == [[{"id": "parent"}, ["before"]], [{"id": "child"}, ["before", "in the child"]]]
    assert parent == ({"id": "parent"}, ["before"])


@needs.capability(sys.implementation.name == "cpython", "gevent")
@needs.installed("gevent")
def test_greenlets_have_their_own_context() -> None:
    """They start empty as threads do, or with a copy as tasks do: gevent decides."""
    gevent = importlib.import_module("gevent")  # it has no types

    def request(name: str) -> Any:
        inherited = crumbs()
        set_user(name)
        add_breadcrumb(name)
        gevent.sleep(0)
        return inherited, current().user, crumbs()

    def main() -> Any:
        add_breadcrumb("before")
        greenlets = [gevent.spawn(request, name) for name in ("a", "b")]
        gevent.joinall(greenlets, timeout=30)
        return [greenlet.value for greenlet in greenlets], current().user, crumbs()

    results, user, after = in_new_context(main)
    assert (user, after) == (None, ["before"])
    for name, (inherited, own_user, own) in zip("ab", results):
        assert inherited in ([], ["before"])
        assert own_user == {"id": name}
        assert own == [*inherited, name]
