"""``catch``: a context manager and decorator that reports exceptions and lets them propagate."""

from __future__ import annotations

from collections.abc import Callable
from functools import partialmethod, wraps
from types import AsyncGeneratorType, CoroutineType, GeneratorType, TracebackType
from typing import Any, Optional, TypeVar

from lastword import diagnostics
from lastword.callables import ASYNC_GENERATOR, COROUTINE, GENERATOR, PLAIN, gives
from lastword.capture.safe_text import class_path, describe
from lastword.capture.source import is_own_file
from lastword.interruption import failures

Function = TypeVar("Function")
Report = Callable[[BaseException, Optional[TracebackType]], object]


class Catch:
    """Reports each ``Exception`` that leaves the block or the function, and lets it propagate.

    Other exceptions end something on purpose (SystemExit, KeyboardInterrupt, GeneratorExit, CancelledError) and are not
    reported. An instance has no state, so it may be used many times, nested, and by several threads.
    """

    def __init__(self, report: Report) -> None:
        self._report = report

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        if error is None or not issubclass(type(error), Exception):
            return
        try:
            self._report(error, _without_own_frames(traceback))
        except failures() as own:
            diagnostics.note("catch", f"an exception was not reported: {describe(own)}")

    def __call__(self, function: Function) -> Function:
        """Decorate a function, an ``async`` function, a generator of either kind, or another callable.

        Also decorates classmethod, staticmethod, property and partialmethod. Raises TypeError for other objects.
        """
        decorated: Any = self._around_descriptor(function)
        if decorated is None:
            found: Any = function
            if issubclass(type(found), type):
                raise TypeError(f"catch() cannot decorate the class {class_path(found)}: decorate the functions in it")
            if not callable(found):
                kind = class_path(type(found))
                raise TypeError(f"catch() cannot decorate a {kind}: decorate the functions in it")
            decorated = _AROUND[gives(function)](self, function)
        return decorated  # type: ignore[no-any-return]

    def _around_descriptor(self, found: Any) -> Any:
        """Decorate the functions in a known descriptor; return None for any other object."""
        kind = type(found)
        if kind is classmethod or kind is staticmethod:
            return kind(self(found.__func__))
        if kind is property:
            read, write, delete = [part and self(part) for part in (found.fget, found.fset, found.fdel)]
            return property(read, write, delete, found.__doc__)
        if kind is partialmethod:
            return partialmethod(self(found.func), *found.args, **found.keywords)
        return None

    def _around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def caught(*arguments: Any, **options: Any) -> Any:
            with self:
                returned = function(*arguments, **options)
            # A plain function or lambda that returns the object of a coroutine function or generator.
            around = _AROUND.get(type(returned))
            return returned if around is None else around(self, lambda: returned)()

        return caught

    def _around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        async def caught(*arguments: Any, **options: Any) -> Any:
            with self:
                return await function(*arguments, **options)

        return caught

    def _around_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def caught(*arguments: Any, **options: Any) -> Any:
            with self:
                return (yield from function(*arguments, **options))

        return caught

    def _around_async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        async def caught(*arguments: Any, **options: Any) -> Any:
            with self:
                inner = function(*arguments, **options)
                # Popped, so that this frame, which tracebacks refer to, holds no thrown exception and no sent value.
                steps = [inner.__anext__()]
                while True:
                    try:
                        values = [await steps.pop()]
                    except StopAsyncIteration:
                        return
                    try:
                        steps.append(inner.asend((yield values.pop())))
                    except GeneratorExit:
                        await inner.aclose()
                        raise
                    except BaseException as thrown:
                        steps.append(inner.athrow(thrown))

        return caught


#: By the kind of a function, and by the type of an object that a plain function has returned.
_AROUND: dict[object, Callable[[Catch, Any], Any]] = {
    PLAIN: Catch._around,
    **dict.fromkeys((COROUTINE, CoroutineType), Catch._around_coroutine),
    **dict.fromkeys((GENERATOR, GeneratorType), Catch._around_generator),
    **dict.fromkeys((ASYNC_GENERATOR, AsyncGeneratorType), Catch._around_async_generator),
}


def _without_own_frames(traceback: Optional[TracebackType]) -> Optional[TracebackType]:
    """Remove the decorators' frames, which are the outermost ones."""
    while traceback is not None and is_own_file(traceback.tb_frame.f_code.co_filename):
        traceback = traceback.tb_next
    return traceback
