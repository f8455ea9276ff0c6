"""Choose how the flusher runs: a pure function of the observed program and its environment."""

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

    PROCESS = "process"  # a detached process, started by a process that records an event and finds no leader
    THREAD = "thread"  # a thread of a process that records an event and finds no leader
    EXTERNAL = "external"  # run by the user: `lastword flusher` under a supervisor
    IN_FLUSH = "in flush"  # no background flusher; flush() sends
    HOLD = "hold"  # nothing is sent


class Circumstances(NamedTuple):
    """The facts that the choice depends on."""

    has_dsn: bool = True
    is_frozen: bool = False  # an executable made by PyInstaller or similar: there is no Python to start
    has_interpreter: bool = True
    threads_run: bool = True  # beside the program's code, while it is busy or waits
    stops_between_calls: bool = False  # function as a service: all processes are frozen until the next call


class Choice(NamedTuple):
    """The chosen mode; ``if_starts_fail`` replaces it after three failed starts of a process.

    ``remark`` is a note about the choice for the user, or ''.
    """

    mode: Mode
    if_starts_fail: Mode
    remark: str = ""


def choose(asked: str, seen: Circumstances) -> Choice:
    """Return the mode for ``flusher=asked``. An explicit choice is followed if it can work at all."""
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
        f"events stay in the spool and are not sent: {why}, but threads do not run here (uWSGI needs --enable-threads; "
        "a sub-interpreter cannot run any). To send them, set flusher='external' and run `lastword flusher` beside the "
        "program."
    )
    return _only(Mode.HOLD)._replace(remark=remark)


def observe(has_dsn: bool, environ: Mapping[str, str] = os.environ) -> Circumstances:
    """Return the circumstances of this program."""
    return Circumstances(
        has_dsn=has_dsn,
        is_frozen=bool(getattr(sys, "frozen", False)),
        has_interpreter=find_interpreter() is not None,
        threads_run=not IN_SUBINTERPRETER and threads_run_under(sys.modules.get("uwsgi")),
        stops_between_calls=stops_between_calls(environ),
    )


def threads_run_under(uwsgi: Optional[ModuleType]) -> bool:
    """Return whether the server lets threads run; ``uwsgi`` is the module that uWSGI provides, None elsewhere.

    Without ``enable-threads`` an older uWSGI keeps the interpreter's lock while it waits for requests: a thread there
    was seen to run 2 times in 2 s.
    """
    options = getattr(uwsgi, "opt", None)
    if options is None:
        return True
    has_threads = getattr(uwsgi, "has_threads", None)
    if has_threads is not None:
        return bool(has_threads)
    return any(name in options for name in ("enable-threads", b"enable-threads", "threads", b"threads"))


def stops_between_calls(environ: Mapping[str, str]) -> bool:
    """Return whether this is AWS Lambda or a Google Cloud Function, which freeze all processes between calls."""
    return "AWS_LAMBDA_FUNCTION_NAME" in environ or ("FUNCTION_TARGET" in environ and "K_SERVICE" in environ)
