"""The machine that captures."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from lastword.capture.process import read_table
from lastword.capture.safe_text import clean
from lastword.event import HostInfo
from lastword.interruption import failures

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
    """This machine, read once per process: a forked child may live in another container than its parent."""
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
    # Not by ``platform``: its answers are cached properties, which on old Pythons take a lock at first use.
    if not hasattr(os, "uname"):
        hostname = clean(os.environ.get("COMPUTERNAME", ""), _MAX_TEXT)
        return _Machine(pid, hostname, sys.platform, "", "", "", _machine_id(hostname))
    sysname, hostname, release, version, machine = (clean(text, _MAX_TEXT) for text in os.uname())
    return _Machine(pid, hostname, sysname, release, version, machine, _machine_id(hostname))


def _machine_id(hostname: str) -> str:
    """What D-Bus or systemd call this machine, without white space and in lower case; its hostname without them."""
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
