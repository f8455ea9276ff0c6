"""Which way the flusher runs: rules as a pure function of what can be seen of the program and its surroundings."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from enum import Enum
from types import ModuleType
from typing import NamedTuple, Optional

from lastword.launch.detached import find_interpreter
from lastword.spool.lock import IN_SUBINTERPRETER


class Mode(Enum):
    """How events get from the spool to the tracker."""

    PROCESS = "process"  # a detached process, started by whoever has something to say and finds nobody leading
    THREAD = "thread"  # a thread of whoever has something to say and finds nobody leading
    EXTERNAL = "external"  # somebody else sees to it: `lastword flusher` under a supervisor
    IN_FLUSH = "in flush"  # nothing runs on its own; flush() sends
    HOLD = "hold"  # nothing is sent


class Circumstances(NamedTuple):
    """What the choice depends on."""

    has_dsn: bool = True
    is_frozen: bool = False  # an executable made by PyInstaller and the like: there is no Python to start
    has_interpreter: bool = True
    threads_run: bool = True  # beside the code of the program, while it is busy or waits
    stops_between_calls: bool = False  # a function as a service: all processes stand still until the next call


class Choice(NamedTuple):
    """What was chosen; ``if_starts_fail`` takes its place after three starts of a process that came to nothing.

    ``remark`` is what the user should know of it, or ''.
    """

    mode: Mode
    if_starts_fail: Mode
    remark: str = ""


def choose(asked: str, seen: Circumstances) -> Choice:
    """The mode for ``flusher=asked``. An explicit choice is obeyed where it can work at all."""
    if not seen.has_dsn or asked == "hold":
        return _only(Mode.HOLD)
    if asked == "external":
        return _only(Mode.EXTERNAL)
    if asked == "process":
        return _only(Mode.PROCESS)
    if asked == "thread":
        return _thread_if_possible(seen, "flusher='thread' was asked for")
    if seen.stops_between_calls:
        return _only(Mode.IN_FLUSH)
    if seen.is_frozen:
        return _thread_if_possible(seen, "this program is a frozen executable, so no process of Python can be started")
    if not seen.has_interpreter:
        return _thread_if_possible(seen, f"no Python interpreter was found (sys.executable is {sys.executable!r})")
    return Choice(Mode.PROCESS, Mode.THREAD if seen.threads_run else Mode.PROCESS)


def _only(mode: Mode) -> Choice:
    return Choice(mode, mode)


def _thread_if_possible(seen: Circumstances, why: str) -> Choice:
    if seen.threads_run:
        return _only(Mode.THREAD)
    remark = (
        f"events stay in the spool, nothing sends them: {why}, but threads do not run here (uWSGI needs "
        "--enable-threads; a sub-interpreter has none of its own). `lastword flusher` beside the program sends them, "
        "with flusher='external' here."
    )
    return Choice(Mode.HOLD, Mode.HOLD, remark)


def observe(has_dsn: bool, environ: Mapping[str, str] = os.environ) -> Circumstances:
    """Look at this program and its surroundings."""
    return Circumstances(
        has_dsn=has_dsn,
        is_frozen=bool(getattr(sys, "frozen", False)),
        has_interpreter=find_interpreter() is not None,
        threads_run=not IN_SUBINTERPRETER and threads_run_under(sys.modules.get("uwsgi")),
        stops_between_calls=stops_between_calls(environ),
    )


def threads_run_under(uwsgi: Optional[ModuleType]) -> bool:
    """Whether the server lets threads run; ``uwsgi`` is the module that it puts into its programs, None elsewhere.

    Without ``enable-threads`` an older uWSGI keeps the interpreter's lock while it waits for requests: a thread there
    was seen to run 2 times in 2 s.
    """
    options = getattr(uwsgi, "opt", None)
    if options is None:
        return True
    told = getattr(uwsgi, "has_threads", None)
    if told is not None:
        return bool(told)
    return any(name in options for name in ("enable-threads", b"enable-threads", "threads", b"threads"))


def stops_between_calls(environ: Mapping[str, str]) -> bool:
    """Whether this is AWS Lambda or a Google Cloud Function, which stop every process once a call is answered."""
    return "AWS_LAMBDA_FUNCTION_NAME" in environ or ("FUNCTION_TARGET" in environ and "K_SERVICE" in environ)
