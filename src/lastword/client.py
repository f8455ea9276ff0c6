"""One configuration at work: what one ``init`` decides, from the capture of an event to the wait at the end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Optional

from lastword import diagnostics
from lastword.admission import Gate
from lastword.assembly import exception_event, message_event
from lastword.capture import CaptureSettings
from lastword.capture.exception import is_unraised, members_of
from lastword.capture.origin import origin_of_exception, origin_of_message
from lastword.capture.release import guessed_release
from lastword.capture.reported import MEMBER, event_of, mark
from lastword.capture.safe_text import class_path, describe
from lastword.config import Config
from lastword.event import FLOOD_TAG, Event, Level, LevelLike, Origin, level_from
from lastword.hooks.excepthooks import THREADING
from lastword.hooks.log_records import Logged
from lastword.interruption import failures
from lastword.launch.mode import Mode, choose, observe
from lastword.nesting import captures, leave, may_capture
from lastword.recorder import Recorder
from lastword.scope import attachments, context, of_asyncio
from lastword.spool.layout import Layout
from lastword.spool.record import MAX_RECORD
from lastword.waiting import Pending
from lastword.wire import NEEDS, NEEDS_OF_NONE


class Client:
    """Everything that one ``init`` decides, and what this process does by it.

    Attributes:
        reports_ctrl_c: whether a KeyboardInterrupt that ends the program is an event. It is what a person wants.
    """

    reports_ctrl_c = False

    def __init__(self, config: Config) -> None:
        destination = config.destination
        self.config = config
        self.recorder = Recorder(config)
        self.gate = Gate(config, fill=self.recorder.fill, members_of=members_of)
        self.pending = Pending(self.recorder, choose(config.flusher, observe(has_dsn=destination is not None)))
        self._accounted_for = 0  # address of the last interruption whose event is recorded or counted
        self.uncounted = 0  # captures for whose refusal there was no stack left
        self.settings = CaptureSettings(
            needs=NEEDS[destination.dsn.wire] if destination else NEEDS_OF_NONE,
            is_sensitive=self.recorder.rules.is_sensitive,
            scrub_text=self.recorder.rules.scrub_text,
            scrub_source=self.recorder.rules.scrub_source,
            local_variables=config.local_variables,
            repr_of=config.repr_of,
            context_lines=config.context_lines,
            in_app=config.in_app,
            not_in_app=config.not_in_app,
            environment=config.environment,
            release=guessed_release(os.environ) if config.release is None else config.release,
            all_threads=config.all_threads,
        )

    def take_over(self, previous: Client) -> None:
        """Go on with what ``previous`` began; a writer has one destination, so a new one gets a new writer."""
        if previous.config.destination == self.config.destination and previous.config.spool == self.config.spool:
            self.recorder.go_on_with_writers_of(previous.recorder)
            self.pending.go_on_from(previous.pending, but=previous.recorder)
        else:
            self.pending.go_on_from(previous.pending)
        self.gate.floods = previous.gate.floods

    def capture_error(
        self,
        error: BaseException,
        traceback: Optional[TracebackType],
        mechanism: str,
        *,
        handled: bool,
        level: Optional[Level] = None,
        logged: Optional[Logged] = None,
    ) -> Optional[str]:
        """As ``capture``, and remembers that ``error`` is on disk.

        ``traceback`` is None where it is the exception's own, ``level`` where it follows from ``handled``;
        ``logged`` is what was said of it, if it was logged.
        """

        members: list[BaseException] = []

        def locate() -> Origin:
            if logged is not None and is_unraised(error, traceback):
                return logged.origin(class_path(type(error)))
            return origin_of_exception(error, traceback)

        def read() -> Event:
            event = exception_event(
                error,
                traceback=traceback,
                handled=handled,
                mechanism=mechanism,
                settings=self.settings,
                stack=None if logged is None else logged.stack,
                members=members,
            )
            event["level"] = level or event["level"]
            if logged is not None:
                logged.add_to(event)
            return event

        # A thread ends with one too, but a server that has one for each request goes on failing.
        last_words = level == "fatal" and not handled and mechanism != THREADING
        event_id = self.capture(error, locate, read, last_words=last_words)
        if event_id is None:
            return None
        try:
            for member in members:
                mark(member, MEMBER, event_id)
            mark(error, mechanism, event_id)
        except failures() as trouble:  # at worst it is reported once more
            diagnostics.note("mark", f"an exception was not marked as reported: {describe(trouble)}")
        except BaseException as interruption:
            self._accounted_for = id(interruption)
            raise
        return event_id

    def capture_text(self, text: Any, level: Optional[LevelLike], mechanism: str) -> Optional[str]:
        """As ``capture``, a message. Without a level it has that of ``set_level``, or ``info``."""

        def read() -> Event:
            chosen = None if level is None else level_from(level, "info", mechanism)
            return message_event(text, level=chosen, settings=self.settings, mechanism=mechanism)

        return self.capture(None, origin_of_message, read)

    def report(
        self,
        error: BaseException,
        traceback: Optional[TracebackType],
        mechanism: str,
        *,
        handled: bool,
        level: Optional[Level] = None,
        logged: Optional[Logged] = None,
    ) -> None:
        """For those whom nobody has asked to: capture ``error`` unless it was reported already. Raises nothing."""
        try:
            self.begin()
            if event_of(error, mechanism) is None:
                self.capture_error(error, traceback, mechanism, handled=handled, level=level, logged=logged)
        except RecursionError:
            self.uncounted += 1
        except failures() as trouble:
            self.recorder.refuse_for_defect(trouble)
        except BaseException as interruption:
            self.count_interruption(interruption)
            raise

    @captures.counts
    def capture(
        self,
        error: Optional[BaseException],
        locate: Callable[[], Origin],
        read: Callable[[], Event],
        *,
        last_words: bool = False,
    ) -> Optional[str]:
        """Read and record an event, if it is admitted; its id, or None. ``error`` is None for a message, ``last_words``
        tells of what ends the program.

        Whether it is admitted is decided by what costs little to know, before anything is read. Raises only where the
        stack is full, so that nothing more could be called.
        """
        before = captures.level
        if not may_capture(before):
            self.recorder.refuse("nested", "an event was not kept: capturing others led to it, over and over")
            return None
        try:
            captures.level = before + 1
            elsewhere = None if before else of_asyncio.context_of_failure()
            if elsewhere is not None:
                return elsewhere.run(self._capture, error, locate, read, last_words)
            return self._capture(error, locate, read, last_words)
        finally:
            leave(before)

    def _capture(
        self,
        error: Optional[BaseException],
        locate: Callable[[], Origin],
        read: Callable[[], Event],
        last_words: bool,
    ) -> Optional[str]:
        event: Optional[Event] = None
        try:
            while self.uncounted:
                self.recorder.refuse_for_full_stack()
                self.uncounted -= 1
            decision = self.gate.decide(error, locate(), time.time(), last_words=last_words)
            if decision.refused:
                self.recorder.refuse(decision.refused, decision.remark)
                return None
            event = read()
            if decision.left_out:
                event["tags"][FLOOD_TAG] = decision.left_out
            if wanted := context.attachments():
                attachments.attach(event, wanted, MAX_RECORD)
            event_id = self.keep(event)
            # Written first, probed then: a flusher that leaves in between looks once more after its unlock.
            writer = self.recorder.writer
            if writer is not None and not self.pending.see_to(writer.layout):
                self.wait_at_end(self.config.shutdown_timeout)
            return event_id
        except failures() as trouble:  # whatever it is, it is not the application's
            self.recorder.refuse_for_defect(trouble)
            return None
        except BaseException as interruption:
            self._account_for(interruption, event)
            raise

    def begin(self) -> None:
        """Of each way in, for its ``count_interruption``."""
        self._accounted_for = 0

    def count_interruption(self, interruption: BaseException) -> None:
        """Count the event of a way in that ``interruption`` leaves by, unless that was done, or it is recorded.

        Where two threads are interrupted at once, or behind the end of the record, it may be counted once too often.
        """
        if self._accounted_for != id(interruption):
            self._account_for(interruption, None)

    def _account_for(self, interruption: BaseException, event: Optional[Event]) -> None:
        self._accounted_for = id(interruption)
        if event is None or not self.recorder.has_just_recorded(event["id"]):
            self.recorder.refuse_as_interrupted()

    def keep(self, event: Event) -> Optional[str]:
        """Put ``event`` on disk; its id, or None where it was refused and counted. Raises nothing."""
        return self.recorder.record(event)

    def wait_at_end(self, timeout: float) -> None:
        """Give what is pending at most ``timeout`` seconds to arrive."""
        self.pending.wait_at_end(timeout)

    def look_after_earlier_events(self) -> None:
        """What other processes, or earlier ones, have left in the spool shall not have to wait for an event of ours."""
        spool = self.recorder.find_spool()
        if not self.pending.are_sent or spool is None:
            return
        self.note_wrong_key(spool)
        # A thread is started only by who has something to say: this may be a server that is about to fork its workers.
        if self.pending.choice.mode is Mode.PROCESS and spool.has_writers():
            self.pending.see_to(spool)

    def note_wrong_key(self, spool: Layout) -> None:
        """Have it said that the tracker wants nothing from us, which nobody else notices: every capture succeeds."""
        health = self.recorder.health(spool)
        if health is not None and health.misconfigured and self.config.destination is not None:
            place = self.config.destination.dsn.place
            diagnostics.note(
                "misconfigured",
                f"events are kept in the spool and not delivered: the DSN for {place} seems to be wrong "
                f"({health.last_error}). See `lastword status`.",
            )
