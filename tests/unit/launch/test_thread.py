"""The flusher's thread: at most one for a spool, native, with a context of its own, and left behind by a fork."""

from __future__ import annotations

import _thread
import contextvars
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from lastword import diagnostics
from lastword.launch.thread import Lead, ThreadStarter
from lastword.native import start_on_own_stack
from lastword.spool import start
from lastword.spool.layout import Layout
from tests.support.programs import wait_until
from tests.support.promise import Section, promise

pytestmark = promise(Section.FLUSHER_MODES, "Threads of lastword have enough stack, however small the program's is")

request_id = contextvars.ContextVar("request_id", default="none")


class Leading:
    """Leads until it is let go; knows how often it began, and in which context and thread."""

    def __init__(self) -> None:
        self.began: list[tuple[str, int]] = []
        self.may_go = threading.Event()

    def load(self) -> Lead:
        return self.lead

    def lead(self, layout: Layout, until: Callable[[], bool] = bool) -> None:
        self.began.append((request_id.get(), _thread.get_ident()))
        while not until() and not self.may_go.wait(0.005):
            pass


def test_one_thread_for_a_spool_in_a_context_of_its_own(layout: Layout, tmp_path: Path) -> None:
    """However often it is asked for; what instruments the program's requests does not see it."""
    other = Layout(str(tmp_path / "other"))
    other.prepare()
    leading = Leading()
    starter = ThreadStarter(leading.load)
    token = request_id.set("42")
    for _ in range(3):
        starter.ensure(layout)
    starter.ensure(other)
    request_id.reset(token)
    wait_until(lambda: len(leading.began) == 2, "both threads")
    assert {context for context, _ in leading.began} == {"none"}
    assert len({thread for _, thread in leading.began} | {_thread.get_ident()}) == 3
    starter.leave()
    assert not (starter.runs(layout) or starter.runs(other))


def test_capture_that_finds_a_leaving_thread_keeps_it(layout: Layout) -> None:
    """A capture that finds the thread there, between its last look and its end, has it look once more."""
    leading = Leading()
    starter = ThreadStarter(leading.load)
    starter.ensure(layout)
    wait_until(lambda: leading.began, "the thread")
    starter.ensure(layout)
    leading.may_go.set()
    wait_until(lambda: not starter.runs(layout), "the thread's end")
    assert len(leading.began) == 2


def test_a_thread_that_left_can_be_followed_by_another(layout: Layout) -> None:
    """It left when no capture needed it; the next capture starts another."""
    leading = Leading()
    leading.may_go.set()
    starter = ThreadStarter(leading.load)
    for count in (1, 2):
        starter.ensure(layout)
        wait_until(lambda: not starter.runs(layout), "the thread's end")
        assert len(leading.began) == count


@promise(
    Section.FLUSHER_MODES,
    "A forked child starts its own flusher thread, and a fork waits for running imports",
    broken_by="key without pid; no guard",
)
def test_forked_child_starts_its_own_thread(layout: Layout) -> None:
    """A fork takes no thread along, whatever the parent's memory says; and the parent's end is not the child's."""
    leading = Leading()
    starter = ThreadStarter(leading.load)
    starter.ensure(layout)
    wait_until(lambda: leading.began, "the thread")
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            leading.began.clear()
            starter.ensure(layout)
            wait_until(lambda: leading.began, "the child's own thread")
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    starter.leave()


@promise(Section.FLUSHER_MODES, "A forked child starts its own flusher thread, and a fork waits for running imports")
def test_fork_waits_for_running_imports(layout: Layout) -> None:
    """A child forked in the midst of an import finds that module's lock held for ever."""
    importing, go_on, forked = threading.Event(), threading.Event(), threading.Event()

    def load() -> Lead:
        importing.set()
        go_on.wait()
        return lambda layout, until=bool: None

    def fork() -> None:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        forked.set()

    starter = ThreadStarter(load)
    starter.ensure(layout)
    importing.wait()
    forker = threading.Thread(target=fork)
    forker.start()
    assert not forked.wait(0.2)
    go_on.set()
    forker.join()
    assert forked.is_set()


def test_thread_is_native_under_gevent(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions of `_thread` that gevent replaced would make a greenlet."""
    asked = []

    def get_original(module: str, name: str) -> object:
        asked.append((module, name))
        return originals[name]

    originals = {name: getattr(_thread, name) for name in ("start_new_thread", "RLock", "stack_size")}
    monkeypatch.setitem(sys.modules, "gevent.monkey", SimpleNamespace(get_original=get_original))
    monkeypatch.setattr(_thread, "start_new_thread", None)
    leading = Leading()
    leading.may_go.set()
    ThreadStarter(leading.load).ensure(layout)
    wait_until(lambda: leading.began, "the thread")
    assert ("_thread", "start_new_thread") in asked


def test_failed_import_is_noted_and_not_repeated_at_every_capture(layout: Layout) -> None:
    """A program without requests goes on, keeps its events, and hears of it."""
    loads = []

    def load() -> Lead:
        loads.append(1)
        raise ImportError("No module named 'requests'")

    diagnostics.forget()
    starter = ThreadStarter(load)
    starter.ensure(layout)
    wait_until(lambda: not start.load(layout).allows(time.time()), "the pause after it")
    assert not starter.ensure(layout)
    assert loads == [1]
    assert ["No module named 'requests'" in text for text in diagnostics.waiting()] == [True]
    start.clear_failures(layout)
    wait_until(lambda: len(loads) > 1, "another try once the pause is over, although nobody has asked")
    starter.leave()
    assert not starter.runs(layout)
    diagnostics.forget()


@promise(Section.FLUSHER_MODES, "Events captured during a pause are sent when it is over")
def test_a_flusher_that_breaks_down_goes_on_after_the_pause(layout: Layout) -> None:
    """In the same thread, whether or not anything is captured; so does one that is asked for during a pause."""
    began = []

    def lead(layout: Layout, until: Callable[[], bool] = bool) -> None:
        began.append(start.load(layout).not_before)
        if len(began) == 1:
            start.pause(layout, time.time() + 0.3)

    start.pause(layout, time.time() + 0.3)
    starter = ThreadStarter(lambda: lead)
    assert not starter.ensure(layout)
    wait_until(lambda: not starter.runs(layout), "the thread's end")
    assert len(began) == 2
    assert 0 < began[0] < began[1] < time.time()


def test_thread_has_its_own_stack_size(layout: Layout) -> None:
    """The program's setting stays, also one made by another thread at the same moment."""
    sizes = []

    def start(other: int = 1 << 20) -> None:
        sizes.append(threading.stack_size(other))

    before = threading.stack_size(64 << 10)
    try:
        start_on_own_stack(start)
        start_on_own_stack(lambda: start(128 << 10))
        sizes.append(threading.stack_size(2 << 20))
        start_on_own_stack(lambda: start(2 << 20))
        threading.stack_size(0)
        start_on_own_stack(lambda: start(0))
    finally:
        threading.stack_size(before)
    assert sizes == [1 << 20, 1 << 20, 128 << 10, 2 << 20, 0]
