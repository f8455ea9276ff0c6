"""The capturing process and thread, their interpreter and machine; tables of numbers under /proc."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any, NamedTuple

from lastword.capture.role import role
from lastword.capture.safe_text import clean
from lastword.event import HostInfo, ProcessInfo, RuntimeInfo, ThreadInfo, new_id
from lastword.interruption import failures


def read_table(path: str, *, counts: frozenset[bytes] = frozenset()) -> dict[str, int]:
    """Return the sizes in ``path``, in bytes, and the numbers of the lines named in ``counts``, by the kernel's names.

    {} if there is no such file. A size is a line that ends in ``kB``; some other lines only look like numbers.
    """
    try:
        # In one read, because each read shows a different moment.
        with open(path, "rb", buffering=0) as file:
            content = file.read(65536) or b""
    except failures(OSError):
        return {}
    table: dict[str, int] = {}
    for line in content.splitlines():
        name, _, rest = line.partition(b":")
        words = rest.split()
        if len(words) == 2 and words[1] == b"kB" and words[0].isdigit():
            table[name.decode("ascii", "replace")] = int(words[0]) * 1024
        elif len(words) == 1 and name in counts and words[0].isdigit():
            table[name.decode("ascii", "replace")] = int(words[0])
    return table


MAX_NAME = 200
MAX_PROGRAM = 1024

_MEMORY_AGE = 1.0

_STATUS_COUNTS = frozenset({b"FDSize", b"Threads", b"voluntary_ctxt_switches", b"nonvoluntary_ctxt_switches"})
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_IMPLEMENTATIONS = {"cpython": "CPython", "pypy": "PyPy"}


class _Identity(NamedTuple):
    """The values that stay the same as long as the pid does."""

    pid: int
    name: str
    started: float  # by the clock of _boot_time
    session: str
    role: str
    command: str


_identity = _Identity(pid=-1, name="", started=0.0, session="", role="", command="")


class _Memory(NamedTuple):
    pid: int
    read_at: float  # time.monotonic
    resident: int


_memory = _Memory(pid=-1, read_at=0.0, resident=0)


def process_info(*, with_status: bool) -> ProcessInfo:
    """Return this process. A forked child is recognised by its pid and gets its own identity without a hook."""
    identity = _current_identity()
    status = read_table("/proc/self/status", counts=_STATUS_COUNTS) if with_status else {}
    return {
        "pid": identity.pid,
        "parent": os.getppid(),
        "name": identity.name,
        "program": _program(),
        "age": max(0.0, _boot_time() - identity.started),
        "session": identity.session,
        "role": identity.role,
        "command": identity.command,
        "memory": status.get("VmRSS") or _recent_memory(identity.pid),
        "status": status,
    }


def _current_identity() -> _Identity:
    global _identity
    pid = os.getpid()
    if _identity.pid != pid:
        command, started = _command_and_start_time()
        _identity = _Identity(
            pid=pid, name=_process_name(), started=started, session=_new_session(), role=role(), command=command
        )
    return _identity


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
    try:
        with open("/proc/self/stat", "rb", buffering=0) as file:
            beginning, _, rest = (file.read(4096) or b"").rpartition(b")")
        command = beginning.partition(b"(")[2].decode("utf-8", "backslashreplace")
        return clean(command, MAX_NAME), int(rest.split()[19]) / os.sysconf("SC_CLK_TCK")
    except failures(OSError, ValueError, IndexError):
        return "", _boot_time()


def _recent_memory(pid: int) -> int:
    """Return the resident bytes, read at most a second ago: reading them costs as much as a small capture."""
    global _memory
    now = time.monotonic()
    known = _memory
    if known.pid != pid or not 0 <= now - known.read_at < _MEMORY_AGE:
        known = _memory = _Memory(pid, now, _resident_memory())
    return known.resident


def _resident_memory() -> int:
    try:
        descriptor = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    except failures(OSError):
        return 0
    try:
        return int(os.read(descriptor, 200).split()[1]) * _PAGE
    except failures(OSError, ValueError, IndexError):
        return 0
    finally:
        os.close(descriptor)


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
    known: dict[int, Any] = getattr(threading, "_active", {})
    try:
        name = clean(known[ident].name, MAX_NAME)
    except failures():
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
    """Return this interpreter; the version is that of the language, for PyPy too."""
    return _RUNTIME.copy()


_MACHINE_ID_FILES = ("/var/lib/dbus/machine-id", "/etc/machine-id")
_MAX_TEXT = 256


class _Machine(NamedTuple):
    pid: int
    hostname: str
    sysname: str
    release: str
    version: str
    machine: str
    machine_id: str


_machine = _Machine(-1, "", "", "", "", "", "")


def host_info(*, with_memory: bool) -> HostInfo:
    """Return this machine, read once per process: a forked child may run in another container than its parent."""
    global _machine
    pid = os.getpid()
    if _machine.pid != pid:
        _machine = _look_around(pid)
    return {
        "hostname": _machine.hostname,
        "sysname": _machine.sysname,
        "release": _machine.release,
        "version": _machine.version,
        "machine": _machine.machine,
        "machine_id": _machine.machine_id,
        "memory": read_table("/proc/meminfo") if with_memory else {},
    }


def _look_around(pid: int) -> _Machine:
    # Not through ``platform``: its results are cached properties, which on old Pythons take a lock at first use.
    if not hasattr(os, "uname"):
        hostname = clean(os.environ.get("COMPUTERNAME", ""), _MAX_TEXT)
        return _Machine(pid, hostname, sys.platform, "", "", "", _machine_id(hostname))
    sysname, hostname, release, version, machine = (clean(text, _MAX_TEXT) for text in os.uname())
    return _Machine(pid, hostname, sysname, release, version, machine, _machine_id(hostname))


def _machine_id(hostname: str) -> str:
    """Return the machine id of D-Bus or systemd, otherwise the hostname; without white space, in lower case."""
    for path in _MACHINE_ID_FILES:
        try:
            with open(path, "rb", buffering=0) as file:
                first_line = (file.read(4096) or b"").partition(b"\n")[0]
        except failures(OSError):
            continue
        identity = "".join(clean(first_line.decode("utf-8", "replace"), _MAX_TEXT).split()).lower()
        if identity:
            return identity
    return "".join(hostname.split()).lower()
