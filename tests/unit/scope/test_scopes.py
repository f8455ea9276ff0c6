"""What was set in a scope counts until it is closed, wherever and in whatever order that happens."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from itertools import permutations
from typing import Any

import pytest

from lastword.integrations.reporting import WorkScope, current_work
from lastword.scope import breadcrumbs
from lastword.scope.breadcrumbs import add_breadcrumb
from lastword.scope.context import add_attachment, attachments, current, in_new_scope, new_scope, set_tag, set_user
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.CONTEXT,
    "A closed scope no longer counts, whatever the order, context or thread of closing",
    broken_by="not marked; only where it cannot be restored; taken for the innermost one; breadcrumbs "
    "not separated by scopes; a variable set during garbage collection",
)


def seen() -> tuple[Any, dict[str, str], list[str], int]:
    """All that events would say of the work at hand."""
    said = current()
    return said.user, said.tags, [crumb["message"] for crumb in breadcrumbs.current()], len(attachments())


def begin(name: str) -> None:
    set_user(name)
    set_tag("work", name)
    add_breadcrumb(name)
    add_attachment(data=name)


#: While garbage is collected: see ``lastword.nesting``.
SETTING_CRASHES = sys.implementation.name == "cpython" and sys.version_info < (3, 12)

CONSUMER = ({"id": "consumer"}, {"work": "consumer"}, ["consumer"], 1)


@pytest.fixture
def consumer() -> Iterator[None]:
    with new_scope():
        begin("consumer")
        yield


@contextmanager
def work(name: str) -> Iterator[None]:
    with new_scope():
        begin(name)
        yield


def plain(name: str) -> Generator[None, None, None]:
    with work(name):
        yield


def closed_in_the_order_of_their_making() -> None:
    first, second = plain("first"), plain("second")
    next(first)
    next(second)
    first.close()
    assert current().user == {"id": "second"}
    second.close()


def closed_by_a_copy_of_this_context() -> None:
    abandoned = plain("a generator's")
    next(abandoned)
    copy_context().run(abandoned.close)


def closed_by_another_thread() -> None:
    stack = ExitStack()
    stack.enter_context(work("a stack's"))
    thread = threading.Thread(target=stack.close)
    thread.start()
    thread.join()


def closed_while_garbage_is_collected() -> None:
    held: list[Any] = [plain("a generator's")]
    held.append(held)
    next(held[0])
    del held
    breadcrumbs.watch_collections()
    try:
        gc.collect()
    finally:
        breadcrumbs.unwatch_collections()
    if SETTING_CRASHES:
        block = breadcrumbs.trail.get()[0]
        assert block is not None
        assert block.is_closed  # marked, and nothing set


def closed_in_a_framework() -> None:
    scope = WorkScope()
    scope.__enter__()
    begin("a request's")
    copy_context().run(scope.__exit__)


WAYS = [
    closed_in_the_order_of_their_making,
    closed_by_a_copy_of_this_context,
    closed_by_another_thread,
    closed_while_garbage_is_collected,
    closed_in_a_framework,
]


@pytest.mark.usefixtures("consumer")
@pytest.mark.parametrize("way", WAYS)
def test_a_closed_scope_is_forgotten(way: Callable[[], None]) -> None:
    """By the context in which it was entered, too; and what is set there from then on counts."""
    way()
    assert seen() == CONSUMER
    assert current_work() is None
    set_tag("later", "yes")
    add_breadcrumb("later")
    assert seen() == ({"id": "consumer"}, {"work": "consumer", "later": "yes"}, ["consumer", "later"], 1)


def test_scope_in_an_abandoned_async_generator_no_longer_counts() -> None:
    async def rows() -> AsyncGenerator[int, None]:
        with work("the generator's"):
            for number in range(3):
                yield number

    async def consume() -> Any:
        begin("consumer")
        generator = rows()
        async for _ in generator:
            break
        open_one = seen()
        del generator  # asyncio closes it, in a task of its own
        gc.collect()
        for _ in range(5):
            await asyncio.sleep(0)
        return open_one, seen()

    open_one, after = asyncio.run(consume())
    assert open_one[0] == {"id": "the generator's"}
    assert after == CONSUMER


@pytest.mark.usefixtures("consumer")
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_innermost_open_scope_counts(order: tuple[int, ...]) -> None:
    scopes = [new_scope() for _ in order]
    for number, scope in enumerate(scopes):
        scope.__enter__()
        begin(str(number))
    left = [0, 1, 2]
    for number in order:
        scopes[number].__exit__(None, None, None)
        left.remove(number)
        names = ["consumer", *(str(one) for one in range(left[-1] + 1))] if left else ["consumer"]
        assert seen() == ({"id": names[-1]}, {"work": names[-1]}, names, len(names))
    assert in_new_scope()  # the consumer's


@pytest.mark.usefixtures("consumer")
def test_scope_entered_in_a_copied_context_no_longer_counts() -> None:
    context = copy_context()
    scope = new_scope()
    context.run(scope.__enter__)
    context.run(begin, "request")
    assert seen() == CONSUMER
    scope.__exit__(None, None, None)
    assert context.run(seen) == seen() == CONSUMER


@pytest.mark.usefixtures("consumer")
def test_closed_scope_does_not_count_in_a_context_the_consumer_copied() -> None:
    """Such as that of a task which the consumer has started meanwhile."""
    generator = plain("the generator's")
    next(generator)
    context = copy_context()
    assert context.run(seen)[0] == {"id": "the generator's"}
    generator.close()
    assert context.run(seen) == seen() == CONSUMER


@promise(
    Section.CONTEXT,
    "A task that was started in a scope keeps that scope's values",
    broken_by="marked also where it is closed in order",
)
def test_task_keeps_the_scope_in_which_it_was_started() -> None:
    """Its work was begun inside, and may fail after the scope is closed."""

    async def audit(over: asyncio.Event) -> Any:
        await over.wait()
        return seen()

    async def main() -> Any:
        over = asyncio.Event()
        with work("request"):
            first = asyncio.create_task(audit(over))
        with ExitStack() as stack:
            stack.enter_context(work("request"))
            second = asyncio.create_task(audit(over))
        with new_scope():
            begin("request")
            third = asyncio.create_task(audit(over))
        over.set()
        return await first, await second, await third, seen()

    *inside, outside = asyncio.run(main())
    assert inside == [({"id": "request"}, {"work": "request"}, ["request"], 1)] * 3
    assert outside[0] is None


@pytest.mark.usefixtures("consumer")
def test_one_scope_object_works_for_several_blocks() -> None:
    scope = new_scope()
    with scope:
        begin("first")
        with scope:
            begin("second")
        assert current().user == {"id": "first"}
    with scope:
        assert seen() == CONSUMER
        begin("third")
    assert seen() == CONSUMER
