"""When to send and when to leave: pure functions of what is known and the clock."""

from __future__ import annotations

from enum import Enum

from lastword.spool.ledger import DestinationHealth
from lastword.wire.format import Blame, Delivered, Misconfigured, Refused, Retry, Verdict

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
LINGER_HELD = 24 * 3600.0
#: How long it goes on after SIGTERM, and how long nobody starts another one then.
DRAIN_AT_TERM = 5.0
PAUSE_AFTER_TERM = 10.0
#: How long after it the stop of a service may last, which waits until every process of it is gone (systemd's default).
LONGEST_STOP = 90.0
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

#: Seconds without a new event for a destination after which the next one is a reason to try it at once.
QUIET_FOR_TRYING = 5.0

#: A pause takes its limit, less a random part of up to 40 % that keeps hosts apart. The limit is half of the time for
#: which the trouble has lasted, so what was held in an outage has arrived after as long again at most. But it is at
#: least the first of these, in seconds, and at most one of the others.
_LEAST_LIMIT = 1.7
_MOST_UNREACHABLE = 5.0
_MOST_OVERLOADED = 30.0
_MOST_MISCONFIGURED = 60.0
#: Seconds. A destination that failed is not tried again sooner, whatever reason there is to try it at once; and that is
#: spread over as long, for many hosts may have the same reason.
_LEAST_PAUSE = 1.0
#: What may be one event's own fault hardly holds up the others, until it happens to many in a row: this limit grows
#: by a fifth each time, and 20 of them cost three seconds at most.
_DOUBT_LIMIT, _DOUBT_GROWTH = 0.012, 1.2
#: How long such an event itself is left alone, at first and at most, in seconds; twice as long each time it fails.
_EVENT_LIMIT, _MOST_OF_EVENT = 1.0, 60.0
_MAX_RETRY_AFTER = 24 * 3600.0


def look_interval(quiet_for: float) -> float:
    """Seconds between two looks, where nothing has changed in the spool for ``quiet_for`` seconds."""
    return LOOK_INTERVAL * (_QUIET_FACTOR if quiet_for >= QUIET_AFTER else 1.0)


def may_send(health: DestinationHealth, now: float) -> bool:
    """Whether the destination may be tried."""
    return not health.time_left(now)


def hurry(health: DestinationHealth, now: float, jitter: float) -> None:
    """There is a reason to try the destination at once: cut a pause of ours short, but none that it asked for itself.

    ``jitter``, a random number from [0, 1), keeps hosts apart that have the same reason at the same time.
    """
    if not health.asked_for:
        soonest = max(now, min(health.last_error_at, now) + _LEAST_PAUSE) + jitter * _LEAST_PAUSE
        health.not_before = min(health.not_before, soonest)


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
        return Fate.WAITS if verdict.blame is Blame.ADDRESS and not suspicions else Fate.SET_ASIDE
    if isinstance(verdict, Misconfigured) or verdict.blame is not Blame.EVENT or not suspicions:
        return Fate.WAITS
    return Fate.SET_ASIDE if suspicions >= MOST_TRIES - 1 else Fate.WAITS_ALONE


def speaks_well(verdict: Verdict) -> bool:
    """Whether the destination is well: it took the event, or refused it for what it is. Else it may be in trouble."""
    return isinstance(verdict, Delivered) or (isinstance(verdict, Refused) and verdict.blame is Blame.EVENT)


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
        health.failures, health.failing_since, health.misconfigured = 0, 0.0, False
        if not health.asked_for:
            health.not_before = 0.0
    else:
        _note_trouble(health, verdict, event_id, now, jitter)


def note_error(health: DestinationHealth, verdict: Verdict, now: float) -> None:
    """Keep what the tracker, or the way to it, has said against an event, whoever is to blame; and until when it wants
    to be left alone, even if others that were on their way have passed.
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
    """What a tracker has said of the address or key stands as long as it is out of reach."""
    return health.misconfigured and _is_out_of_reach(verdict)


def _is_out_of_reach(verdict: Verdict) -> bool:
    return isinstance(verdict, Retry) and verdict.blame is Blame.NETWORK


def pause_limit(verdict: Verdict, health: DestinationHealth, now: float) -> float:
    """The longest pause after this failure, in seconds; ``health`` knows of it already."""
    limit = max(_LEAST_LIMIT, (now - health.failing_since) / 2)
    if health.misconfigured:
        return min(limit, _MOST_MISCONFIGURED)
    if may_be_event(verdict):
        limit = min(limit, _DOUBT_LIMIT * _DOUBT_GROWTH ** min(health.failures, 100))
    return min(limit, _MOST_UNREACHABLE if _is_out_of_reach(verdict) else _MOST_OVERLOADED)


def may_be_event(verdict: Verdict) -> bool:
    """Whether the fault may be the event's own, so that it says nothing against the others."""
    if isinstance(verdict, Retry):
        return verdict.blame is Blame.EVENT
    return isinstance(verdict, Refused)


def event_pause(suspicions: int, jitter: float) -> float:
    """How long an event that failed, and may itself be the reason, is left alone, in seconds."""
    return _spread(min(_EVENT_LIMIT * 2.0 ** min(suspicions, 20), _MOST_OF_EVENT), jitter)


def _spread(limit: float, jitter: float) -> float:
    return limit * (0.6 + 0.4 * jitter)


def stop_left(stopped_at: float, now: float) -> float:
    """How long the stop of a service may still last that began at ``stopped_at`` (0: none did), in seconds."""
    passed = now - stopped_at
    return LONGEST_STOP - passed if 0.0 <= passed < LONGEST_STOP else 0.0


def may_leave(*, idle_for: float, held: bool) -> bool:
    """Whether a flusher may go, when for ``idle_for`` seconds there was no living writer and nothing was done."""
    return idle_for >= (LINGER_HELD if held else LINGER_EMPTY)


def checkpoint_due(*, verdicts: int, since: float) -> bool:
    """Whether ``verdicts`` that are not in the ledger yet have waited long enough; the first of them for ``since``,
    which is below 0 where the clock was set back.
    """
    return verdicts >= CHECKPOINT_VERDICTS or (verdicts > 0 and not 0 <= since < CHECKPOINT_INTERVAL)
