"""One exception is known again as long as it travels on, and nothing else is."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest

from lastword.capture import reported
from lastword.capture.reported import event_of, mark
from tests.support import needs


class OwnError(Exception):
    """Of the application."""


class StrictError(Exception):
    """Wants no attribute that it does not know."""

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(name)


class SlottedError(Exception):
    __slots__ = ("code",)


class LyingError(Exception):
    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("application code that raises")


ERRORS = [
    ValueError("x"),
    OSError(2, "x"),
    KeyboardInterrupt(),
    OwnError("x"),
    StrictError("x"),
    SlottedError("x"),
    LyingError("x"),
]


@pytest.fixture(autouse=True)
def _no_marks() -> None:
    reported._marks.clear()


def raised(error: BaseException) -> BaseException:
    with suppress(BaseException):
        raise error
    return error


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_marked_exception_is_known(error: BaseException) -> None:
    """With its event, and the latest mark counts."""
    raised(error)
    assert event_of(error, "logging") is None
    mark(error, "logging", "1")
    assert event_of(error, "catch") == ("logging", "1")
    mark(error, "capture_exception", "2")
    assert event_of(error, "catch") == ("capture_exception", "2")


@pytest.mark.parametrize("kind", [ValueError, OwnError, SlottedError])
def test_another_exception_at_its_address_is_not_taken_for_it(kind: type[Exception]) -> None:
    """Python gives the address of what is gone to the next one: a loop that fails would be heard once."""
    for _ in range(1000):
        error = kind("x")
        with suppress(kind):
            raise error
        assert event_of(error, "catch") is None
        mark(error, "logging", "id")
        del error


@needs.capability(sys.implementation.name == "cpython", "reference counts, by which what nobody holds goes at once")
@pytest.mark.parametrize("kind", [ValueError, OwnError, SlottedError])
def test_nothing_is_kept_alive_and_nothing_put_into_it(kind: type[Exception]) -> None:
    """Neither the exception, nor what it or its frames hold; nor does the table grow."""

    class Held:
        pass

    def fail(held: Any) -> None:
        raise kind("x")

    gc.disable()
    try:
        for has_attribute in (True, False):
            held = Held()
            gone = weakref.ref(held)
            try:
                fail(held)
            except kind as error:
                if has_attribute and kind is not SlottedError:
                    error.held = held  # type: ignore[attr-defined]
                names = list(reported.dict_of(error))
                mark(error, "logging", "id")
                assert list(reported.dict_of(error)) == names
            del held
            assert gone() is None
        for _ in range(3 * reported.MAX_HELD):
            mark(kind("x"), "logging", "id")
        assert len(reported._marks) <= 2
    finally:
        gc.enable()


def test_many_that_live_at_once_are_bounded() -> None:
    """The oldest are forgotten: at worst they are reported once more."""
    errors = [raised(ValueError(number)) for number in range(2 * reported.MAX_HELD)]
    for error in errors:
        mark(error, "logging", "id")
    assert event_of(errors[0], "catch") is None
    assert event_of(errors[-1], "catch") is not None
    assert len(reported._marks) <= reported.MAX_HELD + 1


@pytest.mark.parametrize("error", [ValueError("x"), OwnError("x"), StrictError("x"), SlottedError("x")], ids=repr)
def test_a_marked_exception_can_be_sent_to_another_process(error: Exception) -> None:
    """As before it was marked: there is nothing of ours in it."""
    mark(error, "logging", "id")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(other), other.args) == (type(error), error.args)
    assert b"lastword" not in pickle.dumps(error).replace(b"tests.unit", b"")


def test_a_mark_of_another_process_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child reports for itself."""
    for error in (raised(ValueError()), raised(OwnError())):
        mark(error, "logging", "id")
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: 1)
            assert event_of(error, "catch") is None
        assert event_of(error, "catch") is not None


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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", TRAVELS_ON, ids=lambda way: way.__name__)
def test_an_exception_that_travels_on_is_reported_once(way: Any, kind: type[Exception]) -> None:
    """By whatever way it comes to the second one who would report it."""
    assert reports_made(way, kind("x")) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", RAISED_ANEW, ids=lambda way: way.__name__)
def test_the_same_object_raised_anew_is_reported_anew(way: Any, kind: type[Exception]) -> None:
    """It is another failure, perhaps of another user's request."""
    assert reports_made(way, kind("x")) == 2


def test_reported_in_one_handler_by_two() -> None:
    """Who asks and where it stands then is no new raise: a framework's hook, and the log record after it."""
    error = raised(ValueError("x"))
    mark(error, "django", "id")
    assert event_of(error, "logging") == ("django", "id")
