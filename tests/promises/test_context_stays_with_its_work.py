"""The promise: an event says of the user and of what happened before only what belongs to the work that captured it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lastword.spool import kept
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
    events = [one.event for one in kept.held(Layout(str(spool)))]
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
