"""The client of one ``init``: from the capture of an event to the wait at the end of the process."""

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
    """The settings of one ``init``, and the parts of this process that work with them.

    Attributes:
        reports_ctrl_c: whether a KeyboardInterrupt that ends the program is an event. By default it is not, because
            a person wanted it.
    """

    reports_ctrl_c = False

    def __init__(self, config: Config) -> None:
        destination = config.destination
        self.config = config
        self.recorder = Recorder(config)
        self.gate = Gate(config, fill=self.recorder.fill, members_of=members_of)
        self.pending = Pending(self.recorder, choose(config.flusher, observe(has_dsn=destination is not None)))
        self._accounted_for = 0  # address of the last interruption whose event is recorded or counted
        self.uncounted = 0  # captures that failed with no stack left to count them
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
        """Continue the work of ``previous``; a writer has one destination, so a new destination gets a new writer."""
        if previous.config.destination == self.config.destination and previous.config.spool == self.config.spool:
            self.recorder.go_on_with_writers_of(previous.recorder)
            self.pending.go_on_from(previous.pending, without=previous.recorder)
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
        """Capture ``error`` (see ``capture``) and mark it as reported.

        ``traceback`` None means the exception's own; ``level`` None means that ``handled`` decides it; ``logged`` is
        the content of the log record, if the exception was logged.
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

        # An exception that ends a thread does not count: a server with a thread per request goes on, and on failing.
        last_words = level == "fatal" and not handled and mechanism != THREADING
        event_id = self.capture(error, locate, read, last_words=last_words)
        if event_id is None:
            return None
        try:
            for member in members:
                mark(member, MEMBER, event_id)
            mark(error, mechanism, event_id)
        except failures() as trouble:  # at worst it is reported twice
            diagnostics.note("mark", f"an exception was not marked as reported: {describe(trouble)}")
        except BaseException as interruption:
            self._accounted_for = id(interruption)
            raise
        return event_id

    def capture_text(self, text: Any, level: Optional[LevelLike], mechanism: str) -> Optional[str]:
        """Capture a message (see ``capture``). Its default level is that of ``set_level``, else ``info``."""

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
        """Capture ``error`` for a hook, unless it was already reported. Raises nothing."""
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
        """Read and record an event if it is admitted; return its id, or None.

        ``error`` is None for a message; ``last_words`` is true for an event that explains why the program ends.
        Admission is decided from cheap facts, before anything is read. Raises only RecursionError, where the stack is
        too full for another call.
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
        self, error: Optional[BaseException], locate: Callable[[], Origin], read: Callable[[], Event], last_words: bool
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
            # First write, then check for a flusher: one that ends in between scans the spool again after its unlock.
            writer = self.recorder.writer
            if writer is not None and not self.pending.ensure_flusher_of(writer.layout):
                self.wait_at_end(self.config.shutdown_timeout)
            return event_id
        except failures() as trouble:  # no failure of lastword may reach the application
            self.recorder.refuse_for_defect(trouble)
            return None
        except BaseException as interruption:
            self._account_for(interruption, event)
            raise

    def begin(self) -> None:
        """Start a call from outside: forget the interruption of the previous one (see ``count_interruption``)."""
        self._accounted_for = 0

    def count_interruption(self, interruption: BaseException) -> None:
        """Count the event of a call that ``interruption`` ends, unless it is counted already or recorded.

        If two threads are interrupted at once, or one just after its record, the event may be counted once too often.
        """
        if self._accounted_for != id(interruption):
            self._account_for(interruption, None)

    def _account_for(self, interruption: BaseException, event: Optional[Event]) -> None:
        self._accounted_for = id(interruption)
        if event is None or not self.recorder.has_just_recorded(event["id"]):
            self.recorder.refuse_as_interrupted()

    def keep(self, event: Event) -> Optional[str]:
        """Record ``event``; return its id, or None if it was refused and counted. Raises nothing."""
        return self.recorder.record(event)

    def wait_at_end(self, timeout: float) -> None:
        """Wait at most ``timeout`` seconds until the pending events are settled."""
        self.pending.wait_at_end(timeout)

    def look_after_earlier_events(self) -> None:
        """Start a flusher if the spool holds events of other processes: they must not wait for our first event."""
        spool = self.recorder.find_spool()
        if not self.pending.are_sent or spool is None:
            return
        self.note_wrong_key(spool)
        # A flusher thread is started only after an event: this may be a server that is about to fork its workers.
        if self.pending.choice.mode is Mode.PROCESS and spool.has_writers():
            self.pending.ensure_flusher_of(spool)

    def note_wrong_key(self, spool: Layout) -> None:
        """Note that the tracker rejects our DSN. Nothing else shows it, because every capture succeeds."""
        health = self.recorder.health(spool)
        if health is not None and health.misconfigured and self.config.destination is not None:
            place = self.config.destination.dsn.place
            diagnostics.note(
                "misconfigured",
                f"events are kept in the spool and not delivered: the DSN for {place} seems to be wrong "
                f"({health.last_error}). See `lastword status`.",
            )
