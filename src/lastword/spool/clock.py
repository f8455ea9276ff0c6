"""Seconds that nobody sets: a clock that counts on from the machine's start, also while the machine is suspended."""

from __future__ import annotations

import functools
import os
import time
from typing import Optional

from lastword.interruption import failures
from lastword.spool.identity import boot_id


def _boot_time() -> Optional[int]:
    """The id of the clock that counts from the boot; None where there is none."""
    clock: Optional[int] = getattr(time, "CLOCK_BOOTTIME", None)
    try:
        return clock if clock is not None and time.clock_gettime(clock) else None
    except OSError:
        return None


_BOOT_TIME = _boot_time()

_THIS_PROCESS = os.urandom(8).hex()


def ticks() -> float:
    """Seconds since some moment that ``counted_from`` names."""
    return time.monotonic() if _BOOT_TIME is None else time.clock_gettime(_BOOT_TIME)


@functools.lru_cache(maxsize=1)
def counted_from() -> str:
    """The moment from which ``ticks`` count: equal in all processes that may compare theirs.

    That is the boot, in one namespace of clocks. Where there is no such clock, this process and its children.
    """
    boot = None if _BOOT_TIME is None else boot_id()
    if boot is None:
        return _THIS_PROCESS
    try:
        return f"{boot} {os.readlink('/proc/self/ns/time')}"
    except failures(OSError):  # no such namespaces before Linux 5.6
        return boot
