"""``catch``: reports what passes through, changes nothing of what the program does."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Generator
from types import TracebackType
from typing import Any, Optional

import pytest

from lastword import diagnostics
from lastword.capture.catching import Catch


class Reports:
    def __init__(self) -> None:
        self.seen: list[BaseException] = []
        self.functions: list[str] = []

    def __call__(self, error: BaseException, traceback: Optional[TracebackType]) -> None:
        self.seen.append(error)
        while traceback is not None:
            self.functions.append(traceback.tb_frame.f_code.co_name)
            traceback = traceback.tb_next


def fail(error: BaseException) -> None:
    raise error


def test_what_leaves_a_block_is_reported_and_raised_on() -> None:
    """The same exception, and what comes after is not reached."""
    reports, error = Reports(), ValueError("x")
    with pytest.raises(ValueError, match="x") as raised, Catch(reports):
        fail(error)
    assert raised.value is error
    assert reports.seen == [error]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_what_ends_on_purpose_is_not_reported(kind: type[BaseException]) -> None:
    """It is no Exception, and none of anybody's errors."""
    reports = Reports()
    with pytest.raises(kind), Catch(reports):
        fail(kind())
    assert reports.seen == []


def test_a_function_is_decorated() -> None:
    """Its result, name and arguments stay; the frames of the decorator are not shown."""
    reports = Reports()

    @Catch(reports)
    def divide(a: int, b: int = 1) -> float:
        """Divides."""
        return a / b

    assert divide(4, b=2) == 2
    assert (divide.__name__, divide.__doc__) == ("divide", "Divides.")
    with pytest.raises(ZeroDivisionError):
        divide(1, 0)
    assert reports.functions == ["divide"]


def test_a_coroutine_function_is_decorated() -> None:
    """It stays one, and is reported when it fails, not when it is called."""
    reports = Reports()

    @Catch(reports)
    async def later(fails: bool) -> int:
        await asyncio.sleep(0)
        return 1 // (not fails)

    assert inspect.iscoroutinefunction(later)
    assert asyncio.run(later(False)) == 1
    coroutine = later(True)
    assert reports.seen == []
    with pytest.raises(ZeroDivisionError):
        asyncio.run(coroutine)
    assert reports.functions == ["later"]


def test_a_generator_is_decorated() -> None:
    """What is sent, thrown and returned goes through."""
    reports = Reports()

    @Catch(reports)
    def echo() -> Generator[Any, Any, str]:
        received = yield "first"
        try:
            yield received
        except KeyError:
            yield "thrown"
        return "returned"

    generator = echo()
    assert [next(generator), generator.send("sent"), generator.throw(KeyError())] == ["first", "sent", "thrown"]
    with pytest.raises(StopIteration) as stopped:
        next(generator)
    assert stopped.value.value == "returned"
    generator = echo()
    next(generator)
    generator.close()
    assert reports.seen == []
    generator = echo()
    next(generator)
    with pytest.raises(ValueError, match="x"):
        generator.throw(ValueError("x"))
    assert [type(error) for error in reports.seen] == [ValueError]


def test_it_works_beneath_other_decorators() -> None:
    """What makes a context manager of a generator relies on throw()."""
    reports = Reports()

    @contextlib.contextmanager
    @Catch(reports)
    def resource() -> Generator[int, None, None]:
        with contextlib.suppress(KeyError):
            yield 1

    with resource():
        fail(KeyError())
    with pytest.raises(ValueError, match="x"), resource():
        fail(ValueError("x"))
    assert [type(error) for error in reports.seen] == [ValueError]


def test_an_async_generator_stays_as_it_is_and_it_is_said() -> None:
    """Nothing that half works."""

    async def numbers() -> AsyncIterator[int]:
        yield 1

    assert Catch(Reports())(numbers) is numbers
    assert "numbers" in diagnostics._waiting.pop("catch")


def test_anything_that_can_be_called_is_decorated() -> None:
    """It need have neither code nor name."""
    reports = Reports()
    assert Catch(reports)(functools.partial(divmod, 5))(2) == (2, 1)
    with pytest.raises(ZeroDivisionError):
        Catch(reports)(functools.partial(divmod, 5))(0)
    assert len(reports.seen) == 1


def test_an_error_of_the_report_does_not_replace_the_exception() -> None:
    """The program sees its own."""

    def broken(*_: object) -> None:
        raise RuntimeError("ours")

    with pytest.raises(ValueError, match="the program's"), Catch(broken):
        raise ValueError("the program's")
    assert "RuntimeError" in diagnostics._waiting.pop("catch")
