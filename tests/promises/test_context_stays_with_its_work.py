"""The promise: an event says of the user and of what happened before only what belongs to the work that captured it."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from lastword.audit import kept_events
from lastword.spool.layout import Layout
from tests.support import needs
from tests.support.programs import PROGRAMS, run
from tests.support.promise import Section, promise

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


@promise(
    Section.CONTEXT,
    "An event has only the context of its own work",
    broken_by="one list of breadcrumbs for all; `new_scope` keeps the breadcrumbs",
)
@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=NEEDS_GEVENT if way == "greenlets" else ()) for way in sorted(WAYS)]
)
def test_event_has_only_the_context_of_its_own_work(way: str, tmp_path: Path) -> None:
    """Context set before the work began is included where the work runs in a copy of that context."""
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


@promise(
    Section.CONTEXT,
    "A late asyncio report has the context of the task or callback that failed, or none, and leaves no "
    "breadcrumb elsewhere",
    broken_by="reported in the context of the running code; handlers of the program's own not looked "
    "for; C tasks, handles or futures not told apart; their context entered and not a copy; "
    "garbage in another thread not considered",
)
@needs.capability(sys.implementation.name == "cpython", "reference counts, by which a task goes at once")
def test_late_asyncio_report_has_the_context_of_the_failed_task(tmp_path: Path) -> None:
    """Or of the callback; no user where neither is known. Breadcrumbs of other tasks are never included."""
    run(PROGRAMS / "late_failures.py", spool=tmp_path / "spool")
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
