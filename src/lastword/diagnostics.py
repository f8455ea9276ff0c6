"""What lastword has to say about itself, said where it cannot hurt.

The capture path runs inside signal handlers, finalizers and logging handlers, so it never logs. It leaves a note here:
one assignment into a dict, no lock. ``tell`` passes the notes on to the logger ``lastword`` and is called only from
places the user calls on purpose: ``init``, ``flush``, ``close``, the context calls, and process exit.
"""

from __future__ import annotations

import time

from lastword.foreign_text import one_line
from lastword.interruption import anything

#: A cause is told at most once in this many seconds.
TELL_INTERVAL = 60.0

#: Characters of what is told: it may quote errors, names and trackers.
MOST_OF_NOTE = 1000

_interval = TELL_INTERVAL
_waiting: dict[str, str] = {}
_told_at: dict[str, float] = {}


def note(cause: str, text: str) -> None:
    """Keep ``text`` to be told later; the newest text of a cause wins."""
    _waiting[cause] = text


def withdraw(cause: str) -> None:
    """It has turned out well, so nobody need be told."""
    _waiting.pop(cause, None)


def tell_every(interval: float) -> None:
    """From now on ``tell`` tells a cause at most once in ``interval`` seconds."""
    global _interval
    _interval = interval


def tell() -> None:
    """Log what has waited, each cause at most once a minute, or as ``tell_every`` says."""
    if not _waiting:
        return
    import logging  # costs 12 ms to import, so only a program that has something to hear pays for it

    logger = logging.getLogger("lastword")
    for cause in list(_waiting):
        now = time.monotonic()
        if now - _told_at.get(cause, -_interval) < _interval:
            continue
        text = _waiting.pop(cause, None)
        if text is not None:
            _told_at[cause] = now
            try:
                logger.warning("%s", one_line(text, MOST_OF_NOTE))
            except anything():  # a filter or a handler of the program's
                return


def waiting() -> list[str]:
    """What has not been told yet."""
    return list(_waiting.values())


def forget() -> None:
    """Start anew, as a freshly started process would (for tests and ``close``)."""
    _waiting.clear()
    _told_at.clear()
    tell_every(TELL_INTERVAL)
