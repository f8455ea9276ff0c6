"""Of the ways in which one object comes to a reporter twice, which are reported twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest

from lastword.capture import reported
from lastword.capture.reported import event_of, mark
from tests.support.errors import OwnError, SlottedError, raised
from tests.support.promise import Section, promise


@pytest.fixture(autouse=True)
def _no_marks() -> None:
    reported._marks.clear()


# Ways in which one object comes to a reporter twice. Each is given a function that reports it.

Report = Callable[[BaseException], None]


def raise_and_report(error: BaseException, report: Report) -> None:
    try:
        raise error
    except BaseException as caught:
        report(caught)


def logged_and_raised_on(error: BaseException, report: Report) -> None:
    try:
        try:
            raise error
        except BaseException as caught:
            report(caught)
            raise
    except BaseException as caught:
        report(caught)


def logged_and_raised_by_name(error: BaseException, report: Report) -> None:
    def inner() -> None:
        try:
            raise error
        except BaseException as caught:
            report(caught)
            raise caught

    with suppress(BaseException):
        inner()
    report(error)


def logged_in_a_context_manager(error: BaseException, report: Report) -> None:
    @contextmanager
    def scope() -> Any:
        try:
            yield
        except BaseException as caught:
            report(caught)
            raise

    def work() -> None:
        with scope():
            raise error

    try:
        work()
    except BaseException as caught:
        report(caught)


def logged_in_a_task(error: BaseException, report: Report) -> None:
    async def work() -> None:
        try:
            raise error
        except BaseException as caught:
            report(caught)
            raise

    async def main() -> None:
        await asyncio.gather(work())

    try:
        asyncio.run(main())
    except BaseException as caught:
        report(caught)


def logged_in_an_async_context_manager(error: BaseException, report: Report) -> None:
    @asynccontextmanager
    async def scope() -> Any:
        try:
            yield
        except BaseException as caught:
            report(caught)
            raise

    async def work() -> None:
        async with scope():
            raise error

    try:
        asyncio.run(work())
    except BaseException as caught:
        report(caught)


def logged_by_a_worker_whose_result_is_asked_for(error: BaseException, report: Report) -> None:
    future: Future[None] = Future()

    def work() -> None:
        try:
            raise error
        except BaseException as caught:
            report(caught)
            raise

    try:
        work()
    except BaseException as caught:
        future.set_exception(caught)
    try:
        future.result()
    except BaseException as caught:
        report(caught)


TRAVELS_ON = [
    logged_and_raised_on,
    logged_and_raised_by_name,
    logged_in_a_context_manager,
    logged_in_a_task,
    logged_in_an_async_context_manager,
    logged_by_a_worker_whose_result_is_asked_for,
]


def constant_raised_by_two_calls(error: BaseException, report: Report) -> None:
    raise_and_report(error, report)
    raise_and_report(error, report)


def constant_raised_in_a_loop(error: BaseException, report: Report) -> None:
    for _ in range(2):
        try:
            raise error
        except BaseException as caught:  # noqa: PERF203 (the loop is what this is about)
            report(caught)


def constant_raised_by_a_call_in_a_handler(error: BaseException, report: Report) -> None:
    try:
        raise error
    except BaseException as caught:
        report(caught)
        raise_and_report(error, report)


def result_of_a_failed_future(error: BaseException, report: Report) -> None:
    future: Future[None] = Future()
    future.set_exception(error)
    for _ in range(2):
        try:
            future.result()
        except BaseException as caught:  # noqa: PERF203
            report(caught)


def failed_task_awaited_by_two(error: BaseException, report: Report) -> None:
    async def fail() -> None:
        raise error

    async def request(task: Any) -> None:
        try:
            await task
        except BaseException as caught:
            report(caught)

    async def main() -> None:
        task = asyncio.ensure_future(fail())
        await request(task)
        await request(task)

    asyncio.run(main())


def constant_without_its_traceback(error: BaseException, report: Report) -> None:
    raise_and_report(error, report)
    error.__traceback__ = None
    raise_and_report(error, report)


def constant_without_its_traceback_elsewhere(error: BaseException, report: Report) -> None:
    def elsewhere() -> None:
        unused = None
        try:
            raise error.with_traceback(unused)
        except BaseException as caught:
            report(caught)

    raise_and_report(error, report)
    error.__traceback__ = None  # whose address the next one gets
    elsewhere()


def constant_raised_by_two_threads_at_once(error: BaseException, report: Report) -> None:
    reported_once, seen_by_both = threading.Event(), threading.Event()

    def request() -> None:
        try:
            raise error
        except BaseException as caught:
            report(caught)
            reported_once.set()
            seen_by_both.wait(10)

    first = threading.Thread(target=request)
    first.start()
    reported_once.wait(10)
    raise_and_report(error, report)
    seen_by_both.set()
    first.join()


def never_raised_and_told_twice(error: BaseException, report: Report) -> None:
    report(error)
    report(error)


RAISED_ANEW = [
    constant_raised_by_two_calls,
    constant_raised_in_a_loop,
    constant_raised_by_a_call_in_a_handler,
    result_of_a_failed_future,
    failed_task_awaited_by_two,
    constant_without_its_traceback,
    constant_without_its_traceback_elsewhere,
    constant_raised_by_two_threads_at_once,
    never_raised_and_told_twice,
]


def reports_made(way: Callable[[BaseException, Report], None], error: BaseException) -> int:
    made = []

    def report(caught: BaseException) -> None:
        if event_of(caught, "logging") is None:
            made.append(caught)
            mark(caught, "logging", "id")

    way(error, report)
    return len(made)


KINDS = [RuntimeError, OwnError, SlottedError]


@promise(Section.FAILURES, "An exception that travels on is reported once", broken_by="always taken for raised anew")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", TRAVELS_ON, ids=lambda way: way.__name__)
def test_an_exception_that_travels_on_is_reported_once(way: Any, kind: type[Exception]) -> None:
    """In whatever way it reaches the second reporter."""
    assert reports_made(way, kind("x")) == 1


@promise(
    Section.FAILURES,
    "An exception object that is raised again is reported again",
    broken_by="the returned frame not checked; the running one, also of another thread; the same place; "
    "entries of tracebacks known by their address alone",
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", RAISED_ANEW, ids=lambda way: way.__name__)
def test_the_same_object_raised_anew_is_reported_anew(way: Any, kind: type[Exception]) -> None:
    """It is another failure, perhaps of another user's request."""
    assert reports_made(way, kind("x")) == 2


def test_two_reports_in_one_handler_are_one() -> None:
    """Another caller or another line is no new raise: a framework's hook, then the log record."""
    error = raised(ValueError("x"))
    mark(error, "django", "id")
    assert event_of(error, "logging") == ("django", "id")
