"""Who may start a flusher, and when: ``start.lock``, ``start.json`` and ``helper.lock``.

``start.json`` is ``{"failures":…,"not_before":…,"unfinished":…,"stopped_at":…}``, times in Unix seconds. It is written
only under ``start.lock``. A starter counts its start as failed, and unfinished, before it makes it, and takes back the
latter once the helper runs; the flusher that comes to lead, or finds another one leading, clears the count. So

* a flusher that cannot run is tried after 1, 2, 4 … 60 seconds,
* one that was killed while it led is followed at once,
* and a starter that was killed before it had started anything holds up nobody.

``stopped_at`` is when a flusher was told to leave, with all of its service perhaps: the pause that follows is for those
who were there then, and not for who began later. Whoever has something to say during a pause starts a helper that waits
until it is over, so that nobody has to come back for that.

``helper.lock`` is made by the starter, and locked by the helper itself, as one of its first acts, until it leads. While
it is, the last start has not failed, however long it takes: three that were only slow would be taken for a flusher that
cannot run. Past ``MAX_WAIT`` seconds it counts as failed nevertheless. What the file holds is the interpreter of the
last helper that came to lead, and when it was changed (``launch.detached.as_it_is``).
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

#: After this many starts that came to nothing the flusher is run in another way, if there is one.
MOST_FAILURES = 3

#: How long a helper may take to lock ``helper.lock``, in seconds.
BIRTH = 0.5

_LOCK_PATIENCE = 1.0


class StartState(NamedTuple):
    """How starting a flusher has gone lately."""

    failures: int = 0
    not_before: float = 0.0
    unfinished: bool = False
    stopped_at: float = 0.0

    def allows(self, now: float) -> bool:
        """Whether one may be started, by whoever holds ``start.lock``.

        A time further ahead than any we set comes from a clock that was wrong.
        """
        return self.unfinished or now >= self.not_before or self.not_before > now + MAX_WAIT

    def for_process(self, began: float) -> StartState:
        """The state as a process sees it that began to report at ``began`` (Unix seconds)."""
        return StartState() if 0.0 < self.stopped_at < began else self

    def may_be_coming(self, now: float) -> bool:
        """Whether the last start was made so lately that its helper, if it lives, may still come to lead."""
        return abs(now - self.not_before) <= MAX_WAIT

    def may_come_soon(self, now: float) -> bool:
        """Whether the last start was made, and not in a pause, so that its helper waits for nothing."""
        return self.failures > 0 and self.not_before - now <= _wait_after(self.failures - 1)

    def may_be_waited_out(self, now: float) -> bool:
        """Whether a helper that waits may be started although it is not time: nobody was started for this pause yet,
        or who was has died, and not too often.
        """
        last_start = self.not_before - _wait_after(self.failures - 1)
        return self.failures == 0 or (self.failures < MOST_FAILURES and now >= last_start + BIRTH)

    def before_start(self, now: float) -> StartState:
        """The state to write before a start, as if it were to fail. A pause that lasts longer goes on."""
        wait = now + _wait_after(self.failures)
        paused_until = self.not_before if not self.allows(now) else 0.0
        return StartState(self.failures + 1, max(wait, paused_until), unfinished=True, stopped_at=self.stopped_at)

    def after_start(self) -> StartState:
        """The state to write when the helper runs, or could not be started."""
        return self._replace(unfinished=False)

    def after_failure(self) -> StartState:
        """The state to write when it is certain that no helper can run."""
        return StartState(max(self.failures, MOST_FAILURES), self.not_before)


def _wait_after(failures: int) -> float:
    return min(2.0 ** min(failures, 10), MAX_WAIT)


def load(layout: Layout) -> StartState:
    """What ``start.json`` says; a fresh state when it is missing or garbage."""
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
    """Whether the helper of the last start lives, is not late beyond reason, and does not lead yet. Never raises."""
    try:
        return state.may_be_coming(now) and holder(layout.helper_lock) is not None
    except failures(OSError):  # something stands in the place of that file: it cannot be told
        return False


def make_helper_lock(layout: Layout) -> None:
    """Make the file that the helper is to lock; it makes none itself, before it has looked where it is."""
    with suppressed(OSError):  # then it cannot be told whether a helper is coming, and that is all
        os.close(open_private(layout.helper_lock, os.O_RDWR | os.O_CREAT))


def lock_helper(layout: Layout) -> Optional[int]:
    """Take ``helper.lock`` for a flusher that broke down and is to try again: a descriptor, None where it is taken."""
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
    """Whether it is of this spool's file. A helper opens that before it can load what follows no link on the way."""
    try:
        found, there = os.fstat(descriptor), inside.lstat(layout.helper_lock)
    except failures(OSError):
        return False
    return (found.st_dev, found.st_ino) == (there.st_dev, there.st_ino)


def has_led(layout: Layout, interpreter: str) -> bool:
    """Whether the last helper that came to lead was of this interpreter. Never raises."""
    try:
        return read_small_file(layout.helper_lock, _LONGEST_PATH) == os.fsencode(interpreter)
    except failures(OSError):
        return False


def remember_leading(descriptor: int, interpreter: str) -> None:
    """Write down that a helper of this interpreter came to lead; by ``descriptor`` it holds ``helper.lock``."""
    with suppressed(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, os.fsencode(interpreter), 0)


def preallocate(layout: Layout) -> None:
    """Take the room for ``start.json`` while there is some."""
    reserve(layout.start_state, SIZE)


def store(layout: Layout, state: StartState) -> None:
    """Write ``start.json``; the caller holds ``start.lock``. Raises OSError.

    In place and of one length, so that it needs no room on a full disk once it is there.
    """
    write_in_place(layout.start_state, json.dumps(state._asdict()).encode("ascii"), SIZE)


def clear_failures(layout: Layout) -> None:
    """A flusher leads: whatever failed before, the next start is free. Raises OSError."""
    _replace(layout, StartState())


def pause(layout: Layout, not_before: float, stopped_at: float = 0.0) -> None:
    """Let no flusher lead before ``not_before`` (Unix seconds). Raises OSError.

    ``stopped_at`` is given where it was told to leave: whoever begins later is not meant.
    """
    _replace(layout, StartState(0, not_before, stopped_at=stopped_at))


def _replace(layout: Layout, state: StartState) -> None:
    """Write ``start.json`` under its lock, which others hold for milliseconds: this waits for it, but not for ever."""
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
