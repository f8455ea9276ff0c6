"""The stacks of the other threads, while they run.

They are not read frame by frame: a thread continues while its frames are walked, which crashed programs on Python 3.11.
``faulthandler`` walks all stacks in one step of the interpreter and makes no frame objects. It writes a text, with
several system calls per frame, so only some events of a burst have the stacks.
"""

from __future__ import annotations

import _thread
import os
import re
import sys
import threading
import time
from types import ModuleType
from typing import Optional

from lastword.capture.budget import Room, json_cost
from lastword.capture.call_site import MAX_NAME, MAX_PATH
from lastword.capture.process import known_threads
from lastword.capture.safe_text import clean
from lastword.capture.source import absolute_path
from lastword.event import LEFT_OUT, Call, ThreadStack
from lastword.interruption import failures

faulthandler: Optional[ModuleType]
try:
    import faulthandler
except ImportError:  # a subinterpreter may not have it
    faulthandler = None

#: The most calls kept per thread: the innermost.
MAX_CALLS = 50

#: The most bytes read of faulthandler's text, which has at most 100 threads of 100 calls.
MAX_TEXT = 1 << 20

#: The pause after a dump, as a multiple of the dump's duration: dumps cost at most 5 % of one processor.
_PAUSE = 20

_THREAD = re.compile(r"(Current thread|Thread) 0x([0-9a-fA-F]+)")
_CALL = re.compile(r'  File "(.*)", line (\d+) in (.*?)(?: \[jit[a-z ]*\])?$')  # PyPy marks what it has compiled
_ESCAPE = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")

_CALLS_LEFT_OUT: Call = (LEFT_OUT, "(more frames left out)", 0)

_not_before = 0.0  # time.monotonic


def other_threads(room: Room, *, at_any_price: bool) -> list[ThreadStack]:
    """Return the other threads of this process that Python knows, each with its stack; at most 99.

    [] if there are no others, and, unless ``at_any_price``, during the pause after a dump. Never waits for a thread.
    """
    global _not_before
    if faulthandler is None or not _may_have_other_threads():
        return []
    began = time.monotonic()
    if not at_any_price and began < _not_before:
        return []
    stacks = _stacks(_dump(faulthandler).decode("ascii", "replace"), room)
    ended = time.monotonic()
    _not_before = ended + _PAUSE * (ended - began)
    return stacks


def _may_have_other_threads() -> bool:
    if not _has_gil():
        return False  # the other threads would keep running while faulthandler walks their stacks
    if threading.get_ident() != threading.main_thread().ident:
        return True
    return _thread._count() > 0 or len(known_threads()) > 1


def _has_gil() -> bool:
    is_enabled = getattr(sys, "_is_gil_enabled", None)
    return is_enabled is None or bool(is_enabled())


def _dump(faulthandler: ModuleType) -> bytes:
    """Return faulthandler's text, through a file in memory if possible, otherwise a pipe, which may be too small."""
    try:
        reading = writing = os.memfd_create("lastword-threads")
    except failures(AttributeError, OSError):
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        os.set_blocking(reading, False)
    try:
        faulthandler.dump_traceback(writing, all_threads=True)
        if reading == writing:
            os.lseek(reading, 0, os.SEEK_SET)
        return os.read(reading, MAX_TEXT)
    except failures(OSError):  # faulthandler wrote nothing
        return b""
    finally:
        os.close(reading)
        if writing != reading:
            os.close(writing)


def _stacks(text: str, room: Room) -> list[ThreadStack]:
    stacks: list[ThreadStack] = []
    own = True
    for line in text.split("\n"):
        call = None if own else _call(line)
        if call is not None:
            _add(call, stacks[-1], room)
            continue
        thread = _THREAD.match(line)
        if thread is not None:
            own = thread[1] != "Thread"
            if not own:
                stacks.append(_thread_stack(int(thread[2], 16)))
    for stack in stacks:
        stack["calls"].reverse()
    return stacks


def _thread_stack(ident: int) -> ThreadStack:
    known = known_threads().get(ident)
    try:
        name = clean(vars(known)["_name"], MAX_NAME)
    except failures():  # a thread that C code started, a name that is not a text
        name = f"Thread-{ident}"
    return {"id": ident, "name": name, "main": ident == threading.main_thread().ident, "calls": []}


def _call(line: str) -> Optional[Call]:
    if line == "  ...":
        return _CALLS_LEFT_OUT
    found = _CALL.match(line)
    if found is None:
        return None
    file = clean(_unescaped(found[1]), MAX_PATH)
    return file if os.path.isabs(file) else absolute_path(file), clean(_unescaped(found[3]), MAX_NAME), int(found[2])


def _add(call: Call, stack: ThreadStack, room: Room) -> None:
    calls = stack["calls"]
    if len(calls) > MAX_CALLS:
        return
    if len(calls) == MAX_CALLS or not room.take(json_cost(call[0]) + json_cost(call[1]) + 20):
        call = _CALLS_LEFT_OUT
    if not calls or calls[-1][0] != LEFT_OUT:
        calls.append(call)


def _unescaped(text: str) -> str:
    r"""Decode faulthandler's escapes: ``\xe9`` for é. It does not escape a backslash in a name."""
    return _ESCAPE.sub(lambda escape: chr(int(escape[0][2:], 16)), text) if "\\" in text else text
