"""When to send and when to leave: pure functions of what is known and the clock."""

from __future__ import annotations

from enum import Enum

from lastword.spool.ledger import DestinationHealth
from lastword.wire.format import Delivered, Misconfigured, Refused, Retry, Verdict

#: How often the flusher looks at the spool, in seconds.
LOOK_INTERVAL = 0.25
#: After so many seconds without anything new it takes its time: still less than half a second to the next delivery.
QUIET_AFTER = 5.0
_QUIET_FACTOR = 1.8
#: For so long, in seconds, it then looks for new records alone, before it looks at everything else as well.
DOZE = 5.0
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
#: How often an event is tried that the tracker breaks down at while it takes others.
MOST_TRIES = 10
#: So many different events in a row that are answered as a wrong address is make it one.
MOST_DOUBTS = 3
#: So many flushers that died while they sent one event, and nothing beside it, make it poison.
MOST_STRIKES = 3
POISON_REASON = f"{MOST_STRIKES} flushers died while they sent this event, and nothing beside it"

_FIRST_BACKOFF = 0.5
_MAX_BACKOFF = 60.0
_MISCONFIGURED_WAIT = 60.0
_MAX_RETRY_AFTER = 24 * 3600.0


def look_interval(quiet_for: float) -> float:
    """Seconds between two looks, where nothing has changed in the spool for ``quiet_for`` seconds."""
    return LOOK_INTERVAL * (_QUIET_FACTOR if quiet_for >= QUIET_AFTER else 1.0)


def may_send(health: DestinationHealth, now: float) -> bool:
    """Whether the destination may be tried. A time further ahead than any we set comes from a clock that was wrong."""
    return now >= health.not_before or health.not_before > now + _MAX_RETRY_AFTER


class Fate(Enum):
    """What becomes of an event after an attempt."""

    DELIVERED = "delivered"
    SET_ASIDE = "set aside"
    WAITS = "waits"
    WAITS_ALONE = "waits alone"


def fate(verdict: Verdict, suspicions: int) -> Fate:
    """What becomes of an event that failed ``suspicions`` times again after others had passed meanwhile.

    What may be the fault of the address (403, 404) or of the tracker (500, no answer) is taken for the event's own once
    others pass: at once where the tracker said no, after ``MOST_TRIES`` where it broke down.
    """
    if isinstance(verdict, Delivered):
        return Fate.DELIVERED
    if isinstance(verdict, Refused):
        return Fate.WAITS if verdict.may_be_address and not suspicions else Fate.SET_ASIDE
    if isinstance(verdict, Misconfigured) or not (verdict.may_be_event and suspicions):
        return Fate.WAITS
    return Fate.SET_ASIDE if suspicions >= MOST_TRIES - 1 else Fate.WAITS_ALONE


def speaks_well(verdict: Verdict) -> bool:
    """Whether the destination is well: it took the event, or refused it for what it is. Else it may be in trouble."""
    return isinstance(verdict, Delivered) or (isinstance(verdict, Refused) and not verdict.may_be_address)


def note_verdict(health: DestinationHealth, verdict: Verdict, event_id: str, now: float, jitter: float) -> None:
    """Keep in ``health`` what ``verdict`` says about the destination; ``jitter`` is a random number from [0, 1).

    An event that was refused for what it is says nothing against its destination: it answered.
    """
    if isinstance(verdict, Delivered):
        health.doubts.clear()
        health.last_success_at = now
        health.delivered += 1
    note_error(health, verdict, now)
    if speaks_well(verdict):
        health.failures, health.not_before, health.misconfigured = 0, 0.0, False
    else:
        _note_trouble(health, verdict, event_id, now, jitter)


def note_error(health: DestinationHealth, verdict: Verdict, now: float) -> None:
    """Keep what the tracker, or the way to it, has said against an event, whoever is to blame."""
    if not isinstance(verdict, Delivered):
        health.last_error, health.last_error_at = verdict.reason, now


def _note_trouble(health: DestinationHealth, verdict: Verdict, event_id: str, now: float, jitter: float) -> None:
    health.failures += 1
    doubtful = isinstance(verdict, Refused) or (
        isinstance(verdict, Retry) and verdict.may_be_address and not health.last_success_at
    )
    if doubtful and event_id not in health.doubts and len(health.doubts) < MOST_DOUBTS:
        health.doubts.append(event_id)
    health.misconfigured = isinstance(verdict, Misconfigured) or (doubtful and len(health.doubts) >= MOST_DOUBTS)
    health.not_before = now + _wait(health, verdict, jitter)


def _wait(health: DestinationHealth, verdict: Verdict, jitter: float) -> float:
    if health.misconfigured:
        return _MISCONFIGURED_WAIT
    if isinstance(verdict, Retry) and verdict.after is not None:
        return min(verdict.after, _MAX_RETRY_AFTER)
    return jitter * backoff_limit(health.failures)


def backoff_limit(failures: int) -> float:
    """The longest wait after this many failures in a row, in seconds; the wait itself is a random part of it."""
    return min(_FIRST_BACKOFF * 2.0 ** min(failures - 1, 20), _MAX_BACKOFF)


def may_leave(*, idle_for: float, held: bool) -> bool:
    """Whether a flusher may go, when for ``idle_for`` seconds there was no living writer and nothing was done."""
    return idle_for >= (LINGER_HELD if held else LINGER_EMPTY)


def checkpoint_due(*, verdicts: int, since: float) -> bool:
    """Whether ``verdicts`` that are not in the ledger yet have waited long enough; the first of them for ``since``,
    which is below 0 where the clock was set back.
    """
    return verdicts >= CHECKPOINT_VERDICTS or (verdicts > 0 and not 0 <= since < CHECKPOINT_INTERVAL)
