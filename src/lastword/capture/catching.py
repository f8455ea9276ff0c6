"""``catch``: a context manager and a decorator that reports what passes through it, and lets it pass."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, Optional, TypeVar

from lastword import diagnostics
from lastword.capture.safe_text import clean, describe
from lastword.capture.source import is_own_file

Function = TypeVar("Function", bound=Callable[..., Any])
Report = Callable[[BaseException, Optional[TracebackType]], object]

# Flags of code objects, as ``inspect`` has them.
_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200


class Catch:
    """Reports each ``Exception`` that leaves the block or the function, and raises it on.

    What is no ``Exception`` ends something on purpose (SystemExit, KeyboardInterrupt, GeneratorExit, CancelledError)
    and is not reported. It has no state, so one may be used many times, nested, and by several threads.
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
        except Exception as own:
            diagnostics.note("catch", f"an exception was not reported: {describe(own)}")

    def __call__(self, function: Function) -> Function:
        """Decorate a function, an ``async`` one or a generator; an async generator is given back as it is."""
        code = getattr(function, "__code__", None)
        flags = getattr(code, "co_flags", 0)
        if flags & _ASYNC_GENERATOR:
            name = clean(str(getattr(function, "__qualname__", "?")), 200)
            diagnostics.note("catch", f"catch() does nothing for {name}, an async generator: use `with` in it")
            return function
        if flags & _COROUTINE:
            return self._around_coroutine(function)  # type: ignore[return-value]
        if flags & _GENERATOR:
            return self._around_generator(function)  # type: ignore[return-value]
        return self._around(function)  # type: ignore[return-value]

    def _around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def caught(*arguments: Any, **options: Any) -> Any:
            with self:
                return function(*arguments, **options)

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


def _without_own_frames(traceback: Optional[TracebackType]) -> Optional[TracebackType]:
    """The decorators' frames are the outermost ones."""
    while traceback is not None and is_own_file(traceback.tb_frame.f_code.co_filename):
        traceback = traceback.tb_next
    return traceback
