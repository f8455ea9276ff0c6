"""Who may start a flusher, and when: ``start.lock``, ``start.json`` and ``helper.lock``.

``start.json`` is ``{"failures":…,"not_before":…,"unfinished":…}``, ``not_before`` in Unix seconds. It is written only
under ``start.lock``. A starter counts its start as failed, and unfinished, before it makes it, and takes back the
latter once the helper runs; the flusher that comes to lead, or finds another one leading, clears the count. So

* a flusher that cannot run is tried after 1, 2, 4 … 60 seconds,
* one that was killed while it led is followed at once,
* and a starter that was killed before it had started anything holds up nobody.

``helper.lock`` is made by the starter, and locked by the helper itself, as one of its first acts, until it leads. While
it is, the last start has not failed, however long it takes: three that were only slow would be taken for a flusher that
cannot run. Past ``MAX_WAIT`` seconds it counts as failed nevertheless.
"""

from __future__ import annotations

import json
import math
import os
import time
from contextlib import suppress
from typing import NamedTuple

from lastword.spool.layout import Layout, open_in_place, open_private, read_small_file, reserve, write_all
from lastword.spool.lock import LifetimeLock, holder

MAX_WAIT = 60.0

#: Bytes of ``start.json``.
SIZE = 256

_LOCK_PATIENCE = 1.0


class StartState(NamedTuple):
    """How starting a flusher has gone lately."""

    failures: int = 0
    not_before: float = 0.0
    unfinished: bool = False

    def allows(self, now: float) -> bool:
        """Whether one may be started, by whoever holds ``start.lock``.

        A time further ahead than any we set comes from a clock that was wrong.
        """
        return self.unfinished or now >= self.not_before or self.not_before > now + MAX_WAIT

    def may_be_coming(self, now: float) -> bool:
        """Whether the last start was made so lately that its helper, if it lives, may still come to lead."""
        return self.failures > 0 and abs(now - self.not_before) <= MAX_WAIT

    def before_start(self, now: float) -> StartState:
        """The state to write before a start, as if it were to fail."""
        wait = min(2.0 ** min(self.failures, 10), MAX_WAIT)
        return StartState(self.failures + 1, now + wait, unfinished=True)

    def after_start(self) -> StartState:
        """The state to write when the helper runs, or could not be started."""
        return StartState(self.failures, self.not_before)


def load(layout: Layout) -> StartState:
    """What ``start.json`` says; a fresh state when it is missing or garbage."""
    try:
        # As text: json would take the zeros of a new file for UTF-32, and import that in the midst of a capture.
        data = json.loads(read_small_file(layout.start_state, SIZE).partition(b"\n")[0].decode("ascii"))
        state = StartState(int(data["failures"]), float(data["not_before"]), data["unfinished"] is True)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return StartState()
    return state if math.isfinite(state.not_before) else StartState()


def is_coming(layout: Layout, state: StartState, now: float) -> bool:
    """Whether the helper of the last start lives, is not late beyond reason, and does not lead yet. Never raises."""
    try:
        return state.may_be_coming(now) and holder(layout.helper_lock) is not None
    except OSError:  # something stands in the place of that file: it cannot be told
        return False


def make_helper_lock(layout: Layout) -> None:
    """Make the file that the helper is to lock; it makes none itself, before it has looked where it is."""
    with suppress(OSError):  # then it cannot be told whether a helper is coming, and that is all
        os.close(open_private(layout.helper_lock, os.O_RDWR | os.O_CREAT))


def preallocate(layout: Layout) -> None:
    """Take the room for ``start.json`` while there is some."""
    reserve(layout.start_state, SIZE)


def store(layout: Layout, state: StartState) -> None:
    """Write ``start.json``; the caller holds ``start.lock``. Raises OSError.

    In place and of one length, so that it needs no room on a full disk once it is there.
    """
    text = json.dumps(state._asdict()).encode("ascii").ljust(SIZE - 1) + b"\n"
    descriptor = open_in_place(layout.start_state, os.O_WRONLY | os.O_CREAT)
    try:
        write_all(descriptor, text)
    finally:
        os.close(descriptor)


def clear_failures(layout: Layout) -> None:
    """A flusher leads: whatever failed before, the next start is free. Raises OSError."""
    _replace(layout, StartState())


def pause(layout: Layout, not_before: float) -> None:
    """Let nobody start a flusher before ``not_before`` (Unix seconds). Raises OSError."""
    _replace(layout, StartState(0, not_before))


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
