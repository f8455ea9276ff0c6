"""Notes of lastword about its own work, logged only where logging is safe.

The capture path runs inside signal handlers, finalizers and logging handlers, so it never logs. It keeps a note here:
one assignment into a dict, no lock. ``tell`` logs the notes with the logger ``lastword``. It is called only from calls
that the user makes on purpose (``init``, ``flush``, ``close``, the context calls) and at process exit.
"""

from __future__ import annotations

import time

from lastword.foreign_text import one_line
from lastword.interruption import anything

#: A cause is logged at most once in this many seconds.
TELL_INTERVAL = 60.0

#: Characters of a logged note: it may quote errors, names and trackers.
MOST_OF_NOTE = 1000

_interval = TELL_INTERVAL
_waiting: dict[str, str] = {}
_logged_at: dict[str, float] = {}


def note(cause: str, text: str) -> None:
    """Keep ``text`` to be logged later; the newest text of a cause wins."""
    _waiting[cause] = text


def withdraw(cause: str) -> None:
    """Drop the note of ``cause``: the problem is solved."""
    _waiting.pop(cause, None)


def tell_every(interval: float) -> None:
    """Make ``tell`` log a cause at most once in ``interval`` seconds from now on."""
    global _interval
    _interval = interval


def tell() -> None:
    """Log the waiting notes, each cause at most once a minute or as set by ``tell_every``."""
    if not _waiting:
        return
    import logging  # costs 12 ms to import, so only a program with waiting notes pays for it

    logger = logging.getLogger("lastword")
    for cause in list(_waiting):
        now = time.monotonic()
        if now - _logged_at.get(cause, -_interval) < _interval:
            continue
        text = _waiting.pop(cause, None)
        if text is not None:
            _logged_at[cause] = now
            try:
                logger.warning("%s", one_line(text, MOST_OF_NOTE))
            except anything():  # raised by one of the program's filters or handlers
                return


def waiting() -> list[str]:
    """Return the notes that have not been logged yet."""
    return list(_waiting.values())


def forget() -> None:
    """Return to the state of a new process (for tests and ``close``)."""
    _waiting.clear()
    _logged_at.clear()
    tell_every(TELL_INTERVAL)
