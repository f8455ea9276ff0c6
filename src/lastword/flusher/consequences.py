"""Decide what an attempt means for the event and for its destination, and settle the event accordingly."""

from __future__ import annotations

import random
import time

from lastword.flusher import schedule
from lastword.flusher.delivery import Attempt
from lastword.flusher.outbox import Sending
from lastword.flusher.schedule import Fate
from lastword.flusher.settle import Bookkeeper
from lastword.interruption import failures
from lastword.spool.ledger import DELIVERED
from lastword.wire.format import Blame, Delivered, Misconfigured, Refused, Retry, Verdict


class Consequences:
    """Acts on attempts and remembers when each destination last accepted an event, by the monotonic clock."""

    def __init__(self, books: Bookkeeper) -> None:
        self._books = books
        self._passed_at: dict[str, float] = {}
        self._failed_at: dict[str, float] = {}

    def act_on(self, sending: Sending, attempt: Attempt, now: float) -> bool:
        """Settle the event or let it wait; ``now`` in Unix seconds. True if the order of the backlog has changed."""
        health = self._books.ledger.health(sending.to)
        was_in_trouble = health.failures > 0
        line, verdict = sending.line, attempt.verdict
        uncertain = attempt.ambiguous or (isinstance(verdict, Delivered) and verdict.uncertain)
        health.uncertain += uncertain
        line.ambiguous = line.ambiguous or attempt.ambiguous
        passes = schedule.speaks_well(verdict)
        if passes:
            self._passed_at[sending.to] = time.monotonic()
        of_itself = not passes and self._note_failure(sending, verdict)
        if of_itself or (not passes and self._is_known(sending)):
            schedule.note_error(health, verdict, now)
        else:
            schedule.note_verdict(health, verdict, line.event_id, now, random.random())
        self._books.mark_changed(now)
        self._settle(sending, attempt, schedule.fate(verdict, line.suspicions), now)
        return was_in_trouble != (health.failures > 0)

    def _note_failure(self, sending: Sending, verdict: Verdict) -> bool:
        """Note the failure; true if it is the event's own, because other events have passed since it last failed."""
        line = sending.line
        others_passed = 0 < line.failed_at < self._passed_at.get(sending.to, 0.0)
        line.failed_at = time.monotonic()
        if not others_passed or isinstance(verdict, Misconfigured):
            return False
        if isinstance(verdict, Retry) and verdict.blame is not Blame.EVENT:
            return False
        line.suspicions += 1
        return True

    def _is_known(self, sending: Sending) -> bool:
        """Return whether the attempt began before the last failure was seen: failures at the same time count once."""
        known = sending.began < self._failed_at.get(sending.to, 0.0)
        self._failed_at[sending.to] = time.monotonic()
        return known

    def _settle(self, sending: Sending, attempt: Attempt, fate: Fate, now: float) -> None:
        writer, line, verdict = sending.writer, sending.line, attempt.verdict
        if isinstance(verdict, Delivered):
            self._books.settle(writer, line, DELIVERED, now)
            return
        try:
            if fate is Fate.SET_ASIDE:
                if isinstance(verdict, Refused):
                    self._books.settle_refused(writer, line, "refused", verdict.reason, now)
                else:
                    tried = f"failed {schedule.MOST_TRIES} times while others passed: {verdict.reason}"
                    self._books.settle_refused(writer, line, "failed", tried, now)
                return
            if schedule.may_be_event(verdict):
                line.leave_alone(schedule.event_pause(line.suspicions, random.random()))
            if fate is Fate.HELD_ALONE:
                writer.defer(line)
        except failures(OSError):  # no room to set it aside: it stays in its segment
            line.leave_alone(schedule.STUCK_WAIT)
