"""The promise: what a signal handler or another thread raises reaches the program, whatever of ours it arrives in.

Time limits are made like that (rq, Celery), and so are Ctrl-C and the end of a worker. The event is recorded, or
counted as interrupted, and what comes next is captured like anything else.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lastword.audit.accounts import read_accounts
from tests.support.programs import run

BEGIN = """
import ctypes, logging, os, signal, sys, threading, time
from lastword import nesting, sdk
from lastword.flusher import in_program
from lastword.launch.child import Children
from lastword.spool import clock, ledger, limits, record, room
from lastword.spool.identity import describe_this_process
log = logging.getLogger("shop")
log.addHandler(logging.NullHandler())
log.propagate = False
PACKAGE = os.path.dirname(lastword.__file__)

class TimeLimit(Exception): pass
class Odd(Exception):
    def __str__(self): return "odd"

def capture():
    try: raise Odd
    except Odd: lastword.capture_exception()
def logged():
    try: raise Odd
    except Odd: log.exception("no %s", Odd())
def message(): lastword.capture_message("m", "error")
def caught():
    try:
        with lastword.catch(): raise Odd
    except Odd: pass
def breadcrumb(): lastword.add_breadcrumb(Odd(), data={"a": {1: Odd()}})
def context():
    lastword.set_context("c", {"a": {1: Odd()}})
    lastword.set_user({"id": Odd()})
    lastword.set_tag("a", Odd())

lastword.capture_message("first")
"""

#: A trace function interrupts as a signal handler does: between any two lines, given the frame; and by a plan.
EVERYWHERE = """
def interrupted_at(line, kind, call):
    # Whether the exception came out of ``call``, and the line of ours that was reached.
    count = 0
    def handler(frame, *_):
        raise kind
    def local(frame, event, argument):
        nonlocal count
        count += event == "line"
        if count == line and event == "line":
            handler(frame)
        return local
    def begin(frame, event, argument):
        return local if frame.f_code.co_filename.startswith(PACKAGE) else None
    sys.settrace(begin)
    try:
        call()
    except kind:
        return True, count
    finally:
        sys.settrace(None)
    return False, count

def accounted():
    recorder = sdk.current_client().recorder
    writer, refusals = recorder.writer, recorder._refusals.get()
    writer._check_descriptor()
    told = sum(writer._state.refused.values()) + sum(count for _, count in writer._unposted)
    return writer.recorded + told + len(refusals.arrived) + sum(refusals._counts.values())

def everywhere(call, kind, step, makes_event):
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

# What few captures come to: a look at a full spool, a first capture, a text that is JSON.
layout = sdk.current_client().recorder.writer.layout
ledger.Ledger.load(layout).store(layout)
def look(): room.survey(layout, limits.Limits(spool=1))
def begin_anew():
    describe_this_process()
    clock.counted_from.__wrapped__()
def json_text(): rules.scrub_text('{"token": "' + "a1" * 20 + '"}')
rules = sdk.current_client().recorder.rules
def send(): in_program.lead(layout, until=lambda: True)  # as ``flush`` does where nobody leads
def start():  # what a helper is started by
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    Children().start(["/bin/sh", "-c", "echo"], {}, log=None, answer_within=5.0)
    assert signal.SIGCHLD not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
line = open(layout.writer(layout.writer_ids().pop()) + "/000001.seg", "rb").readline()
def read_back():
    assert type(record.parse(line[:-1])) is record.Record

for call, kind, step in (
    (look, TimeoutError, 7), (begin_anew, TimeoutError, 23), (json_text, TimeoutError, 3), (json_text, ValueError, 3),
    (start, TimeLimit, 1), (send, TimeLimit, 401), (send, TimeoutError, 149), (read_back, ValueError, 1),
):
    everywhere(call, kind, step, False)

for number, kind in enumerate((TimeLimit, TimeoutError, ValueError, SystemExit)):
    for call in (capture, logged, message, caught):
        everywhere(call, kind, 9 + number, True)
    for call in (breadcrumb, context):
        everywhere(call, kind, 2, False)
print("end")
"""

BY_ALARMS = """
def on_alarm(*_): raise TimeLimit
signal.signal(signal.SIGALRM, on_alarm)
began, ended, lost = 0, 0, []
for number in range(60):
    call = (capture, logged, message, caught)[number % 4]
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.002 + 0.0007 * (number % 13))
        end = time.monotonic() + 5
        while time.monotonic() < end:
            call()
        lost.append(call)
    except TimeLimit: pass
    signal.setitimer(signal.ITIMER_REAL, 0)
assert not lost, lost
# By another thread: there is no handler, so nothing but the class of the exception tells.
raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
def work(ready, got):
    try:
        ready.set()
        while True:
            try: raise ValueError
            except ValueError: lastword.capture_exception()
    except TimeLimit: got.append(1)
for _ in range(30):
    ready, got = threading.Event(), []
    thread = threading.Thread(target=work, args=(ready, got), daemon=True)
    thread.start(); ready.wait(); time.sleep(0.001)
    raise_in(ctypes.c_ulong(thread.ident), ctypes.py_object(TimeLimit))
    thread.join(5)
    assert got
for call in (capture, logged, message, caught):
    before = len(lastword.sdk.diagnostics.waiting())
    call()
assert not any("defect" in text for text in lastword.sdk.diagnostics.waiting()), lastword.sdk.diagnostics.waiting()
print("end")
"""

IN_CODE_OF_THE_PROGRAM = """
def on_alarm(signum, frame): raise TimeLimit
signal.signal(signal.SIGALRM, on_alarm)
def ring():
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    time.sleep(5)
class Slow(Exception):
    def __str__(self):
        ring()
        return "slow"
def slow_str():
    try: raise Slow
    except Slow: lastword.capture_exception()
def slow_argument(): log.error("%s", Slow())
def slow_breadcrumb(): lastword.add_breadcrumb(Slow())
def slow_user(): lastword.set_user({"id": Slow()})
def slow_hook():
    lastword.init(spool=os.environ["TEST_SPOOL"], before_send=lambda event: ring())
    lastword.capture_message("x")
for call in (slow_str, slow_argument, slow_breadcrumb, slow_user, slow_hook):
    try:
        call()
        raise SystemExit(f"it did not reach the program: {call}")
    except TimeLimit: pass
# What is raised by that code itself is no time limit.
def leaves(event): sys.exit("no more")
lastword.init(spool=os.environ["TEST_SPOOL"], before_send=leaves)
assert lastword.capture_message("x") is None
print("end")
"""


@pytest.mark.parametrize("body", [EVERYWHERE, BY_ALARMS, IN_CODE_OF_THE_PROGRAM], ids=["everywhere", "real", "theirs"])
def test_a_time_limit_reaches_the_program(body: str, tmp_path: Path) -> None:
    """Nothing of ours takes it for an error of its own, and its event is accounted for."""
    assert run(BEGIN + body, spool=tmp_path / "spool") == ["end"]
    refused = read_accounts(tmp_path / "spool").refused
    assert "internal error" not in refused
    assert refused["interrupted"]
