"""When to send and when to leave: pure functions of what is known and the clock."""

from __future__ import annotations

from lastword.spool.ledger import DestinationHealth
from lastword.wire.format import Delivered, Misconfigured, Refused, Verdict

#: How often the flusher looks at the spool, in seconds.
LOOK_INTERVAL = 0.25
#: A verdict is in the ledger at most this much later, or after this many verdicts.
CHECKPOINT_INTERVAL = 0.2
CHECKPOINT_VERDICTS = 64
#: How long a flusher stays after the last writer is gone: with nothing held, and with something.
LINGER_EMPTY = 1.0
LINGER_HELD = 600.0
#: How long it goes on after SIGTERM, and how long nobody starts another one then.
DRAIN_AT_TERM = 5.0
PAUSE_AFTER_TERM = 10.0
#: How long nobody starts another one where one broke down: what broke it is probably still there.
PAUSE_AFTER_TROUBLE = 30.0
#: How long a line is left alone that could not be read or set aside.
STUCK_WAIT = 60.0

_FIRST_BACKOFF = 0.5
_MAX_BACKOFF = 60.0
_MISCONFIGURED_WAIT = 60.0
_MAX_RETRY_AFTER = 24 * 3600.0


def may_send(health: DestinationHealth, now: float) -> bool:
    """Whether the destination may be tried. A time further ahead than any we set comes from a clock that was wrong."""
    return now >= health.not_before or health.not_before > now + _MAX_RETRY_AFTER


def note_verdict(health: DestinationHealth, verdict: Verdict, now: float, jitter: float) -> None:
    """Keep in ``health`` what ``verdict`` says about the destination; ``jitter`` is a random number from [0, 1).

    An event that was refused says nothing against its destination: it answered.
    """
    if isinstance(verdict, (Delivered, Refused)):
        health.failures, health.not_before, health.misconfigured = 0, 0.0, False
        if isinstance(verdict, Delivered):
            health.last_success_at = now
            health.delivered += 1
        else:
            health.last_error, health.last_error_at = verdict.reason, now
        return
    health.failures += 1
    health.last_error, health.last_error_at = verdict.reason, now
    health.misconfigured = isinstance(verdict, Misconfigured)
    if isinstance(verdict, Misconfigured):
        wait = _MISCONFIGURED_WAIT
    elif verdict.after is not None:
        wait = min(verdict.after, _MAX_RETRY_AFTER)
    else:
        wait = jitter * backoff_limit(health.failures)
    health.not_before = now + wait


def backoff_limit(failures: int) -> float:
    """The longest wait after this many failures in a row, in seconds; the wait itself is a random part of it."""
    return min(_FIRST_BACKOFF * 2.0 ** min(failures - 1, 20), _MAX_BACKOFF)


def may_leave(*, idle_for: float, held: bool) -> bool:
    """Whether a flusher may go, when for ``idle_for`` seconds there was no living writer and nothing was done."""
    return idle_for >= (LINGER_HELD if held else LINGER_EMPTY)


def checkpoint_due(*, verdicts: int, since: float) -> bool:
    """Whether ``verdicts`` that are not in the ledger yet have waited long enough; the first of them for ``since``."""
    return verdicts >= CHECKPOINT_VERDICTS or (verdicts > 0 and since >= CHECKPOINT_INTERVAL)
