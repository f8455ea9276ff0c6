"""Which process a writer belongs to: ``who.json``.

``{"pid":…,"start_time":…,"stack":…,"boot_id":…,"pid_namespace":…,"host":…,"program":…,"directory":…,"arguments":…,"uid":…,
"lastword":…,"born":…,"sys_path":[…]}``, and from its writer ``"role"`` (empty, or the purpose that a flusher made it
for) and ``"limits"`` (``spool.limits``).
``sys_path`` is the beginning of the program's ``sys.path``: at most 50 entries, of 8,192 characters together.
Older versions wrote ``modules`` instead, which nothing reads: names and versions of the distributions found there.
``arguments`` is a checksum of the command-line arguments: they may hold secrets, and are only compared.

The random writer id alone is the identity: two containers had pid 1 with the same start time, and namespace inodes are
reused. Pid, start time (clock ticks since boot), boot id and namespace only answer whether the process may still be
alive although its lock is free, which happens to programs that close every descriptor or archive their own spool. A
process that replaced itself by ``exec`` keeps all of these, but its new image has another stack address.
"""

from __future__ import annotations

import json
import os
import sys
import time
import zlib
from itertools import accumulate, islice
from typing import Any, Optional

from lastword.descriptors import closing
from lastword.interruption import failures
from lastword.spool.layout import ALIVE_LOCK, NO_FILE_OF_OURS, WHO, read_object
from lastword.spool.lock import holder
from lastword.version import __version__

#: Two processes in which these fields are equal count as the same program.
_PROGRAM_FIELDS = ("host", "program", "directory", "arguments", "uid")

_MOST_PLACES, _MOST_CHARACTERS = 50, 8192


def describe_this_process() -> dict[str, Any]:
    pid = os.getpid()
    argv = getattr(sys, "argv", None) or [""]
    return {
        "pid": pid,
        "start_time": start_time(pid),
        "stack": _stack(pid),
        "boot_id": boot_id(),
        "pid_namespace": pid_namespace(),
        "host": os.uname().nodename,
        "program": argv[0] or sys.executable or "",
        "directory": _working_directory(),
        "arguments": zlib.crc32("\0".join(map(str, argv[1:])).encode("utf-8", "backslashreplace")),
        "uid": os.geteuid(),
        "lastword": __version__,
        "born": time.time(),
        "sys_path": _import_path(),
    }


def program_of(who: dict[str, Any]) -> Optional[tuple[Any, ...]]:
    """Return a value that is equal for processes of one program: same user, machine, command line and working
    directory. None if these name no program: a console, ``python -c`` or ``-m``, a writer of an older version.
    """
    told = tuple(who.get(name) for name in _PROGRAM_FIELDS)
    program = who.get("program")
    if any(type(field) not in (str, int) for field in told) or type(program) is not str:
        return None
    names_one = program and not program.startswith("-")
    return told if names_one and not os.path.basename(program).startswith(("python", "pypy")) else None


def encode(who: dict[str, Any]) -> bytes:
    return json.dumps(who).encode("ascii")


def read_who(path: str) -> dict[str, Any]:
    """Return the content of a ``who.json``; {} if the file is missing or garbage, never an error."""
    try:
        return read_object(path)
    except failures(OSError, ValueError, RecursionError):
        return {}


def may_be_alive(who: dict[str, Any]) -> bool:
    """Return whether the process described by ``who`` is visibly alive from here: same boot, same namespace, same start
    time, and no other program since.

    False if that cannot be determined: the free lock then decides. Also False for a writer with a role: a flusher lets
    go of it long before it ends itself.
    """
    if who.get("role") or who.get("boot_id") != boot_id() or who.get("pid_namespace") != pid_namespace():
        return False
    pid, started = who.get("pid"), who.get("start_time")
    if type(pid) is not int or started is None or start_time(pid) != started:
        return False
    told, seen = who.get("stack"), _stack(pid)
    return not told or not seen or told == seen


def is_dead(directory: str, who: Optional[dict[str, Any]] = None) -> bool:
    """Return whether the process of this writer's directory has ended: its lock is free, and it is not visibly alive.
    ``who``: the content of ``who.json``, if the caller has read it.

    A lock that is free while the process lives was lost (the process archived its own spool, or closed every
    descriptor). If the lock's file was lost, only ``may_be_alive`` decides. False if it cannot be determined just now.
    """
    try:
        if holder(os.path.join(directory, ALIVE_LOCK)) is not None:
            return False
    except failures(OSError) as error:
        if error.errno not in NO_FILE_OF_OURS:
            return False
    return not may_be_alive(read_who(os.path.join(directory, WHO)) if who is None else who)


def start_time(pid: int) -> Optional[int]:
    """Return when a process started, in clock ticks since boot; None if there is no such process, or no ``/proc``.

    A zombie counts as gone: it will never write again.
    """
    try:
        fields = stat_of(pid)
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    except failures(OSError, ValueError, IndexError):
        return None


def _stack(pid: int) -> int:
    """Return where the stack of a process began when its program was started; 0 if the kernel does not show it (to
    other users, and for a process that has changed its user).
    """
    try:
        return int(stat_of(pid)[25])
    except failures(OSError, ValueError, IndexError):
        return 0


def stat_of(pid: int) -> list[bytes]:
    """Return the fields of ``/proc/<pid>/stat`` behind the name: the state first. Raises OSError or ValueError."""
    line = _read_proc(f"/proc/{pid}/stat")
    return line[line.rindex(b")") + 2 :].split()  # the name in brackets may hold spaces


def boot_id() -> Optional[str]:
    try:
        return _read_proc("/proc/sys/kernel/random/boot_id").decode("ascii").strip()
    except failures(OSError, ValueError, RecursionError):
        return None


def pid_namespace() -> Optional[str]:
    try:
        return os.readlink("/proc/self/ns/pid")
    except failures(OSError):
        return None


def _working_directory() -> Optional[str]:
    try:
        return os.getcwd()
    except failures(OSError):  # it was removed
        return None


def _import_path() -> list[str]:
    places = [place for place in islice(sys.path, _MOST_PLACES) if type(place) is str]
    return [place for place, total in zip(places, accumulate(map(len, places))) if total <= _MOST_CHARACTERS]


def _read_proc(path: str) -> bytes:
    with closing(os.open(path, os.O_RDONLY)) as descriptor:
        return os.read(descriptor, 4096)
