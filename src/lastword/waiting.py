"""Pending events, which this process has captured and which are not settled yet.

This module makes sure that they are sent, and waits for that in ``flush`` and at the end of the process.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Optional

from lastword import diagnostics
from lastword.capture.json_copy import error_text
from lastword.interruption import failures
from lastword.launch import Launcher
from lastword.launch.mode import Choice, Mode
from lastword.launch.thread import Lead
from lastword.recorder import Recorder
from lastword.spool.layout import Layout
from lastword.spool.lock import holder

#: How often ``flush`` and the end of the process check whether everything is settled, in seconds.
_CHECK_INTERVAL = 0.02

#: How long ``flush`` waits for a started flusher before it sends by itself, in seconds.
_HELPER_PATIENCE = 10.0


class Pending:
    """The events of this process that wait in its spools.

    Attributes:
        recorders: the recorder of the last ``init``, then those of earlier ones, with their writers.
        choice: how the events are sent.
    """

    def __init__(self, recorder: Recorder, choice: Choice) -> None:
        self.recorders = [recorder]
        self.choice = choice
        self.launcher = Launcher(_load_flusher)
        self._ended = 0  # the pid of a process that waits, or has waited, at its end

    def go_on_from(self, previous: Pending, *, without: Optional[Recorder] = None) -> None:
        """Take over the recorders of an earlier ``init``, except ``without``, whose writers we already use."""
        self.recorders += [recorder for recorder in previous.recorders if recorder is not without]
        self.launcher = previous.launcher
        self.launcher.go_on()

    @property
    def are_sent(self) -> bool:
        return self.choice.mode is not Mode.HOLD

    def ensure_flusher_of(self, spool: Layout) -> bool:
        """Make sure that ``spool`` has a flusher.

        Returns False if no flusher can be started and ``wait_at_end`` has already run: another atexit function has
        captured an event after ours.
        """
        return self.launcher.ensure_flusher(spool, self.choice) or self._ended != os.getpid()

    def ensure_flusher(self) -> bool:
        """Return whether every spool that this process has written to has a flusher, or may have one soon."""
        served = [self.launcher.ensure_flusher(spool, self.choice) for spool in self._spools()]  # no early stop
        return all(served)

    def _spools(self) -> list[Layout]:
        """Return the spools that this process has written to."""
        writers = [recorder.writer for recorder in self.recorders]
        return list({writer.layout.spool: writer.layout for writer in writers if writer is not None}.values())

    def everything_is_settled(self) -> bool:
        return all(recorder.everything_is_settled() for recorder in self.recorders)

    def wait_at_end(self, timeout: float) -> None:
        """Wait at most ``timeout`` seconds until the pending events are settled, if they can be sent.

        If no flusher can be started, not even a thread (as from Python 3.12 on while an interpreter ends), the calling
        thread sends them.
        """
        deadline = time.monotonic() + timeout
        self._ended = os.getpid()
        self._post_refusals()
        while not self.everything_is_settled():
            served = self.ensure_flusher()
            if time.monotonic() >= deadline or not self._may_be_sent_soon(time.time()):
                break
            if served:
                time.sleep(_CHECK_INTERVAL)
            elif not (self.launcher.has_failed and self._drain(deadline)):
                break
        else:
            diagnostics.withdraw("start")
        self.launcher.make_way()

    def flush(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds until everything is settled; return whether it is. See ``sdk.flush``."""
        began = time.monotonic()
        self._post_refusals()
        patience = min(_HELPER_PATIENCE, timeout / 2) if self.choice.mode is Mode.PROCESS else timeout
        if not self.everything_is_settled():
            for spool in self._spools():
                spool.hurry_flusher()
        while not self.everything_is_settled():
            waited = time.monotonic() - began
            if waited >= timeout or not self.are_sent:
                return False
            if self.ensure_flusher() and waited < patience:
                time.sleep(min(_CHECK_INTERVAL, timeout - waited))
            else:
                self._drain(began + timeout)
        return True

    def _post_refusals(self) -> None:
        for recorder in self.recorders:
            with suppress(RecursionError):
                recorder.post_refusals()

    def _may_be_sent_soon(self, now: float) -> bool:
        """Return whether any pending event is for a tracker that is not known to be out of reach."""
        return any(
            not recorder.everything_is_settled() and not recorder.tracker_is_out_of_reach(now)
            for recorder in self.recorders
        )

    def _drain(self, deadline: float) -> bool:
        """Send the spools without a leader from the calling thread, or wait a moment; False if it cannot send."""
        unled = [spool for spool in self._spools() if _nobody_leads(spool)]
        try:
            lead = _load_flusher() if unled else None
        except failures() as error:  # for example requests is not installed
            diagnostics.note("start", f"nothing sends events (they stay in the spool): {error_text(error)}")
            lead = None
        if lead is not None:
            for spool in unled:
                lead(spool, until=lambda: time.monotonic() >= deadline or self.everything_is_settled())
        time.sleep(max(min(_CHECK_INTERVAL, deadline - time.monotonic()), 0.0))
        return lead is not None or not unled


def _nobody_leads(spool: Layout) -> bool:
    try:
        return holder(spool.flusher_lock) is None
    except failures(OSError):
        return False


def _load_flusher() -> Lead:
    from lastword.flusher.in_program import lead

    return lead
