"""The stacks of other threads: whose, how much of them, and that taking them disturbs nobody."""

from __future__ import annotations

import _thread
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable

import pytest

from lastword.assembly import exception_event, message_event
from lastword.capture import CaptureSettings, threads
from lastword.capture.budget import Room
from lastword.capture.threads import MAX_CALLS, other_threads
from lastword.event import LEFT_OUT, Event, Needs, ThreadStack
from lastword.event_json import to_json
from lastword.scrub import is_sensitive
from tests.support import needs
from tests.support.programs import PROGRAMS
from tests.support.promise import Section, promise

ALL = CaptureSettings(needs=Needs(), is_sensitive=is_sensitive, all_threads=True)

pytestmark = needs.capability(threads._has_gil(), "a global interpreter lock")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_not_before", 0.0)


@contextmanager
def waiting_thread(run: Callable[[Callable[[], object]], object], name: str = "waiting") -> Iterator[int]:
    """A thread in which ``run`` calls what it is given, and waits there; its id."""
    arrived, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        arrived.set()
        go_on.wait(60)

    thread = threading.Thread(target=run, args=(wait,), name=name)
    thread.start()
    assert arrived.wait(60)
    try:
        yield thread.ident or 0
    finally:
        go_on.set()
        thread.join(60)


def taken(ident: int) -> ThreadStack:
    (stack,) = [stack for stack in other_threads(Room(), at_any_price=True) if stack["id"] == ident]
    return stack


def functions(stack: ThreadStack) -> list[str]:
    return [function for _, function, _ in stack["calls"]]


def call_it(wait: Callable[[], object]) -> None:
    wait()


def capture(**settings: Any) -> Event:
    event = message_event("hello", level="info", settings=CaptureSettings(is_sensitive=is_sensitive, **settings))
    to_json(event)
    return event


@needs.capability(sys.implementation.name == "cpython", "a faulthandler that tells lines and names exactly")
def test_other_thread_has_its_stack_from_the_outermost_call() -> None:
    """By path, function and line; the thread that captures is not among them."""
    with waiting_thread(call_it, "é 1") as ident:
        stack = taken(ident)
        assert threading.get_ident() not in [other["id"] for other in other_threads(Room(), at_any_price=True)]
    assert (stack["name"], stack["main"]) == ("é 1", False)
    place = functions(stack).index("call_it")
    assert stack["calls"][place] == (__file__, "call_it", call_it.__code__.co_firstlineno + 1)
    assert functions(stack)[place + 1] == "wait"


def test_main_thread_is_marked_when_another_one_captures() -> None:
    """Marked as such."""
    seen: list[ThreadStack] = []
    thread = threading.Thread(target=lambda: seen.extend(other_threads(Room(), at_any_price=True)))
    thread.start()
    thread.join(60)
    (main,) = [stack for stack in seen if stack["main"]]
    assert main["id"] == threading.main_thread().ident
    assert "test_main_thread_is_marked_when_another_one_captures" in functions(main)


@needs.capability(sys.implementation.name == "cpython", "a faulthandler that tells lines and names exactly")
def test_odd_file_names_and_functions_arrive_as_they_are() -> None:
    """faulthandler escapes what is not ASCII."""
    scope: dict[str, Any] = {}
    exec(compile("def gehe_übe():\n    wait()", '/tmp/é "x", line 5 in 中\\n.py', "exec"), scope)

    def run(wait: Callable[[], object]) -> None:
        scope["wait"] = wait
        scope["gehe_übe"]()

    with waiting_thread(run) as ident:
        assert ('/tmp/é "x", line 5 in 中\\n.py', "gehe_übe", 2) in taken(ident)["calls"]


def test_a_relative_file_is_made_absolute() -> None:
    """As in frames."""
    scope: dict[str, Any] = {}
    exec(compile("def run(wait): wait()", "relative.py", "exec"), scope)
    with waiting_thread(scope["run"]) as ident:
        assert (os.path.abspath("relative.py"), "run", 1) in taken(ident)["calls"]


@pytest.mark.parametrize("depth", [60, 300])
def test_a_deep_stack_keeps_its_inner_calls(depth: int) -> None:
    """Fifty, and a note about the others."""

    def down(wait: Callable[[], object], left: int = depth) -> None:
        if left:
            down(wait, left - 1)
        else:
            wait()

    with waiting_thread(down) as ident:
        calls = taken(ident)["calls"]
    assert len(calls) == MAX_CALLS + 1
    assert calls[0] == (LEFT_OUT, "(more frames left out)", 0)
    assert "wait" in [function for _, function, _ in calls[-4:]]


def test_an_event_that_is_full_has_the_threads_without_their_calls() -> None:
    """They are paid out of the same room as everything else, after it."""
    with waiting_thread(call_it) as ident:
        (stack,) = [one for one in other_threads(Room(0), at_any_price=True) if one["id"] == ident]
    assert stack["calls"] == [(LEFT_OUT, "(more frames left out)", 0)]


def test_threads_are_read_if_the_option_or_the_format_wants_them() -> None:
    """For exceptions and messages alike."""
    with waiting_thread(call_it) as ident:
        assert ident in [stack["id"] for stack in capture(needs=Needs(all_threads=True))["threads"]]
        threads._not_before = 0.0
        assert ident in [stack["id"] for stack in capture(needs=Needs(), all_threads=True)["threads"]]
        assert capture(needs=Needs())["threads"] == []
        event = exception_event(ValueError(), handled=False, mechanism="test", settings=ALL)
        assert ident in [stack["id"] for stack in event["threads"]]


def test_threads_are_read_for_few_events_of_a_burst_and_last_words() -> None:
    """A look takes a system call or more for each frame: 20 times as long as it took passes before the next."""
    with waiting_thread(call_it) as ident:
        assert other_threads(Room(), at_any_price=False)
        threads._not_before += 60
        assert other_threads(Room(), at_any_price=False) == []
        handled = exception_event(ValueError(), handled=True, mechanism="test", settings=ALL)
        assert handled["threads"] == []
        last_words = exception_event(ValueError(), handled=False, mechanism="test", settings=ALL)
        assert ident in [stack["id"] for stack in last_words["threads"]]


def test_a_program_of_one_thread_pays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is opened and nothing is written."""
    monkeypatch.setattr(threads, "known_threads", lambda: {1: None})
    monkeypatch.setattr(_thread, "_count", lambda: 0)
    monkeypatch.setattr(threads, "_dump", lambda: pytest.fail("looked"))
    assert other_threads(Room(), at_any_price=True) == []


def test_no_thread_is_read_without_a_gil(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a free-threaded build the other threads keep running meanwhile."""
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    with waiting_thread(call_it):
        assert other_threads(Room(), at_any_price=True) == []


def test_pipe_is_used_without_memfd(monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS and PyPy. A pipe that is too small takes what it can: waiting for its reader would be for ever."""

    def down(wait: Callable[[], object], left: int = 90) -> None:
        if left:
            down(wait, left - 1)
        else:
            wait()

    monkeypatch.delattr(os, "memfd_create", raising=False)
    with waiting_thread(down), waiting_thread(down), waiting_thread(down) as ident:
        assert "down" in functions(taken(ident))
        pipe = os.pipe

        def small_pipe() -> tuple[int, int]:
            reading, writing = pipe()
            os.set_blocking(writing, False)
            os.write(writing, b"x" * 60_000)
            return reading, writing

        monkeypatch.setattr(os, "pipe", small_pipe)
        assert len(other_threads(Room(), at_any_price=True)) <= 4


def test_no_descriptor_is_left_open() -> None:
    """Whatever happens."""
    with waiting_thread(call_it):
        before = sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else []
        for _ in range(20):
            other_threads(Room(), at_any_price=True)
        after = sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else []
    assert len(after) == len(before)


@promise(
    Section.EVENTS,
    "Running threads are read without a crash",
    broken_by="nothing dumped (walking frames instead did not crash this program, in 20,000 looks on 3.11.7)",
)
def test_running_threads_are_read_without_a_crash() -> None:
    """Walking their frames crashed programs on Python 3.11."""
    command = [sys.executable, "-X", "faulthandler", str(PROGRAMS / "busy_threads.py")]
    done = subprocess.run(command, capture_output=True, timeout=240, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "300 True"), done.stderr
