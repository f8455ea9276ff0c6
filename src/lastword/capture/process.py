"""The process and the thread that capture, and their interpreter."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any, NamedTuple

from lastword.capture.kernel_table import read_table
from lastword.capture.safe_text import clean
from lastword.event import ProcessInfo, RuntimeInfo, ThreadInfo, new_id

MAX_NAME = 200
MAX_PROGRAM = 1024

_STATUS_COUNTS = frozenset({b"FDSize", b"Threads", b"voluntary_ctxt_switches", b"nonvoluntary_ctxt_switches"})
_IMPLEMENTATIONS = {"cpython": "CPython", "pypy": "PyPy"}


class _Identity(NamedTuple):
    """What stays the same as long as the pid does."""

    pid: int
    name: str
    started: float  # on the clock of _boot_time
    session: str


_identity = _Identity(pid=-1, name="", started=0.0, session="")


def process_info(*, with_status: bool) -> ProcessInfo:
    """This process. A forked child is told by its pid, so it needs no hook to get an identity of its own."""
    identity = _current_identity()
    return {
        "pid": identity.pid,
        "name": identity.name,
        "program": _program(),
        "age": max(0.0, _boot_time() - identity.started),
        "session": identity.session,
        "status": read_table("/proc/self/status", counts=_STATUS_COUNTS) if with_status else {},
    }


def _current_identity() -> _Identity:
    global _identity
    pid = os.getpid()
    if _identity.pid != pid:
        _identity = _Identity(pid=pid, name=_process_name(), started=_start_time(), session=_new_session())
    return _identity


def _process_name() -> str:
    """The name that multiprocessing gave this process; ``MainProcess`` where the program does not use it."""
    module: Any = sys.modules.get("multiprocessing.process")
    try:
        name = module.current_process().name
    except Exception:
        return "MainProcess"
    return clean(name, MAX_NAME) if type(name) is str else "MainProcess"


def _boot_time() -> float:
    """Seconds on the clock by which the kernel notes when a process started."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def _start_time() -> float:
    """When the kernel started this process, on the clock of ``_boot_time``; now, where there is no /proc.

    Not the time of the import: a child of a preloading server would be as old as its master, or, counted from its
    first event, always new.
    """
    try:
        with open("/proc/self/stat", "rb", buffering=0) as file:
            fields = (file.read(4096) or b"").rpartition(b")")[2].split()
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return _boot_time()


def _new_session() -> str:
    digits = new_id()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _program() -> str:
    try:
        return clean(sys.argv[0], MAX_PROGRAM)
    except Exception:  # an embedded interpreter has no argv, and the program may have put anything there
        return ""


def thread_info() -> ThreadInfo:
    """The calling thread.

    Its name is looked up where ``threading`` keeps it: ``current_thread()`` would register a dummy for a thread that
    was started by C code, for ever.
    """
    ident = threading.get_ident()
    main = ident == threading.main_thread().ident
    known: dict[int, Any] = getattr(threading, "_active", {})
    try:
        name = clean(known[ident].name, MAX_NAME)
    except Exception:
        name = "MainThread" if main else f"Thread-{ident}"
    return {"id": ident, "name": name, "main": main}


def _runtime() -> RuntimeInfo:
    name = sys.implementation.name
    major, minor, micro, release_level, _ = sys.version_info
    return {
        "name": _IMPLEMENTATIONS.get(name, name),
        "version": f"{major}.{minor}.{micro}",
        "release_level": release_level,
    }


_RUNTIME = _runtime()


def runtime_info() -> RuntimeInfo:
    """This interpreter; the version is that of the language, for PyPy too."""
    return _RUNTIME.copy()
