"""Failures that asyncio tells of late, while bob is served. Each says whose it is; each of ada's has her breadcrumb."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
from typing import Any

import lastword
import lastword.scope.breadcrumbs
from tests.support import prelude  # noqa: F401 - sets lastword up

logging.getLogger().addHandler(logging.NullHandler())
log = logging.getLogger("shop")


def begin(name: str) -> None:
    lastword.set_user({"id": name})
    lastword.set_tag("of", name)
    lastword.add_breadcrumb(name)


async def fails(whose: str) -> None:
    begin("ada")
    raise RuntimeError(whose)


async def waits() -> None:
    begin("ada")
    await asyncio.get_running_loop().create_future()


def divide() -> None:
    raise RuntimeError("ada: a callback's")


async def starts_callbacks() -> None:
    begin("ada")
    loop = asyncio.get_running_loop()
    loop.call_soon(divide)
    loop.call_later(0.001, divide)
    asyncio.create_task(audits())  # noqa: RUF006 - as in programs


async def audits() -> None:
    raise RuntimeError("ada: of her request, in a task of its own")


class PythonTask(asyncio.tasks._PyTask):  # type: ignore[name-defined,misc]
    pass


class OwnTask(asyncio.Task):  # type: ignore[type-arg]
    pass


async def serve_bob() -> None:
    begin("bob")
    loop = asyncio.get_running_loop()
    makers: list[Any] = [asyncio.create_task, lambda work: PythonTask(work, loop=loop)]
    for make in (*makers, lambda work: OwnTask(work, loop=loop)):
        # in contexts of their own, for tasks start with a copy of that of their creator
        task = contextvars.Context().run(make, fails("ada: a task's"))
        await asyncio.sleep(0.002)
        del task
    task = contextvars.Context().run(asyncio.create_task, fails("ada: seen by its callback"))
    task.add_done_callback(lambda task: None)
    await asyncio.sleep(0.002)
    del task
    contextvars.Context().run(asyncio.create_task, starts_callbacks())
    await asyncio.sleep(0.01)
    task = contextvars.Context().run(asyncio.create_task, waits())
    task.add_done_callback(lambda task: None)
    await asyncio.sleep(0.002)
    del task
    gc.collect()
    future = loop.create_future()
    future.set_exception(RuntimeError("nobody: a future's"))
    del future
    loop.call_exception_handler({"message": "from a transport", "exception": RuntimeError("nobody: a transport's")})
    try:
        raise RuntimeError("nobody: of a loop that is not Python's")
    except RuntimeError:
        logging.getLogger("asyncio").exception("told by C")
    try:
        raise RuntimeError("bob: his own")
    except RuntimeError:
        log.exception("his own")
    own = [crumb["message"] for crumb in lastword.scope.breadcrumbs.current()]
    assert own == ["bob", "his own"], own


async def serve_in_a_shared_context() -> None:
    loop = asyncio.get_running_loop()
    shared = contextvars.Context()
    shared.run(begin, "ada")
    told = {"message": "in it", "exception": RuntimeError("ada: told in the very context in which it failed")}
    shared.run(loop.call_exception_handler, {**told, "handle": asyncio.Handle(divide, (), loop, shared)})


asyncio.run(serve_in_a_shared_context())
asyncio.run(serve_bob())


def capturing_handler(loop: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
    if "exception" in told:
        lastword.capture_exception(told["exception"])
    else:
        log.error("ada: " + told["message"])


async def serve_bob_in_a_thread() -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(capturing_handler)
    task = contextvars.Context().run(asyncio.create_task, fails("ada: a task's, as garbage in bob's thread"))
    await asyncio.sleep(0.002)
    cycle: list[Any] = [task]
    cycle.append(cycle)
    del task, cycle

    def collect() -> None:
        begin("bob")
        gc.collect()

    await loop.run_in_executor(None, contextvars.Context().run, collect)


gc.disable()
asyncio.run(serve_bob_in_a_thread())
gc.enable()


def logging_handler(loop: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
    log.error("told", exc_info=told.get("exception"))
    loop.default_exception_handler(told)


async def serve_bob_with_a_handler_of_his_own(handler: Any) -> None:
    asyncio.get_running_loop().set_exception_handler(handler)
    await serve_bob()


asyncio.run(serve_bob_with_a_handler_of_his_own(capturing_handler))
asyncio.run(serve_bob_with_a_handler_of_his_own(logging_handler))
