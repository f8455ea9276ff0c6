"""The capturing process and thread, their interpreter and machine; tables of numbers under /proc."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any, NamedTuple

from lastword.capture.role import role
from lastword.capture.safe_text import clean
from lastword.descriptors import beginning_of
from lastword.event import HostInfo, ProcessInfo, RuntimeInfo, ThreadInfo, new_id
from lastword.interruption import failures
from lastword.per_process import PerProcess

MAX_NAME = 200
MAX_PROGRAM = 1024
_MAX_TEXT = 256

_MEMORY_AGE = 1.0

_STATUS_COUNTS = frozenset({b"FDSize", b"Threads", b"voluntary_ctxt_switches", b"nonvoluntary_ctxt_switches"})
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_IMPLEMENTATIONS = {"cpython": "CPython", "pypy": "PyPy"}
_MACHINE_ID_FILES = ("/var/lib/dbus/machine-id", "/etc/machine-id")


def read_table(path: str, *, counts: frozenset[bytes] = frozenset()) -> dict[str, int]:
    """Return the sizes in ``path``, in bytes, and the numbers of the lines named in ``counts``, by the kernel's names.

    {} if there is no such file. A size is a line that ends in ``kB``; some other lines only look like numbers.
    """
    table: dict[str, int] = {}
    for line in beginning_of(path, 65536).splitlines():
        name, _, rest = line.partition(b":")
        words = rest.split()
        if len(words) == 2 and words[1] == b"kB" and words[0].isdigit():
            table[name.decode("ascii", "replace")] = int(words[0]) * 1024
        elif len(words) == 1 and name in counts and words[0].isdigit():
            table[name.decode("ascii", "replace")] = int(words[0])
    return table


class _Identity(NamedTuple):
    """The values that stay the same as long as the pid does."""

    name: str
    started: float  # by the clock of _boot_time
    session: str
    role: str
    command: str


def _identify() -> _Identity:
    command, started = _command_and_start_time()
    return _Identity(_process_name(), started, _new_session(), role(), command)


_identity = PerProcess(_identify)
_memory = (-1, 0.0, 0)  # pid, time.monotonic(), and the bytes that were resident then


def process_info(*, with_status: bool) -> ProcessInfo:
    """Return this process. A forked child is recognised by its pid and gets its own identity without a hook."""
    identity, pid = _identity.get(), os.getpid()
    status = read_table("/proc/self/status", counts=_STATUS_COUNTS) if with_status else {}
    return {
        "pid": pid,
        "parent": os.getppid(),
        "name": identity.name,
        "program": _program(),
        "age": max(0.0, _boot_time() - identity.started),
        "session": identity.session,
        "role": identity.role,
        "command": identity.command,
        "memory": status.get("VmRSS") or _recent_memory(pid),
        "status": status,
    }


def _process_name() -> str:
    """Return the process name set by multiprocessing; ``MainProcess`` if the program does not use it."""
    module: Any = sys.modules.get("multiprocessing.process")
    try:
        name = module.current_process().name
    except failures():
        return "MainProcess"
    return clean(name, MAX_NAME) if type(name) is str else "MainProcess"


def _boot_time() -> float:
    """Return the seconds of the clock by which the kernel records the start of a process."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def _command_and_start_time() -> tuple[str, float]:
    """Return the kernel's name for this process and its start by the clock of ``_boot_time``; "" and now without /proc.

    The time of the import would not do: a child of a preloading server would be as old as its master, or, counted from
    its first event, always new.
    """
    beginning, _, rest = beginning_of("/proc/self/stat", 4096).rpartition(b")")
    try:
        command = beginning.partition(b"(")[2].decode("utf-8", "backslashreplace")
        return clean(command, MAX_NAME), int(rest.split()[19]) / os.sysconf("SC_CLK_TCK")
    except failures(OSError, ValueError, IndexError):
        return "", _boot_time()


def _recent_memory(pid: int) -> int:
    """Return the resident bytes, read at most a second ago: reading them costs as much as a small capture."""
    global _memory
    now = time.monotonic()
    known = _memory
    if known[0] != pid or not 0 <= now - known[1] < _MEMORY_AGE:
        known = _memory = pid, now, _resident_memory()
    return known[2]


def _resident_memory() -> int:
    try:
        return int(beginning_of("/proc/self/statm", 200).split()[1]) * _PAGE
    except failures(ValueError, IndexError):
        return 0


def _new_session() -> str:
    digits = new_id()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _program() -> str:
    try:
        return clean(sys.argv[0], MAX_PROGRAM)
    except failures():  # an embedded interpreter has no argv, and the program may have put anything there
        return ""


def thread_info() -> ThreadInfo:
    """Return the calling thread.

    Its name is read from the table of ``threading``: ``current_thread()`` would register a permanent dummy for a thread
    that C code started.
    """
    ident = threading.get_ident()
    main = ident == threading.main_thread().ident
    try:
        name = clean(known_threads()[ident].name, MAX_NAME)
    except failures():
        name = "MainThread" if main else f"Thread-{ident}"
    return {"id": ident, "name": name, "main": main}


def known_threads() -> dict[int, Any]:
    """Return the threads that ``threading`` knows. ``enumerate`` takes a lock that a fork may have left held."""
    return getattr(threading, "_active", {})


_RUNTIME: RuntimeInfo = {
    "name": _IMPLEMENTATIONS.get(sys.implementation.name, sys.implementation.name),
    "version": ".".join(map(str, sys.version_info[:3])),
    "release_level": sys.version_info.releaselevel,
}


def runtime_info() -> RuntimeInfo:
    """Return this interpreter; the version is that of the language, for PyPy too."""
    return _RUNTIME.copy()


def host_info(*, with_memory: bool) -> HostInfo:
    """Return this machine, read once per process: a forked child may run in another container than its parent."""
    return {**_host.get(), "memory": read_table("/proc/meminfo") if with_memory else {}}


def _host_without_memory() -> HostInfo:
    # Not through ``platform``: its results are cached properties, which on old Pythons take a lock at first use.
    if hasattr(os, "uname"):
        sysname, hostname, release, version, machine = (clean(text, _MAX_TEXT) for text in os.uname())
    else:
        sysname, release, version, machine = sys.platform, "", "", ""
        hostname = clean(os.environ.get("COMPUTERNAME", ""), _MAX_TEXT)
    return {
        "hostname": hostname,
        "sysname": sysname,
        "release": release,
        "version": version,
        "machine": machine,
        "machine_id": _machine_id(hostname),
        "memory": {},
    }


_host = PerProcess(_host_without_memory)


def _machine_id(hostname: str) -> str:
    """Return the machine id of D-Bus or systemd, otherwise the hostname; without white space, in lower case."""
    for path in _MACHINE_ID_FILES:
        first_line = beginning_of(path, 4096).partition(b"\n")[0]
        identity = "".join(clean(first_line.decode("utf-8", "replace"), _MAX_TEXT).split()).lower()
        if identity:
            return identity
    return "".join(hostname.split()).lower()
