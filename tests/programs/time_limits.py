"""A signal handler or another thread raises anywhere in our code: ``everywhere``, ``alarms`` or ``theirs``.

*everywhere*: a trace function interrupts as a signal handler does: between any two lines, given the frame; by a plan.
*alarms*: a real signal, and another thread, at any moment. *theirs*: in code of the program that a capture calls.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import lastword
from lastword import diagnostics, nesting, sdk
from lastword.flusher import in_program
from lastword.launch.child import Children
from lastword.spool import clock, ledger, limits, record, room
from lastword.spool.identity import describe_this_process
from tests.support import prelude  # noqa: F401 - sets lastword up

log = logging.getLogger("shop")
log.addHandler(logging.NullHandler())
log.propagate = False
PACKAGE = os.path.dirname(lastword.__file__)
client: Any = sdk.current_client()


class TimeLimit(Exception):
    pass


class Odd(Exception):
    def __str__(self) -> str:
        return "odd"


def capture() -> None:
    try:
        raise Odd
    except Odd:
        lastword.capture_exception()


def logged() -> None:
    try:
        raise Odd
    except Odd:
        log.exception("no %s", Odd())


def message() -> None:
    lastword.capture_message("m", "error")


def caught() -> None:
    try:
        with lastword.catch():
            raise Odd
    except Odd:
        pass


def breadcrumb() -> None:
    lastword.add_breadcrumb(Odd(), data={"a": {1: Odd()}})


def context() -> None:
    lastword.set_context("c", {"a": {1: Odd()}})
    lastword.set_user({"id": Odd()})
    lastword.set_tag("a", Odd())


def interrupted_at(line: int, kind: type[BaseException], call: Callable[[], object]) -> tuple[bool, int]:
    """Whether the exception came out of ``call``, and the line of ours that was reached."""
    count = 0

    def handler(frame: Any, *_: object) -> None:
        raise kind

    def local(frame: Any, event: str, argument: object) -> Any:
        nonlocal count
        count += event == "line"
        if count == line and event == "line":
            handler(frame)
        return local

    def begin(frame: Any, event: str, argument: object) -> Any:
        return local if frame.f_code.co_filename.startswith(PACKAGE) else None

    sys.settrace(begin)
    try:
        call()
    except kind:
        return True, count
    finally:
        sys.settrace(None)
    return False, count


def accounted() -> int:
    recorder = client.recorder
    writer, refusals = recorder.writer, recorder._refusals.get()
    writer._check_descriptor()
    told = sum(writer._state.refused.values()) + sum(count for _, count in writer._unposted)
    return int(writer.recorded + told + len(refusals.arrived) + sum(refusals._counts.values()))


def try_everywhere(call: Callable[[], object], kind: type[BaseException], step: int, makes_event: bool) -> None:
    for _ in range(3):
        call()
    _, lines = interrupted_at(-1, kind, call)
    reached = uncounted = 0
    for line in range(1, lines, step):
        before = accounted()
        came, got = interrupted_at(line, kind, call)
        assert came or got < line, (call, kind, line, lines)
        reached += came
        uncounted += came and makes_event and accounted() == before
    assert reached > (15 if makes_event else 4), (call, reached, lines)
    assert uncounted <= max(2, 0.05 * reached), (call, uncounted, reached)  # before the capture has begun
    before = accounted()
    call()
    assert accounted() == before + makes_event, call
    assert not nesting.captures.level


def everywhere() -> None:
    # What few captures come to: a look at a full spool, a first capture, a text that is JSON.
    layout = client.recorder.writer.layout
    ledger.Ledger.load(layout).store(layout)
    rules = client.recorder.rules
    with open(layout.writer(layout.writer_ids().pop()) + "/000001.seg", "rb") as segment:
        line = segment.readline()

    def look() -> None:
        room.survey(layout, limits.Limits(spool=1))

    def begin_anew() -> None:
        describe_this_process()
        clock.counted_from.__wrapped__()

    def json_text() -> None:
        rules.scrub_text('{"token": "' + "a1" * 20 + '"}')

    def send() -> None:  # as ``flush`` does where nobody leads
        in_program.lead(layout, until=lambda: True)

    def start() -> None:  # what a helper is started by
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        Children().start(["/bin/sh", "-c", "echo"], {}, log=None, answer_within=5.0)
        assert signal.SIGCHLD not in signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def read_back() -> None:
        assert type(record.parse(line[:-1])) is record.Record

    for call, kind, step in (
        *((look, TimeoutError, 7), (begin_anew, TimeoutError, 11), (start, TimeLimit, 1), (json_text, TimeoutError, 3)),
        *((json_text, ValueError, 3), (send, TimeLimit, 401), (send, TimeoutError, 149), (read_back, ValueError, 1)),
    ):
        try_everywhere(call, kind, step, False)
    for number, each in enumerate((TimeLimit, TimeoutError, ValueError, SystemExit)):
        for call in (capture, logged, message, caught):
            try_everywhere(call, each, 9 + number, True)
        for call in (breadcrumb, context):
            try_everywhere(call, each, 2, False)


def on_alarm(*_: object) -> None:
    raise TimeLimit


def by_alarms() -> None:
    signal.signal(signal.SIGALRM, on_alarm)
    lost: list[Any] = []
    for number in range(60):
        call = (capture, logged, message, caught)[number % 4]
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.002 + 0.0007 * (number % 13))
            end = time.monotonic() + 5
            while time.monotonic() < end:
                call()
            lost.append(call)
        except TimeLimit:
            pass
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert not lost, lost


def by_threads() -> None:
    """By another thread: there is no handler, so nothing but the class of the exception tells."""

    def work(ready: threading.Event, got: list[int]) -> None:
        try:
            ready.set()
            while True:
                try:
                    raise ValueError
                except ValueError:
                    lastword.capture_exception()
        except TimeLimit:
            got.append(1)

    for _ in range(30):
        ready = threading.Event()
        got: list[int] = []
        thread = threading.Thread(target=work, args=(ready, got), daemon=True)
        thread.start()
        ready.wait()
        time.sleep(0.001)
        assert thread.ident is not None
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(TimeLimit))
        thread.join(5)
        assert got
    for call in (capture, logged, message, caught):
        call()
    told = diagnostics.waiting()
    assert not any("defect" in text for text in told), told


class Slow(Exception):
    def __str__(self) -> str:
        ring()
        return "slow"


def ring() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    time.sleep(5)


def rings(event: object) -> None:
    ring()


def in_code_of_the_program() -> None:
    signal.signal(signal.SIGALRM, on_alarm)

    def slow_str() -> None:
        try:
            raise Slow
        except Slow:
            lastword.capture_exception()

    def slow_argument() -> None:
        log.error("%s", Slow())

    def slow_breadcrumb() -> None:
        lastword.add_breadcrumb(Slow())

    def slow_user() -> None:
        lastword.set_user({"id": Slow()})

    def slow_hook() -> None:
        lastword.init(spool=os.environ["TEST_SPOOL"], before_send=rings)
        lastword.capture_message("x")

    for call in (slow_str, slow_argument, slow_breadcrumb, slow_user, slow_hook):
        try:
            call()
            raise SystemExit(f"it did not reach the program: {call}")
        except TimeLimit:
            pass

    # What is raised by that code itself is no time limit.
    def leaves(event: object) -> None:
        sys.exit("no more")

    lastword.init(spool=os.environ["TEST_SPOOL"], before_send=leaves)
    assert lastword.capture_message("x") is None


lastword.capture_message("first")
if sys.argv[1] == "everywhere":
    everywhere()
elif sys.argv[1] == "alarms":
    by_alarms()
    by_threads()
else:
    in_code_of_the_program()
print("end")
