"""The promise: an event says of the user and of what happened before only what belongs to the work that captured it."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from lastword.audit import kept_events
from lastword.spool.layout import Layout
from tests.support import needs
from tests.support.programs import run

#: One piece of work; ``pause`` lets others have their turn in the midst of it.
WORK = """
def begin(name):
    lastword.set_user(name)
    lastword.set_tag("work", name)
    lastword.set_extra("work", [name])
    lastword.add_breadcrumb("begin " + name, data={"work": name})

def end(name):
    lastword.add_breadcrumb("end " + name)
    acked(lastword.capture_message(name))

def work(name, pause=lambda: time.sleep(0.001)):
    begin(name)
    for _ in range(3):
        pause()
    end(name)

lastword.set_tag("program", "shop")
lastword.add_breadcrumb("start")
"""

WAYS = {
    "threads that are used again": """
from concurrent.futures import ThreadPoolExecutor
def request(name):
    with lastword.new_scope():
        work(name)
with ThreadPoolExecutor(4) as pool:
    list(pool.map(request, [f"work-{number}" for number in range(24)]))
""",
    "tasks": """
import asyncio
async def request(name):
    begin(name)
    for _ in range(3):
        await asyncio.sleep(0)
    end(name)
async def main():
    await asyncio.gather(*(request(f"work-{number}") for number in range(24)))
asyncio.run(main())
""",
    "scopes one after the other": """
for number in range(24):
    with lastword.new_scope():
        work(f"work-{number}")
""",
    "forked children": """
for number in range(8):
    if os.fork() == 0:
        work(f"work-{number}")
        os._exit(0)
for number in range(8):
    os.wait()
""",
    "greenlets": """
import gevent
gevent.joinall([gevent.spawn(work, f"work-{number}", lambda: gevent.sleep(0)) for number in range(24)])
""",
}

#: Unless Python is told to have threads inherit (3.14), or another version of gevent copies.
NEEDS_GEVENT = (needs.capability(sys.implementation.name == "cpython", "gevent"), needs.installed("gevent"))
STARTS_WITH_NOTHING = ("threads that are used again", "greenlets")


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=NEEDS_GEVENT if way == "greenlets" else ()) for way in sorted(WAYS)]
)
def test_an_event_has_only_what_its_own_work_said(way: str, tmp_path: Path) -> None:
    """And what was said before it was begun, where it was begun in a copy of that context."""
    spool = tmp_path / "spool"
    acked = run(WORK + WAYS[way], spool=spool)
    events = [one.event for one in kept_events.held(Layout(str(spool)))]
    assert len(events) == len(acked) >= 8
    for event in events:
        name = event["message"]
        assert event["user"] == {"id": name}
        assert event["extra"] == {"work": [name]}
        own = [f"begin {name}", f"end {name}"]
        crumbs = [crumb["message"] for crumb in event["breadcrumbs"]]
        if way in STARTS_WITH_NOTHING:
            assert crumbs in (own, ["start", *own])
        else:
            assert crumbs == ["start", *own]
            assert event["tags"] == {"program": "shop", "work": name}


#: Failures that are told of late, while bob is served. Each says whose it is, and each of ada's has her breadcrumb.
LATE = """
import asyncio, contextvars, gc, logging
logging.getLogger().addHandler(logging.NullHandler())
log = logging.getLogger("shop")

def begin(name):
    lastword.set_user({"id": name})
    lastword.set_tag("of", name)
    lastword.add_breadcrumb(name)

async def fails(whose):
    begin("ada")
    raise RuntimeError(whose)

async def waits():
    begin("ada")
    await asyncio.get_running_loop().create_future()

def divide():
    raise RuntimeError("ada: a callback's")

async def starts_callbacks():
    begin("ada")
    loop = asyncio.get_running_loop()
    loop.call_soon(divide)
    loop.call_later(0.001, divide)
    asyncio.create_task(audits())

async def audits():
    raise RuntimeError("ada: of her request, in a task of its own")

class PythonTask(asyncio.tasks._PyTask):
    pass

class OwnTask(asyncio.Task):
    pass

async def serve_bob():
    begin("bob")
    loop = asyncio.get_running_loop()
    for make in (asyncio.create_task, lambda work: PythonTask(work, loop=loop), lambda work: OwnTask(work, loop=loop)):
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
    try: raise RuntimeError("nobody: of a loop that is not Python's")
    except RuntimeError: logging.getLogger("asyncio").exception("told by C")
    try: raise RuntimeError("bob: his own")
    except RuntimeError: log.exception("his own")
    own = [crumb["message"] for crumb in lastword.scope.breadcrumbs.current()]
    assert own == ["bob", "his own"], own

async def serve_in_a_shared_context():
    loop = asyncio.get_running_loop()
    shared = contextvars.Context()
    shared.run(begin, "ada")
    told = {"message": "in it", "exception": RuntimeError("ada: told in the very context in which it failed")}
    shared.run(loop.call_exception_handler, {**told, "handle": asyncio.Handle(divide, (), loop, shared)})

asyncio.run(serve_in_a_shared_context())
asyncio.run(serve_bob())

def handler(loop, told):
    if "exception" in told: lastword.capture_exception(told["exception"])
    else: log.error("ada: " + told["message"])

async def serve_bob_in_a_thread():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(handler)
    task = contextvars.Context().run(asyncio.create_task, fails("ada: a task's, as garbage in bob's thread"))
    await asyncio.sleep(0.002)
    cycle = [task]
    cycle.append(cycle)
    del task, cycle
    def collect():
        begin("bob")
        gc.collect()
    await loop.run_in_executor(None, contextvars.Context().run, collect)

gc.disable()
asyncio.run(serve_bob_in_a_thread())
gc.enable()

async def serve_bob_with_a_handler_of_his_own():
    asyncio.get_running_loop().set_exception_handler(handler)
    await serve_bob()

asyncio.run(serve_bob_with_a_handler_of_his_own())

def handler(loop, told):
    log.error("told", exc_info=told.get("exception"))
    loop.default_exception_handler(told)

asyncio.run(serve_bob_with_a_handler_of_his_own())
"""

#: By asyncio's handler, by one that captures, and by one that logs.
THREE_TIMES = {
    "ada: a task's",
    "ada: a callback's",
    "ada: of her request, in a task of its own",
    "ada: seen by its callback",
    "nobody: a future's",
    "nobody: a transport's",
    "nobody: of a loop that is not Python's",
    "bob: his own",
}
DESTROYED = {"Task was destroyed but it is pending!", "ada: Task was destroyed but it is pending!", "told"}


@needs.capability(sys.implementation.name == "cpython", "reference counts, by which a task goes at once")
def test_what_asyncio_tells_late_is_told_of_whose_it_is(tmp_path: Path) -> None:
    """Of a task's or a callback's own context; of nobody where none is known. No breadcrumb of others is there."""
    run(LATE, spool=tmp_path / "spool")
    events = [one.event for one in kept_events.held(Layout(str(tmp_path / "spool")))]
    found = Counter[str]()
    for event in events:
        told = event["exceptions"][0]["value"] if event["exceptions"] else event["message"]
        whose = "ada" if "destroyed but it is pending" in told or told == "told" else told.partition(":")[0]
        found[told.partition("\n")[0]] += 1
        assert event["user"] == (None if whose == "nobody" else {"id": whose}), told
        assert event["tags"].get("of") == (None if whose == "nobody" else whose), told
        others = {"ada", "bob"} - {whose}
        assert not others.intersection(crumb["message"] for crumb in event["breadcrumbs"]), told
    assert all(count >= 3 for told, count in found.items() if told in THREE_TIMES), found
    once = {"ada: told in the very context in which it failed", "ada: a task's, as garbage in bob's thread"}
    assert set(found) == {*THREE_TIMES, *once, *DESTROYED}
