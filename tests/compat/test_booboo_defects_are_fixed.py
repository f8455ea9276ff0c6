"""Each defect of booboo-sdk 0.16.0 that docs/compat.md calls fixed: the original shows it, the drop-in does not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from lastword.testing import LoopbackTracker
from tests.compat.contest import DROP_IN, ORIGINAL, Outcome, run_with
from tests.support import needs
from tests.support.promise import Section, promise

pytestmark = [
    needs.installed("booboo"),
    promise(
        Section.BOOBOO,
        "Each defect called fixed is in the original and not in the drop-in",
        broken_by="a handshake for each start (O-5, O-18); children of multiprocessing not heard (O-3); the "
        "process's user for all (O-9)",
    ),
]


class Defect(NamedTuple):
    """``is_well`` of an outcome: the defect is not there. ``arriving``: how many events the drop-in delivers."""

    program: str
    is_well: Callable[[Outcome], object]
    arriving: int = 1
    options: Mapping[str, Any] = MappingProxyType({})


def is_json(raw: bytes) -> bool:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        json.loads(raw, parse_constant=refuse)
    except ValueError:
        return False
    return True


def types_of(outcome: Outcome) -> list[str]:
    return sorted(event["exception_type"] for event in outcome.events)


def user_of(outcome: Outcome, message: str) -> object:
    [event] = [event for event in outcome.events if event["message"] == message]
    return event["context"].get("user")


def fail_twice(tracker: LoopbackTracker) -> None:
    tracker.answer(503, times=2)


DEFECTS = {
    "O-1 a burst before the end": Defect(
        "booboo.init(dsn())\nfor n in range(300): booboo.capture_message('m%d' % n)\n",
        lambda outcome: len(set(outcome.messages)) == 300,
        arriving=300,
    ),
    "O-2 a forked child": Defect(
        """
booboo.init(dsn())
booboo.capture_message("parent")
time.sleep(0.5)
child = os.fork()
if child == 0:
    booboo.capture_message("child")
    try:
        raise ValueError("child, too")
    except ValueError:
        booboo.capture_exception()
    sys.exit()
os.waitpid(child, 0)
""",
        lambda outcome: outcome.messages == ["child", "child, too", "parent"],
        arriving=3,
    ),
    "O-3 what ends a child of multiprocessing": Defect(
        """
import multiprocessing
booboo.init(dsn())
def work():
    raise ValueError("in the child")
process = multiprocessing.get_context("fork").Process(target=work)
process.start()
process.join()
assert process.exitcode == 1
""",
        lambda outcome: outcome.messages == ["in the child"],
    ),
    "O-4 a stack that is too deep": Defect(
        """
booboo.init(dsn())
def dive(n, ballast="x" * 150):
    more, still_more = ballast + "y", ballast + "z"
    dive(n + 1)
try:
    dive(0)
except RecursionError:
    booboo.capture_exception()
""",
        lambda outcome: types_of(outcome) == ["RecursionError"] and len(outcome.raw[0]) <= 102_400,
    ),
    "O-5 init twice": Defect(
        "sys.excepthook = lambda *error: print('by the program')\n"
        "booboo.init(dsn())\nbooboo.init(dsn())\nraise ValueError('once')\n",
        lambda outcome: (
            outcome.messages == ["once"] and len(outcome.handshakes) == 1 and outcome.output == "by the program\n"
        ),
    ),
    "O-6 an exception that cannot be shown": Defect(
        """
booboo.init(dsn())
class Odd(Exception):
    def __str__(self):
        raise RuntimeError("no text")
try:
    raise Odd
except Odd:
    try:
        booboo.capture_exception()
    except RuntimeError:
        print("raised into the application")
raise Odd
""",
        lambda outcome: (
            types_of(outcome) == ["Odd", "Odd"] and outcome.output == "" and "Odd: <exception str()" in outcome.trouble
        ),
        arriving=2,
    ),
    "O-7 secrets of a request": Defect(
        """
import asyncio
from booboo._middleware import BoobooASGIMiddleware
async def app(scope, receive, send):
    raise ValueError("in a request")
booboo.init(dsn())
headers = [(b"x-api-key", b"hunter2"), (b"access-key", b"hunter2"), (b"accept", b"*/*")]
scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"q=1&token=hunter2", "headers": headers,
         "scheme": "http", "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1)}
try:
    asyncio.run(BoobooASGIMiddleware(app)(scope, None, None))
except ValueError:
    pass
""",
        lambda outcome: (
            "*/*" in str(outcome.events[0]["request"]) and "hunter2" not in str(outcome.events[0]["request"])
        ),
    ),
    "O-8 a user that is no JSON": Defect(
        "booboo.init(dsn())\nbooboo.set_user({'id': object()})\nbooboo.capture_message('arrives')\n",
        lambda outcome: outcome.messages == ["arrives"],
    ),
    "O-8 a user with a NaN": Defect(
        "booboo.init(dsn())\nbooboo.set_user({'id': float('nan')})\nbooboo.capture_message('arrives')\n",
        lambda outcome: outcome.messages == ["arrives"] and is_json(outcome.raw[0]),
    ),
    "O-8 a user that is no mapping": Defect(
        """
booboo.init(dsn())
booboo.set_user("Ada")
try:
    booboo.capture_message("arrives")
except Exception as error:
    print(error)
""",
        lambda outcome: outcome.output == "" and user_of(outcome, "arrives") == {"id": "Ada"},
    ),
    "O-9 the user of another thread": Defect(
        """
booboo.init(dsn())
booboo.set_user({"id": "process"})
def serve(user):
    booboo.set_user({"id": user})
    booboo.capture_message("of " + user)
for user in ("Ada", "Bob"):
    thread = threading.Thread(target=serve, args=(user,))
    thread.start()
    thread.join()
booboo.capture_message("of the process")
""",
        lambda outcome: (
            [user_of(outcome, f"of {user}") for user in ("Ada", "Bob", "the process")]
            == [{"id": "Ada"}, {"id": "Bob"}, {"id": "process"}]
        ),
        arriving=3,
    ),
    "O-10 a hook that raises": Defect(
        """
def hook(event):
    raise ValueError("a defect in the hook")
booboo.init(dsn(), before_send=hook)
booboo.capture_message("dropped")
""",
        lambda outcome: outcome.events == [] and "booboo: event dropped, before_send" in outcome.trouble,
        arriving=0,
    ),
    "O-11 an empty DSN": Defect(
        """
import requests
requests.post = lambda url, *a, **k: print("posted to", url)
booboo.init("")
booboo.capture_message("kept")
""",
        lambda outcome: outcome.output == "" and "booboo: no DSN configured" in outcome.trouble,
        arriving=0,
        options={"environment": {"HTTPS_PROXY": "http://127.0.0.1:1"}},
    ),
    "O-12 what a DSN may hold": Defect(
        """
client = booboo.BoobooClient("https://TO%40KEN@[::1]:8000/o/p")
print(client.dsn, client.endpoint)
""",
        lambda outcome: outcome.output == "TO@KEN https://[::1]:8000/\n",
        arriving=0,
    ),
    "O-13 threads, finalizers, asyncio": Defect(
        """
import asyncio, gc
booboo.init(dsn())
def work():
    raise ValueError("in a thread")
thread = threading.Thread(target=work)
thread.start()
thread.join()
class Odd:
    def __del__(self):
        raise KeyError("in a finalizer")
Odd()
gc.collect()
async def task():
    raise IndexError("in a task")
async def main():
    asyncio.get_running_loop().create_task(task())
    await asyncio.sleep(0.05)
    gc.collect()
asyncio.run(main())
""",
        lambda outcome: types_of(outcome) == ["IndexError", "KeyError", "ValueError"],
        arriving=3,
    ),
    "O-14 frameworks that nobody imported": Defect(
        "booboo.init(dsn())\nprint([name for name in ('django', 'flask', 'fastapi') if name in sys.modules])\n",
        lambda outcome: outcome.output == "[]\n",
        arriving=0,
    ),
    "O-17 a tracker that is down for a moment": Defect(
        "booboo.init(dsn())\nbooboo.capture_message('arrives')\n",
        lambda outcome: outcome.messages == ["arrives"],
        options={"tracker_does": fail_twice},
    ),
    "O-18 handshakes of many processes": Defect(
        """
import subprocess
booboo.init(dsn())
booboo.capture_message(" ".join(sys.argv[1:]) or "parent")
if not sys.argv[1:]:
    time.sleep(1)
    subprocess.run([sys.executable, __file__, "child"], check=True)
""",
        lambda outcome: len(outcome.handshakes) == 1 and len(outcome.events) == 2,
        arriving=2,
    ),
    "O-19 reprs that run twice": Defect(
        """
booboo.init(dsn())
class Counted:
    def __repr__(self):
        print("asked")
        return "Counted()"
def fail():
    counted = Counted()
    raise ValueError("why")
try:
    fail()
except ValueError:
    booboo.capture_exception()
""",
        lambda outcome: outcome.output == "asked\n" and b'"Counted()"' in outcome.raw[0],
    ),
}

if sys.version_info >= (3, 11):
    DEFECTS["O-16 groups and notes"] = Defect(
        """
booboo.init(dsn())
error = ExceptionGroup("both", [ValueError("first"), KeyError("second")])
error.add_note("try again")
try:
    raise error
except ExceptionGroup:
    booboo.capture_exception()
""",
        lambda outcome: (
            [one["type"] for one in outcome.events[0]["exceptions"]] == ["ExceptionGroup", "ValueError", "KeyError"]
            and "try again" in outcome.events[0]["exceptions"][0]["value"]
        ),
    )


@pytest.mark.parametrize("name", DEFECTS)
def test_defect_of_the_original_is_fixed_in_the_drop_in(tmp_path: Path, name: str) -> None:
    """The same program with both."""
    defect = DEFECTS[name]
    drop_in = defect.program.replace("from booboo._", "from lastword.compat.booboo._")
    ours = run_with(DROP_IN, drop_in, tmp_path / "ours", wait_for=defect.arriving, **defect.options)
    assert defect.is_well(ours), ours
    theirs = run_with(ORIGINAL, defect.program, tmp_path / "theirs", **defect.options)
    assert not _is_well(defect, theirs), theirs


def _is_well(defect: Defect, outcome: Outcome) -> bool:
    try:
        return bool(defect.is_well(outcome))
    except (ValueError, IndexError, KeyError):  # an event that it looks at has not arrived
        return False
