"""Each way to report: all fail in a call of ``fail``, and have rows of their own. ``all``: with every option."""

from __future__ import annotations

import asyncio
import builtins
import logging
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import lastword
from lastword.integrations.asgi import ReportingMiddleware
from lastword.integrations.child_processes import _Reporting
from tests.programs.kept_alive import fail, form, references, rows, try_forms

log = logging.getLogger("shop")


@form
def logged() -> None:
    used = rows()
    try:
        fail(used)
    except ValueError as error:
        log.error("%s", error, exc_info=True)


@form
def logged_with_itself() -> None:
    used = rows()
    try:
        fail(used)
    except ValueError as error:
        log.info("not an event", exc_info=error)
        log.critical("%s", used, exc_info=error)


@form
def captured() -> None:
    used = rows()
    try:
        fail(used)
    except ValueError as error:
        lastword.capture_exception(error)


@form
def captured_by_the_tuple() -> None:
    used = rows()
    try:
        fail(used)
    except ValueError:
        lastword.capture_exception(sys.exc_info())


@form
def never_raised() -> None:
    used = rows()
    error = KeyError(used)
    lastword.capture_exception(error)


@form
def chained() -> None:
    used = rows()
    try:
        try:
            fail(used)
        except ValueError as first:
            raise KeyError("second") from first
    except KeyError as second:
        lastword.capture_exception(second)


@form
def members_of_a_group() -> None:
    used = rows()
    errors: list[BaseException] = []
    for _ in range(3):
        try:
            fail(used)
        except ValueError as error:
            errors.append(error)
    try:
        raise getattr(builtins, "ExceptionGroup", ValueError)("several", errors)
    except Exception:
        log.exception("several")
    finally:
        errors.clear()


@form
def caught_in_a_block() -> None:
    used = rows()
    try:
        with lastword.catch():
            fail(used)
    except ValueError:
        pass


@form
def caught_by_decorators() -> None:
    used = rows()

    @lastword.catch()
    def plain(taken: object) -> None:
        fail(taken)

    @lastword.catch()
    def generator(taken: object) -> Iterator[None]:
        yield fail(taken)

    @lastword.catch()
    async def coroutine(taken: object) -> None:
        fail(taken)

    async def main() -> None:  # what leaves asyncio.run, asyncio keeps alive
        try:
            await coroutine(rows())
        except ValueError:
            pass

    asyncio.run(main())
    calls: list[Any] = [lambda: plain(rows()), lambda: list(generator(rows()))]
    for call in calls:
        try:
            call()
        except ValueError:
            pass


@form
def by_the_excepthook() -> None:
    used = rows()
    try:
        fail(used)
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)


@form
def in_a_thread() -> None:
    def work() -> None:
        used = rows()
        try:
            fail(used)
        except ValueError as error:
            raise KeyError("second") from error

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@form
def in_a_finalizer() -> None:
    class Closing:
        def __del__(self) -> None:
            used = rows()
            try:
                fail(used)
            except ValueError:
                raise

    Closing()


@form
def in_a_task() -> None:
    async def work() -> None:
        used = rows()
        try:
            fail(used)
        except ValueError:
            log.exception("no")
        await asyncio.sleep(0)
        fail(used)

    async def main() -> None:
        task = asyncio.create_task(work())
        await asyncio.wait([task])
        del task

    asyncio.run(main())


@form
def in_a_suspended_generator() -> None:
    def work() -> Iterator[None]:
        used = rows()
        try:
            fail(used)
        except ValueError as error:
            lastword.capture_exception(error)
            yield

    next(work())


@form
def in_a_closure() -> None:
    used = rows()

    def work() -> object:
        own = rows()
        try:
            fail(used)
        except ValueError:
            log.exception("no")
        return own

    work()


@form
def deep() -> None:
    def work(depth: int) -> None:
        used = rows()
        if not depth:
            fail(used)
        work(depth - 1)

    try:
        work(300)
    except ValueError as error:
        lastword.capture_exception(error)


@form
def without_end() -> None:
    def work() -> None:
        used = rows()
        work()

    try:
        work()
    except RecursionError as error:
        lastword.capture_exception(error)


@form
def by_code_made_at_run_time() -> None:
    names: dict[str, Any] = {"fail": fail, "used": rows(), "__name__": rows()}
    exec("def made(): fail(used)", names)
    made = names.pop("made")
    references.append(weakref.ref(made.__code__))
    try:
        made()
    except ValueError:
        log.exception("no")


@form
def in_a_class() -> None:
    try:

        class Body:
            used = rows()
            fail(used)

    except ValueError:
        log.exception("no")


@form
def that_names_things() -> None:
    used: Any = rows()
    with lastword.new_scope():
        lastword.set_user({"id": used})
        lastword.set_tag("tag", used)
        lastword.set_extra("extra", [used])
        lastword.set_context("context", {"used": used})
        lastword.add_breadcrumb(used, data={"used": used})
        lastword.capture_message(used)


@form
def through_asgi() -> None:
    async def serve(scope: Any, receive: Any, send: Any) -> None:
        used = rows()
        fail(used)

    def begin(scope: Any, receive: Any, send: Any) -> None:
        used = rows()
        fail(used)

    async def main(application: Any) -> None:
        middleware: Any = ReportingMiddleware(application)
        try:
            await middleware({"type": "http", "path": "/", "headers": []}, None, None)
        except ValueError:
            pass

    asyncio.run(main(serve))
    asyncio.run(main(begin))


@form
def through_a_child() -> None:
    def work() -> None:
        used = rows()
        fail(used)

    try:
        _Reporting(work)()
    except ValueError:
        pass


@form
def with_a_dict_of_its_locals() -> None:
    def work() -> None:
        used = rows()
        given = locals()
        fail(given)

    try:
        work()
    except ValueError:
        log.exception("no")


if __name__ == "__main__":
    if "all" in sys.argv:
        try_forms(repr_of=("Rows",), before_send=lambda event: event, all_threads=True)
    else:
        try_forms()
