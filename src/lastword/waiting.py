"""What this process has captured and nobody has settled yet: seeing that it is sent, and waiting for that, in ``flush``
and at the end of the process.
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

#: How often ``flush`` and the end of the process look whether everything is settled, in seconds.
_LOOK = 0.02

#: How long ``flush`` waits for a flusher that was started to lead before it sends by itself, in seconds.
_HELPER_PATIENCE = 10.0


class Pending:
    """The events of this process that wait in its spools.

    Attributes:
        recorders: those of the last ``init``, which comes first, and of earlier ones, with their writers.
        choice: how they are sent.
    """

    def __init__(self, recorder: Recorder, choice: Choice) -> None:
        self.recorders = [recorder]
        self.choice = choice
        self.launcher = Launcher(_load_flusher)
        self._ended = 0  # the pid of a process that waits, or has waited, at its end

    def go_on_from(self, previous: Pending, *, but: Optional[Recorder] = None) -> None:
        """Take over what an earlier ``init`` left, without the recorder whose writers are ours already."""
        self.recorders += [recorder for recorder in previous.recorders if recorder is not but]
        self.launcher = previous.launcher
        self.launcher.go_on()

    @property
    def are_sent(self) -> bool:
        return self.choice.mode is not Mode.HOLD

    def see_to(self, spool: Layout) -> bool:
        """See that ``spool`` has a flusher. False where nobody can be started any more and ``wait_at_end`` is over:
        another atexit function has captured something after ours.
        """
        return self.launcher.ensure_flusher(spool, self.choice) or self._ended != os.getpid()

    def ensure_flusher(self) -> bool:
        """Whether every spool that this process has written to has a flusher, or may have one in a moment."""
        served = [self.launcher.ensure_flusher(spool, self.choice) for spool in self._spools()]  # each of them
        return all(served)

    def _spools(self) -> list[Layout]:
        """Where this process has written to."""
        writers = [recorder.writer for recorder in self.recorders]
        return list({writer.layout.spool: writer.layout for writer in writers if writer is not None}.values())

    def everything_is_settled(self) -> bool:
        return all(recorder.everything_is_settled() for recorder in self.recorders)

    def wait_at_end(self, timeout: float) -> None:
        """Give what is pending at most ``timeout`` seconds to arrive, where it can.

        Where nobody can be started any more, not even a thread, as from Python 3.12 on while an interpreter ends, it is
        sent from here.
        """
        deadline = time.monotonic() + timeout
        self._ended = os.getpid()
        self._post_refusals()
        while not self.everything_is_settled():
            served = self.ensure_flusher()
            if time.monotonic() >= deadline or not self._may_be_sent_soon(time.time()):
                break
            if served:
                time.sleep(_LOOK)
            elif not (self.launcher.has_failed and self._drain(deadline)):
                break
        else:
            diagnostics.withdraw("start")
        self.launcher.make_way()

    def flush(self, timeout: float) -> bool:
        """Wait until everything is settled, at most ``timeout`` seconds; whether it is. See ``sdk.flush``."""
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
                time.sleep(min(_LOOK, timeout - waited))
            else:
                self._drain(began + timeout)
        return True

    def _post_refusals(self) -> None:
        """See that what was refused is counted on disk."""
        for recorder in self.recorders:
            with suppress(RecursionError):
                recorder.post_refusals()

    def _may_be_sent_soon(self, now: float) -> bool:
        """Whether any of what is pending is for a tracker that is not known to be out of reach."""
        return any(
            not recorder.everything_is_settled() and not recorder.tracker_is_out_of_reach(now)
            for recorder in self.recorders
        )

    def _drain(self, deadline: float) -> bool:
        """Send from the calling thread, unless somebody leads: then give it a moment. False where it cannot be done."""
        unled = [spool for spool in self._spools() if _nobody_leads(spool)]
        try:
            lead = _load_flusher() if unled else None
        except failures() as error:  # no requests, for one
            diagnostics.note("start", f"nothing sends events (they stay in the spool): {error_text(error)}")
            lead = None
        if lead is not None:
            for spool in unled:
                lead(spool, until=lambda: time.monotonic() >= deadline or self.everything_is_settled())
        time.sleep(max(min(_LOOK, deadline - time.monotonic()), 0.0))
        return lead is not None or not unled


def _nobody_leads(spool: Layout) -> bool:
    try:
        return holder(spool.flusher_lock) is None
    except failures(OSError):
        return False


def _load_flusher() -> Lead:
    from lastword.flusher.in_program import lead

    return lead
