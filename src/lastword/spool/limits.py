"""How much the spool may hold, and what is dropped first when it holds more.

* All segments together: ``spool`` bytes; the oldest sealed segment goes first, by the time it was last written. A
  living writer's open segment is never touched, so the spool stays below its limit plus one segment for each living
  writer. If the flusher does not make room in time, writers stop at that size, give or take an event, and refuse
  further events.
* One record: kept until it is ``age`` seconds old, both by the event's clock *and* by the time since a flusher first
  saw its writer, so that a wrong clock at either end drops nothing.
* Everything set aside: ``set_aside`` bytes of disk, where a file takes at least 4 KiB; damaged records go first, then
  events, the oldest first in both. That holds at any moment, plus one file.

Dropped records are counted in the ledger, events as dropped, with the reason.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Optional

from lastword import checked
from lastword.interruption import failures, suppressed
from lastword.spool import inside

#: The spool takes at most this part of the room that a file system has for us, used or free.
SHARE_OF_FREE = 0.1
MAX_SPOOL = 256 << 20
MAX_SPOOL_IN_MEMORY = 32 << 20
MIN_SPOOL = 1 << 20

#: File systems that are the machine's memory.
IN_MEMORY = frozenset({"tmpfs", "ramfs"})

SPOOL_FULL, TOO_OLD = "spool full", "too old"


class Limits(NamedTuple):
    """The limits that a writer asks for; each writer stores them in its ``who.json``.

    Attributes:
        spool: bytes of all segments; None leaves it to the file system (``default_spool_limit``).
        age: seconds that an event is worth keeping.
        set_aside: bytes that everything set aside may occupy.
    """

    spool: Optional[int] = None
    age: float = 7 * 24 * 3600.0
    set_aside: int = 32 << 20

    def encode(self) -> dict[str, Any]:
        return self._asdict()

    @classmethod
    def decode(cls, data: object) -> Limits:
        """Read the result of ``encode``; a value that is missing or not a number gets its default."""
        told = data if isinstance(data, Mapping) else {}
        found: dict[str, Any] = {}
        for name in cls._fields:
            with suppressed(ValueError):
                found[name] = checked.number(told.get(name), 0, sys.float_info.max)
        return cls(**found)


def widest(asked: Iterable[Limits]) -> Limits:
    """Return the limits of a spool that several programs share: for each figure the most generous one asked for."""
    everyone = list(asked) or [Limits()]
    explicit = [limits.spool for limits in everyone if limits.spool is not None]
    return Limits(
        spool=max(explicit) if explicit else None,
        age=max(limits.age for limits in everyone),
        set_aside=max(limits.set_aside for limits in everyone),
    )


def default_spool_limit(*, free: int, used: int, in_memory: bool) -> int:
    """Return the limit if nobody asked for one: at most a tenth of the room that is free or already ours.

    Args:
        free: bytes that the file system has left for us.
        used: bytes that the spool has now.
        in_memory: whether the file system is the machine's memory.
    """
    most = MAX_SPOOL_IN_MEMORY if in_memory else MAX_SPOOL
    return max(min(most, int((free + used) * SHARE_OF_FREE)), MIN_SPOOL)


def spool_limit(asked: Optional[int], base: str, used: int) -> int:
    """Return the limit in bytes for the spool whose ``v1`` is at ``base``, of which ``used`` bytes are used."""
    if asked is not None:
        return asked
    try:
        with inside.directory(base) as descriptor:
            found, device = os.statvfs(descriptor), os.fstat(descriptor).st_dev
    except failures(OSError):
        return MIN_SPOOL
    in_memory = _kind_of(device) in IN_MEMORY
    return default_spool_limit(free=found.f_bavail * found.f_frsize, used=used, in_memory=in_memory)


def file_system_of(path: str) -> Optional[str]:
    """Return the kind of the file system that ``path`` is on, as the kernel names it; None if that is unknown."""
    try:
        return _kind_of(os.stat(path).st_dev)
    except failures(OSError):
        return None


def _kind_of(device: int) -> Optional[str]:
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
            return kind_of_device(mounts, f"{os.major(device)}:{os.minor(device)}")
    except failures(OSError):
        return None


def kind_of_device(mounts: Iterable[str], device: str) -> Optional[str]:
    """Return the kind of file system of ``device`` (``major:minor``), from the lines of a ``mountinfo``."""
    for mount in mounts:
        before, _, after = mount.partition(" - ")
        if before.split()[2:3] == [device] and after.split():
            return after.split()[0]
    return None
