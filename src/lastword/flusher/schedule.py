"""When to send and when to leave: pure functions of the known state and the clock."""

from __future__ import annotations

from enum import Enum

from lastword.spool.ledger import DestinationHealth
from lastword.wire.format import Blame, Delivered, Misconfigured, Refused, Retry, Verdict

#: Seconds between two scans of the spool.
LOOK_INTERVAL = 0.25
#: After this many seconds without anything new it scans less often; a delivery still begins within half a second.
QUIET_AFTER = 5.0
_QUIET_FACTOR = 1.8
#: For this many seconds it then checks only for new records, before it scans everything else as well.
DOZE = 5.0
#: A verdict is in the ledger on disk after at most this many seconds, or this many verdicts.
CHECKPOINT_INTERVAL = 0.2
CHECKPOINT_VERDICTS = 64
#: Seconds that a flusher stays after the last writer is gone: if nothing is held, and if events are held.
LINGER_EMPTY = 1.0
LINGER_HELD = 24 * 3600.0
#: Seconds that it goes on after SIGTERM, and for which no other flusher is started then.
DRAIN_AT_TERM = 5.0
PAUSE_AFTER_TERM = 10.0
#: Seconds after SIGTERM that stopping a service may last, as it waits for all its processes (systemd's default).
LONGEST_STOP = 90.0
#: Seconds for which no flusher is started after one broke down: the cause is probably still there.
PAUSE_AFTER_TROUBLE = 30.0
#: Seconds for which a line is left alone that could not be read or set aside.
STUCK_WAIT = 60.0
#: Attempts for an event at which the tracker breaks down while it accepts other events.
MOST_TRIES = 10
#: An address counts as wrong after this many different events in a row were answered like events to a wrong address.
MOST_DOUBTS = 3
#: An event is poison after this many flushers died while they sent it alone.
MOST_STRIKES = 3
POISON_REASON = f"{MOST_STRIKES} flushers died while they sent this event, and nothing beside it"

#: Seconds without a new event for a destination after which the next event is a reason to try it at once.
QUIET_FOR_TRYING = 5.0

#: A pause lasts for its limit, less a random part of up to 40 % that keeps hosts apart. The limit is half of the time
#: that the trouble has lasted, so the events held in an outage arrive within the same time after it. But the limit is
#: at least the first of these, in seconds, and at most one of the others, depending on the trouble.
_LEAST_LIMIT = 1.7
_MOST_UNREACHABLE = 5.0
_MOST_OVERLOADED = 30.0
_MOST_MISCONFIGURED = 60.0
#: Seconds. A destination that failed is not tried again sooner, even if there is a reason to try it at once; and these
#: attempts are spread over the same time, because many hosts may have the same reason.
_LEAST_PAUSE = 1.0
#: A failure that may be one event's own fault hardly delays other events, unless many fail in a row: this limit grows
#: by a fifth each time, and 20 failures cost three seconds at most.
_DOUBT_LIMIT, _DOUBT_GROWTH = 0.012, 1.2
#: Seconds for which that event itself is left alone, at first and at most; twice as long after each failure.
_EVENT_LIMIT, _MOST_OF_EVENT = 1.0, 60.0
_MAX_RETRY_AFTER = 24 * 3600.0


def look_interval(quiet_for: float) -> float:
    """Return the seconds between two scans, when nothing has changed in the spool for ``quiet_for`` seconds."""
    return LOOK_INTERVAL * (_QUIET_FACTOR if quiet_for >= QUIET_AFTER else 1.0)


def may_send(health: DestinationHealth, now: float) -> bool:
    """Return whether the destination may be tried."""
    return not health.time_left(now)


def hurry(health: DestinationHealth, now: float, jitter: float) -> None:
    """Shorten a pause that the tracker did not ask for, because there is a reason to try the destination at once.

    ``jitter``, a random number from [0, 1), keeps apart hosts that have the same reason at the same time.
    """
    if not health.asked_for:
        soonest = max(now, min(health.last_error_at, now) + _LEAST_PAUSE) + jitter * _LEAST_PAUSE
        health.not_before = min(health.not_before, soonest)


class Fate(Enum):
    """The state of an event after an attempt (see ``lastword.spool``)."""

    DELIVERED = "delivered"
    SET_ASIDE = "set aside"
    HELD = "held"
    HELD_ALONE = "held alone"


def fate(verdict: Verdict, suspicions: int) -> Fate:
    """Return the fate of an event that failed again ``suspicions`` times after other events had passed meanwhile.

    A failure that may be the fault of the address (403, 404) or of the tracker (500, no answer) counts as the event's
    own once other events pass: at once if the tracker refused it, after ``MOST_TRIES`` if the tracker broke down.
    """
    if isinstance(verdict, Delivered):
        return Fate.DELIVERED
    if isinstance(verdict, Refused):
        return Fate.HELD if verdict.blame is Blame.ADDRESS and not suspicions else Fate.SET_ASIDE
    if isinstance(verdict, Misconfigured) or verdict.blame is not Blame.EVENT or not suspicions:
        return Fate.HELD
    return Fate.SET_ASIDE if suspicions >= MOST_TRIES - 1 else Fate.HELD_ALONE


def speaks_well(verdict: Verdict) -> bool:
    """Return whether the destination works: it accepted the event, or refused it for its content."""
    return isinstance(verdict, Delivered) or (isinstance(verdict, Refused) and verdict.blame is Blame.EVENT)


def note_verdict(health: DestinationHealth, verdict: Verdict, event_id: str, now: float, jitter: float) -> None:
    """Note in ``health`` what ``verdict`` says about the destination; ``jitter`` is a random number from [0, 1).

    An event refused for its content says nothing against its destination, because the destination answered.
    """
    if isinstance(verdict, Delivered):
        health.doubts.clear()
        health.last_success_at = now
        health.delivered += 1
    note_error(health, verdict, now)
    if speaks_well(verdict):
        health.failures, health.failing_since, health.misconfigured = 0, 0.0, False
        if not health.asked_for:
            health.not_before = 0.0
    else:
        _note_trouble(health, verdict, event_id, now, jitter)


def note_error(health: DestinationHealth, verdict: Verdict, now: float) -> None:
    """Note the error that the tracker or the connection reported, whatever its cause, and the pause that the tracker
    asked for, even if other events that were in flight have passed.
    """
    if not isinstance(verdict, Delivered):
        health.last_error_at = now
        if not _tells_nothing_new(health, verdict):
            health.last_error = verdict.reason
    health.asked_for = health.asked_for and not may_send(health, now)
    if isinstance(verdict, Retry) and verdict.after:
        pause = min(max(verdict.after, _LEAST_PAUSE), _MAX_RETRY_AFTER)
        if not health.asked_for or now + pause > health.not_before:
            health.not_before, health.pause, health.asked_for = now + pause, pause, True


def _note_trouble(health: DestinationHealth, verdict: Verdict, event_id: str, now: float, jitter: float) -> None:
    health.failures += 1
    if not 0.0 < health.failing_since <= now:
        health.failing_since = now
    doubtful = isinstance(verdict, Refused) or (
        isinstance(verdict, Retry) and verdict.blame is Blame.ADDRESS and not health.last_success_at
    )
    if doubtful and event_id not in health.doubts and len(health.doubts) < MOST_DOUBTS:
        health.doubts.append(event_id)
    if not _tells_nothing_new(health, verdict):
        is_doubted = doubtful and len(health.doubts) >= MOST_DOUBTS
        health.misconfigured = isinstance(verdict, Misconfigured) or is_doubted
    if not health.asked_for:
        health.pause = _spread(pause_limit(verdict, health, now), jitter)
        health.not_before = now + health.pause


def _tells_nothing_new(health: DestinationHealth, verdict: Verdict) -> bool:
    """Return whether a known wrong address or key stays the last error, because the tracker is now out of reach."""
    return health.misconfigured and _is_out_of_reach(verdict)


def _is_out_of_reach(verdict: Verdict) -> bool:
    return isinstance(verdict, Retry) and verdict.blame is Blame.NETWORK


def pause_limit(verdict: Verdict, health: DestinationHealth, now: float) -> float:
    """Return the longest pause after this failure, in seconds; ``health`` includes it already."""
    limit = max(_LEAST_LIMIT, (now - health.failing_since) / 2)
    if health.misconfigured:
        return min(limit, _MOST_MISCONFIGURED)
    if may_be_event(verdict):
        limit = min(limit, _DOUBT_LIMIT * _DOUBT_GROWTH ** min(health.failures, 100))
    return min(limit, _MOST_UNREACHABLE if _is_out_of_reach(verdict) else _MOST_OVERLOADED)


def may_be_event(verdict: Verdict) -> bool:
    """Return whether the fault may be the event's own, so that other events may still pass."""
    if isinstance(verdict, Retry):
        return verdict.blame is Blame.EVENT
    return isinstance(verdict, Refused)


def event_pause(suspicions: int, jitter: float) -> float:
    """Return the seconds for which a failed event is left alone if it may itself be the cause."""
    return _spread(min(_EVENT_LIMIT * 2.0 ** min(suspicions, 20), _MOST_OF_EVENT), jitter)


def _spread(limit: float, jitter: float) -> float:
    return limit * (0.6 + 0.4 * jitter)


def stop_left(stopped_at: float, now: float) -> float:
    """Return how many seconds stopping a service may still last, if it began at ``stopped_at`` (0: it did not)."""
    passed = now - stopped_at
    return LONGEST_STOP - passed if 0.0 <= passed < LONGEST_STOP else 0.0


def may_leave(*, idle_for: float, held: bool) -> bool:
    """Return whether a flusher may leave after ``idle_for`` seconds without a living writer or any progress."""
    return idle_for >= (LINGER_HELD if held else LINGER_EMPTY)


def checkpoint_due(*, verdicts: int, since: float) -> bool:
    """Return whether a checkpoint is due with ``verdicts`` not yet on disk, the first of them for ``since`` seconds;
    ``since`` is negative if the clock was set back.
    """
    return verdicts >= CHECKPOINT_VERDICTS or (verdicts > 0 and not 0 <= since < CHECKPOINT_INTERVAL)
