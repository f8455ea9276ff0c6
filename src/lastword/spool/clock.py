"""A clock that nobody can set: it counts seconds from the machine's boot, also while the machine is suspended."""

from __future__ import annotations

import functools
import os
import time
from typing import Optional

from lastword.interruption import failures
from lastword.spool.identity import boot_id


def _boot_time() -> Optional[int]:
    """Return the id of the clock that counts from the boot; None if the system has none."""
    clock: Optional[int] = getattr(time, "CLOCK_BOOTTIME", None)
    try:
        return clock if clock is not None and time.clock_gettime(clock) else None
    except OSError:
        return None


_BOOT_TIME = _boot_time()

_THIS_PROCESS = os.urandom(8).hex()


def ticks() -> float:
    """Return the seconds since the moment that ``counted_from`` names."""
    return time.monotonic() if _BOOT_TIME is None else time.clock_gettime(_BOOT_TIME)


@functools.lru_cache(maxsize=1)
def counted_from() -> str:
    """Return a name for the moment from which ``ticks`` count, equal in all processes that may compare their ticks.

    These are the processes of one boot and time namespace; without a boot clock, this process and its children.
    """
    boot = None if _BOOT_TIME is None else boot_id()
    if boot is None:
        return _THIS_PROCESS
    try:
        return f"{boot} {os.readlink('/proc/self/ns/time')}"
    except failures(OSError):  # no time namespaces before Linux 5.6
        return boot
