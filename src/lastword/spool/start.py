"""Which process may start a flusher, and when: ``start.lock``, ``start.json`` and ``helper.lock``.

``start.json`` is ``{"failures":…,"not_before":…,"unfinished":…,"stopped_at":…}``, times in Unix seconds. It is written
only under ``start.lock``. Before a start, the starter counts it as failed and marks it as unfinished; it removes the
mark once the helper runs. The flusher that comes to lead, or finds another one leading, clears the count. So

* a flusher that cannot run is tried after 1, 2, 4 … 60 seconds,
* a flusher that was killed while it led is replaced at once,
* and a starter that was killed before it had started anything delays no other.

``stopped_at`` is when a flusher was asked to leave, perhaps with its whole service: the pause that follows applies to
processes that ran then, not to those that began later. A process with events to send during a pause starts a helper
that waits until the pause is over, so that no process has to come back for that.

The starter creates ``helper.lock``; the helper locks it, as one of its first acts, until it leads. While it is locked,
the last start has not failed, however long it takes: otherwise three slow starts would count as a flusher that cannot
run. After ``MAX_WAIT`` seconds the start counts as failed nevertheless. The file contains the interpreter of the last
helper that came to lead, and when that interpreter was changed (``launch.detached.interpreter_id``).
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from typing import NamedTuple, Optional

from lastword import checked
from lastword.interruption import failures, suppressed
from lastword.spool import inside
from lastword.spool.layout import (
    Layout,
    open_private,
    read_object,
    read_small_file,
    reserve,
    write_in_place,
)
from lastword.spool.lock import LifetimeLock, holder

MAX_WAIT = 60.0

#: Bytes of ``start.json``.
SIZE = 256

_LONGEST_PATH = 4096

#: After this many failed starts the flusher is run in another way, if there is one.
MOST_FAILURES = 3

#: The seconds that a helper may take to lock ``helper.lock``.
BIRTH = 0.5

_LOCK_PATIENCE = 1.0


class StartState(NamedTuple):
    """The result of the latest starts of a flusher."""

    failures: int = 0
    not_before: float = 0.0
    unfinished: bool = False
    stopped_at: float = 0.0

    def allows(self, now: float) -> bool:
        """Return whether the process that holds ``start.lock`` may start a flusher.

        A ``not_before`` further ahead than lastword ever sets it comes from a wrong clock, and is ignored.
        """
        return self.unfinished or now >= self.not_before or self.not_before > now + MAX_WAIT

    def for_process(self, began: float) -> StartState:
        """Return the state that applies to a process that began to report at ``began`` (Unix seconds)."""
        return StartState() if 0.0 < self.stopped_at < began else self

    def may_be_coming(self, now: float) -> bool:
        """Return whether the last start is so recent that its helper, if alive, may still come to lead."""
        return abs(now - self.not_before) <= MAX_WAIT

    def may_come_soon(self, now: float) -> bool:
        """Return whether a start was made, and outside a pause, so that its helper does not wait."""
        return self.failures > 0 and self.not_before - now <= _wait_after(self.failures - 1)

    def may_be_waited_out(self, now: float) -> bool:
        """Return whether a helper that waits for the end of the pause may be started now.

        It may if none was started in this pause yet, or if the last one has died and ``MOST_FAILURES`` is not reached.
        """
        last_start = self.not_before - _wait_after(self.failures - 1)
        return self.failures == 0 or (self.failures < MOST_FAILURES and now >= last_start + BIRTH)

    def before_start(self, now: float) -> StartState:
        """Return the state to write before a start, as if it failed. A pause that ends later stays in force."""
        wait = now + _wait_after(self.failures)
        paused_until = self.not_before if not self.allows(now) else 0.0
        return StartState(self.failures + 1, max(wait, paused_until), unfinished=True, stopped_at=self.stopped_at)

    def after_start(self, now: float) -> StartState:
        """Return the state to write at ``now``, when the helper runs or could not be started.

        On a busy machine that took a while, and what the helper does next may take as long again.
        """
        return self._replace(unfinished=False, not_before=max(self.not_before, now + _wait_after(self.failures - 1)))

    def after_failure(self) -> StartState:
        """Return the state to write when it is certain that no helper can run."""
        return StartState(max(self.failures, MOST_FAILURES), self.not_before)


def _wait_after(failures: int) -> float:
    return min(2.0 ** min(failures, 10), MAX_WAIT)


def load(layout: Layout) -> StartState:
    """Read ``start.json``; return a fresh state if it is missing or damaged."""
    try:
        told = read_object(layout.start_state, SIZE)
        return StartState(
            checked.integer(told.get("failures")),
            checked.seconds(told.get("not_before")),
            told.get("unfinished") is True,
            checked.seconds(told.get("stopped_at", 0.0)),
        )
    except failures(OSError, ValueError, RecursionError):
        return StartState()


def is_coming(layout: Layout, state: StartState, now: float) -> bool:
    """Return whether the helper of the last start is alive, not overdue, and not leading yet. Never raises."""
    try:
        return state.may_be_coming(now) and holder(layout.helper_lock) is not None
    except failures(OSError):  # a foreign file with that name: the answer is unknown
        return False


def make_helper_lock(layout: Layout) -> None:
    """Create the file for the helper to lock; the helper creates no file before it has checked where it is."""
    with suppressed(OSError):  # then no process knows whether a helper is coming; nothing else fails
        os.close(open_private(layout.helper_lock, os.O_RDWR | os.O_CREAT))


def lock_helper(layout: Layout) -> Optional[int]:
    """Lock ``helper.lock`` for a flusher that broke down and will try again.

    Return its descriptor, or None if it cannot be locked.
    """
    descriptor = None
    try:
        descriptor = open_private(layout.helper_lock, os.O_RDWR | os.O_CREAT)
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except failures(OSError):
        if descriptor is not None:
            os.close(descriptor)
        return None
    return descriptor


def is_helper_lock(layout: Layout, descriptor: int) -> bool:
    """Return whether ``descriptor`` is of this spool's ``helper.lock``.

    A helper opens that file before it can load the code that follows no links.
    """
    try:
        return os.path.samestat(os.fstat(descriptor), inside.lstat(layout.helper_lock))
    except failures(OSError):
        return False


def has_led(layout: Layout, interpreter: str) -> bool:
    """Return whether the last helper that came to lead ran with this interpreter. Never raises."""
    try:
        return read_small_file(layout.helper_lock, _LONGEST_PATH) == os.fsencode(interpreter)
    except failures(OSError):
        return False


def remember_leading(descriptor: int, interpreter: str) -> None:
    """Record that a helper with this interpreter came to lead; ``descriptor`` is its open ``helper.lock``."""
    with suppressed(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, os.fsencode(interpreter), 0)


def preallocate(layout: Layout) -> None:
    """Reserve disk space for ``start.json`` while there is some."""
    reserve(layout.start_state, SIZE)


def store(layout: Layout, state: StartState) -> None:
    """Write ``start.json``; the caller holds ``start.lock``. Raises OSError.

    It is written in place with a fixed length, so that an existing file needs no more room on a full disk.
    """
    write_in_place(layout.start_state, json.dumps(state._asdict()).encode("ascii").ljust(SIZE))


def clear_failures(layout: Layout) -> None:
    """Allow the next start at once, because a flusher leads, whatever failed before. Raises OSError."""
    _replace(layout, StartState())


def pause(layout: Layout, not_before: float, stopped_at: float = 0.0) -> None:
    """Let no flusher lead before ``not_before`` (Unix seconds). Raises OSError.

    ``stopped_at`` is given if the flusher was asked to leave; processes that begin later ignore the pause.
    """
    _replace(layout, StartState(0, not_before, stopped_at=stopped_at))


def _replace(layout: Layout, state: StartState) -> None:
    """Write ``start.json`` under its lock, which is held for milliseconds; wait at most ``_LOCK_PATIENCE`` seconds."""
    deadline = time.monotonic() + _LOCK_PATIENCE
    while time.monotonic() < deadline:
        lock = LifetimeLock.acquire(layout.start_lock)
        if lock is not None:
            try:
                if load(layout) != state:
                    store(layout, state)
            finally:
                lock.release()
            return
        time.sleep(0.002)
