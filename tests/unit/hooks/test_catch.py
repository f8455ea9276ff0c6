"""``catch``: reports what passes through, changes nothing of what the program does."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import functools
import gc
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from types import TracebackType, coroutine
from typing import Any, Optional

import pytest

from lastword import diagnostics
from lastword.capture.source import is_own_file
from lastword.hooks.catch import Catch
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.FAILURES,
    "`catch` reports and changes nothing",
    broken_by="coroutine or generator as a function, of either kind; every BaseException; our frames "
    "shown; partials and `__call__` not looked through; a descriptor called; the thrown "
    "exception kept in a variable; a generator returned by a plain function left alone",
)


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


def test_exception_of_a_block_is_reported_and_raised_on() -> None:
    """The same exception, and what comes after is not reached."""
    reports, error = Reports(), ValueError("x")
    with pytest.raises(ValueError, match="x") as raised, Catch(reports):
        fail(error)
    assert raised.value is error
    assert reports.seen == [error]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_exceptions_that_are_no_errors_are_not_reported(kind: type[BaseException]) -> None:
    """SystemExit and others that are no Exception."""
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
    """Sent, thrown and returned values go through."""
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


def test_decorator_works_beneath_contextmanager() -> None:
    """Which relies on throw()."""
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


def test_an_async_generator_is_decorated() -> None:
    """Sent and thrown values go through, and closing it closes the inner one."""
    reports, closed = Reports(), []

    @Catch(reports)
    async def echo(fails: bool = False) -> AsyncGenerator[Any, Any]:
        try:
            received = yield "first"
            try:
                yield received
            except KeyError:
                yield "thrown"
            if fails:
                raise ValueError("x")
        finally:
            closed.append(True)

    async def use() -> None:
        assert inspect.isasyncgenfunction(echo)
        generator = echo()
        assert [await generator.__anext__(), await generator.asend("sent"), await generator.athrow(KeyError())] == [
            "first",
            "sent",
            "thrown",
        ]
        assert [item async for item in generator] == []
        generator = echo()
        await generator.__anext__()
        await generator.aclose()
        assert (reports.seen, closed) == ([], [True, True])
        with pytest.raises(ValueError, match="x"):
            assert [item async for item in echo(True)] == []
        assert reports.functions == ["echo"]

    asyncio.run(use())


def test_decorator_works_beneath_asynccontextmanager() -> None:
    """Which relies on athrow()."""
    reports = Reports()

    @contextlib.asynccontextmanager
    @Catch(reports)
    async def resource() -> AsyncIterator[int]:
        with contextlib.suppress(KeyError):
            yield 1

    async def use(error: BaseException) -> None:
        async with resource():
            raise error

    asyncio.run(use(KeyError()))
    assert reports.seen == []
    with pytest.raises(ValueError, match="x"):
        asyncio.run(use(ValueError("x")))
    assert [type(error) for error in reports.seen] == [ValueError]


def test_no_frame_of_the_decorator_keeps_the_thrown_exception() -> None:
    """Tracebacks lead to it: a cycle would keep all that was alive then."""

    @Catch(Reports())
    async def echo() -> AsyncGenerator[Any, Any]:
        yield "first"

    async def use() -> int:
        generator, thrown = echo(), LookupError("x")
        await generator.__anext__()
        with pytest.raises(LookupError):
            await generator.athrow(thrown)
        seen, traceback = 0, thrown.__traceback__
        while traceback is not None:
            if is_own_file(traceback.tb_frame.f_code.co_filename):
                seen += 1
                for held in traceback.tb_frame.f_locals.values():
                    assert thrown not in [held, *gc.get_referents(held)]
            traceback = traceback.tb_next
        return seen

    assert asyncio.run(use())


def test_classmethods_staticmethods_and_properties_are_decorated() -> None:
    """The result has the same kind, and stays abstract if it was."""
    reports = Reports()
    catch = Catch(reports)

    class Shop:
        @catch
        @classmethod
        def opened(cls, fails: bool = False) -> str:
            return cls.__name__ if not fails else fail(ValueError("x"))  # type: ignore[return-value, func-returns-value]

        @catch
        @staticmethod
        def price(amount: int) -> int:
            return 1 // amount

        @catch  # type: ignore[prop-decorator]
        @property
        def name(self) -> str:
            """What it is called."""
            return "corner" if self else ""

        @catch  # type: ignore[prop-decorator]
        @property
        @abc.abstractmethod
        def owner(self) -> int:
            return 1 // 0

        @owner.setter
        def owner(self, owner: int) -> None:
            raise LookupError(owner)

        half = catch(functools.partialmethod(lambda self, amount: 1 // amount, 0))

    shop = Shop()  # type: ignore[abstract]
    assert (Shop.opened(), shop.opened(), Shop.price(1), shop.name) == ("Shop", "Shop", 1, "corner")
    assert isinstance(vars(Shop)["name"], property)
    assert (Shop.name.__doc__, Shop.owner.__isabstractmethod__) == ("What it is called.", True)  # type: ignore[attr-defined]
    for use in (lambda: Shop.opened(True), lambda: shop.price(0), lambda: shop.owner, shop.half):
        with pytest.raises((ValueError, ZeroDivisionError)):
            use()
    assert len(reports.seen) == 4


async def later(amount: int) -> float:
    await asyncio.sleep(0)
    return 1 / amount


async def numbers(amount: int) -> AsyncIterator[float]:
    yield 1 / amount


class Later:
    async def __call__(self, amount: int) -> float:
        return 1 / amount


class Numbers:
    def __call__(self, amount: int) -> AsyncIterator[float]:
        return self.of(amount)

    async def of(self, amount: int) -> AsyncIterator[float]:
        yield 1 / amount


@functools.wraps(later)
def passed_on(*arguments: Any) -> Any:
    return later(*arguments)


@pytest.mark.parametrize(
    "function",
    [
        functools.partial(later),
        functools.partial(functools.partial(later, 0)),
        Later(),
        Later().__call__,
        lambda amount: later(amount),
        passed_on,
        functools.lru_cache(later),
        coroutine(lambda amount: (yield from later(amount).__await__())),  # type: ignore[arg-type, return-value]
    ],
)
def test_callable_that_returns_a_coroutine_is_decorated(function: Any) -> None:
    """A failure is reported when the coroutine fails, not at the call."""
    reports = Reports()
    arguments = () if getattr(function, "args", ()) else (0,)
    caught = Catch(reports)(function)(*arguments)
    assert inspect.isawaitable(caught)
    assert reports.seen == []

    async def use() -> None:
        await caught

    with pytest.raises(ZeroDivisionError):
        asyncio.run(use())
    assert [type(error) for error in reports.seen] == [ZeroDivisionError]
    if not getattr(function, "args", ()):
        assert asyncio.run(_awaited(Catch(reports)(function)(1))) == 1


async def _awaited(given: Any) -> Any:
    return await given


@pytest.mark.parametrize("function", [numbers, functools.partial(numbers), Numbers().of, lambda last: numbers(last)])
def test_callable_that_returns_an_async_generator_is_decorated(function: Any) -> None:
    """Through partials and methods, and from a plain function."""
    reports = Reports()

    async def use() -> None:
        assert [item async for item in Catch(reports)(function)(1)] == [1]
        with pytest.raises(ZeroDivisionError):
            assert [item async for item in Catch(reports)(function)(0)] == []

    asyncio.run(use())
    assert len(reports.seen) == 1


def test_a_plain_function_that_gives_a_generator_is_decorated() -> None:
    """Such as another decorator puts around a generator function."""
    reports = Reports()

    def quotients(amount: int) -> Iterator[float]:
        yield 1 / amount

    def passed_on(amount: int) -> Iterator[float]:
        return quotients(amount)

    around = Catch(reports)(passed_on)
    assert list(around(1)) == [1.0]
    generator = around(0)
    assert reports.seen == []
    with pytest.raises(ZeroDivisionError):
        next(generator)
    assert [type(error) for error in reports.seen] == [ZeroDivisionError]


@pytest.mark.parametrize(
    ("given", "told"),
    [(7, "a int"), (Later, "the class"), (functools.cached_property(later), "cached_property"), (None, "NoneType")],
)
def test_class_cannot_be_decorated(given: Any, told: str) -> None:
    """A class would no longer be one."""
    with pytest.raises(TypeError, match=f"catch.. cannot decorate .*{told}"):
        Catch(Reports())(given)


def test_any_callable_is_decorated() -> None:
    """Even without code or a name."""
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
    assert any("RuntimeError" in note for note in diagnostics.waiting())
    diagnostics.withdraw("catch")
