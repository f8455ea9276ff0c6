"""The write half: it takes an Event and returns its id once the event is on disk.

Every call checks which process this is: a forked child, forked by any means, drops the inherited writer and makes its
own at its first record. So does a process whose effective uid changed, or whose writer was lost.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from functools import partial
from typing import Callable, Optional, cast

from lastword import diagnostics
from lastword.admission import BeforeSend
from lastword.capture.json_copy import as_json
from lastword.capture.safe_text import describe
from lastword.checked import is_too_deep
from lastword.config import Config
from lastword.dsn import Destination
from lastword.errors import RecordRefused, SpoolError
from lastword.event import Event, attachments_left_out
from lastword.event_json import own_copy
from lastword.interruption import failures
from lastword.nesting import Turn, captures
from lastword.per_process import PerProcess
from lastword.scrub import Rules, scrub
from lastword.spool import places, refused
from lastword.spool.layout import Layout
from lastword.spool.ledger import DestinationHealth, LedgerView
from lastword.spool.limits import SPOOL_FULL, Limits
from lastword.spool.record import MAX_BODY, encode_event, encode_rendered
from lastword.spool.room import Room, Sight, survey
from lastword.spool.writer import Writer, WriterLost

_Owner = tuple[int, int]  # (pid, effective uid)


class Recorder:
    """Records events for one configuration. It makes nothing on disk before the first event.

    Attributes:
        rules: the rules for scrubbing events.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._destination: Optional[Destination] = config.destination
        self._limits = Limits(spool=config.max_spool, age=config.max_age, set_aside=config.max_set_aside)
        self.rules = Rules(config)
        self._before_send = BeforeSend(config.before_send) if config.before_send else None
        self._writers: dict[_Owner, Writer] = {}
        self._room: Optional[tuple[Writer, Room]] = None
        self._refusals = PerProcess(_Refusals)
        self._ledger: Optional[tuple[str, LedgerView]] = None  # with the path of its spool

    def go_on_with_writers_of(self, previous: Recorder) -> None:
        """Use the writers of ``previous``, whose destination and spool must be the same."""
        self._writers = previous._writers
        self._refusals = previous._refusals

    def record(self, event: Event) -> Optional[str]:
        """Put ``event`` on disk; return its id, or None if it was refused (and counted). Never raises."""
        last_words = event["level"] == "fatal" and not event["handled"]
        return self._record(event["id"], partial(self._body, event), last_words)

    def record_rendered(
        self, event_id: str, wire: str, body: bytes, content_type: str, *, last_words: bool = False
    ) -> Optional[str]:
        """Put a body on disk that is sent unchanged, neither scrubbed nor passed to ``before_send``. See ``record``.

        ``wire`` is its format, which must be the destination's; ``last_words``: it explains why the process ends.
        """

        def encode() -> bytes:
            return encode_rendered(event_id, self._key, wire, body, content_type, time.time())

        return self._record(event_id, encode, last_words)

    def _record(self, event_id: str, encode: Callable[[], Optional[bytes]], last_words: bool) -> Optional[str]:
        try:
            body = encode()
            if body is None:
                self.refuse("before_send")
                return None
            writer = self._append(body)
        except RecordRefused as refusal:
            self.refuse(refusal.reason, f"an event was not kept: {refusal}")
        except failures() as error:  # no failure of lastword may reach the application
            self.refuse_for_defect(error)
        else:
            if last_words:
                _sync(writer)
            return event_id
        return None

    def refuse(self, reason: str, text: str = "") -> None:
        """Count an event that was captured but not recorded; if it is a loss, note ``text``. Never raises."""
        if text:
            diagnostics.note(reason, text)
        refusals = self._refusals.get()
        refusals.arrived.append((reason, 1))  # from here on it is counted
        try:
            refusals.add_up()
            if self.writer is not None:
                refusals.move_to(self.writer.refuse)
            elif text and captures.level <= 1:  # at deeper levels the outermost capture does this, or makes a writer
                self.post_refusals()
        except RecursionError:  # it is counted, and goes to the black box with the next one
            pass

    def post_refusals(self) -> None:
        """Put refusals on disk that are counted only in memory because there is no writer. Raises RecursionError.

        If no spool can be used, they go to the next place that can be written to. They may be the last sign of this
        process.
        """
        if self.writer is None:
            asked, euid = self._config.spool, os.geteuid()
            where = [*places.candidates(asked, os.environ, euid), *places.candidates(None, os.environ, euid)]
            self._refusals.get().post(where)

    def refuse_for_defect(self, error: BaseException) -> None:
        """Count an event that was lost because of an error inside lastword."""
        if issubclass(type(error), RecursionError):
            self.refuse_for_full_stack()
        else:
            self.refuse("internal error", f"an event was not kept, which is a defect of lastword: {describe(error)}")

    def refuse_as_interrupted(self) -> None:
        """Count an event whose capture was ended by an interruption, which goes on to the program."""
        self.refuse(
            "interrupted",
            "an event was not kept: a signal handler or another thread raised into its capture (a time limit, Ctrl-C)",
        )

    def has_just_recorded(self, event_id: str) -> bool:
        """Return whether an interrupted capture had already put its event on disk."""
        writer = self.writer
        return writer is not None and writer.has_just_written(event_id)

    def refuse_for_full_stack(self) -> None:
        """Count an event that could not be recorded because the stack was full."""
        self.refuse(
            "stack full", "an event was not kept: the stack was full (see sys.getrecursionlimit) when it was captured"
        )

    @property
    def writer(self) -> Optional[Writer]:
        """This process's writer; None until it has recorded something."""
        return self._writers.get(_this_process())

    def everything_is_settled(self) -> bool:
        """Return whether every record of this process was delivered, set aside or dropped."""
        writer = self.writer
        if writer is None:
            return True
        entry = self._view(writer.layout).look().writers.get(writer.id)
        if entry is None:  # not seen by a flusher yet, or removed by hand
            return writer.recorded == 0 or not os.path.isdir(writer.layout.writer(writer.id))
        return entry.settled >= writer.recorded

    def health(self, spool: Layout) -> Optional[DestinationHealth]:
        """Return the state of sending to this configuration's tracker; None if nothing was sent yet."""
        return self._view(spool).look().destinations.get(self._key) if self._key else None

    def tracker_is_out_of_reach(self, now: float) -> bool:
        """Return whether nothing will be sent soon: the last attempt failed, and the next one is not due."""
        health = self.health(self.writer.layout) if self.writer is not None else None
        return bool(health and health.failures and (health.misconfigured or health.time_left(now)))

    def _view(self, layout: Layout) -> LedgerView:
        if self._ledger is None or self._ledger[0] != layout.spool:
            self._ledger = (layout.spool, LedgerView(layout))
        return self._ledger[1]

    def find_spool(self) -> Optional[Layout]:
        """Return the existing spool; None before the first record of any process. Makes nothing."""
        return places.find(self._config.spool)

    @property
    def _key(self) -> Optional[str]:
        return self._destination.key if self._destination else None

    def _body(self, event: Event) -> Optional[bytes]:
        """Return the body to write; None if ``before_send`` drops the event. That hook runs last, after scrubbing."""
        to = self._key
        if self._before_send is None:
            return _encoded(scrub(event, self.rules), to)
        kept = self._before_send.apply(own_copy(scrub(event, self.rules)))
        if kept is None:
            return None
        try:
            try:
                body = _encoded(kept, to)
                if not is_too_deep(kept, body):
                    return body
            except failures(TypeError, ValueError, RecursionError):  # a date, NaN, a list in itself, put in by the hook
                pass
            return _encoded(cast("Event", as_json(kept)), to)
        except failures() as error:
            raise RecordRefused("before_send", f"what it returned is no JSON: {describe(error)}") from None

    def _append(self, body: bytes) -> Writer:
        for _ in range(3):
            writer = self._own_writer()
            if not self._room_of(writer).for_segment(writer.segment):
                raise RecordRefused(SPOOL_FULL, f"the spool {writer.layout.spool} is full: see `lastword status`")
            try:
                writer.append(body, self._destination)
                return writer
            except WriterLost:
                self._drop(writer)
        raise RecordRefused("disk error", "the spool is removed again and again")

    def _own_writer(self) -> Writer:
        owner = _this_process()
        writer = self._writers.get(owner)
        if writer is not None:
            self._refusals.get().move_all_to(writer)  # counted while this process ran as another user without a spool
            return writer
        candidates = places.candidates(self._config.spool, os.environ, os.geteuid())
        try:
            newborn = Writer.born(places.first_usable(candidates), self._limits)
        except failures(SpoolError, OSError) as error:
            raise RecordRefused("no spool", str(error)) from None
        writer = self._writers.setdefault(owner, newborn)  # one step, without a lock that a fork could leave held
        if writer is not newborn:
            newborn.discard()
            return writer
        for other in [key for key in self._writers if key != owner]:
            self._writers.pop(other).abandon()
        self._refusals.get().move_all_to(writer)
        return writer

    def fill(self, fresh: bool) -> float:
        """Return how full the spool is, as far as this process knows; 0 before its first record. See `Room.fill`."""
        writer = self.writer
        return 0.0 if writer is None else self._room_of(writer).fill(fresh)

    def _room_of(self, writer: Writer) -> Room:
        known = self._room
        if known is None or known[0] is not writer:
            self._room = known = writer, Room(lambda: self._look(writer.layout), lambda: writer.written)
        return known[1]

    def _look(self, layout: Layout) -> Sight:
        try:
            return survey(layout, self._limits)
        except RecursionError:  # no room on the stack for a note
            pass
        except failures() as error:
            _note_upkeep(error)
        return Sight()

    def _drop(self, writer: Writer) -> None:
        if self._writers.get(_this_process()) is writer:
            self._writers.pop(_this_process(), None)
            writer.abandon()


class _Refusals:
    """Refusals of one process until its black box takes them. They use little memory, however many are waiting."""

    def __init__(self) -> None:
        self.arrived: list[tuple[str, int]] = []  # appending needs no lock
        self._counts: dict[str, int] = {}
        self._posted: dict[tuple[str, str], int] = {}  # by directory and reason: counted on disk without a writer
        self._lock = Turn(_Refusals.add_up, _Refusals.move_to)  # one per process: no fork leaves it held
        self._posting = Turn(_Refusals.post)

    def add_up(self) -> None:
        # The thread that has the lock checks again after releasing it, so no other thread has to wait.
        while self.arrived and self._lock.take(0.0):
            try:
                self._sum_up()
            finally:
                self._lock.give_back()

    def move_to(self, take: Callable[[str, int], Optional[bool]]) -> None:
        """Pass each reason and its count to ``take``, which returns False if it could not store them."""
        while (self.arrived or self._counts) and self._lock.take(0.0):
            try:
                self._sum_up()
                counts, self._counts = self._counts, {}
            finally:
                self._lock.give_back()
            while counts:
                reason = next(iter(counts))
                taken: Optional[bool] = False
                try:
                    taken = take(reason, counts[reason])
                except RecursionError:
                    pass
                finally:  # also after an interruption
                    if taken is False:
                        self.arrived.extend(counts.items())
                if taken is False:
                    return
                del counts[reason]

    def post(self, where: list[places.Place]) -> None:
        """Count the refusals on disk in the first place that can be written to; the rest stays in memory.

        Each reason is counted once per call, and the function never runs within itself: an audit hook that captures at
        every opened file would never end.
        """
        done: set[str] = set()

        def take(reason: str, number: int) -> bool:
            if reason in done:
                return False
            done.add(reason)
            directory = refused.count(where, reason, number)
            if directory is not None:
                self._posted[directory, reason] = self._posted.get((directory, reason), 0) + number
            return directory is not None

        if self._posting.take(0.0):
            try:
                self.move_to(take)
            finally:
                self._posting.give_back()

    def move_all_to(self, writer: Writer) -> None:
        """Move all refusals to ``writer``, also those that were counted on disk before there was a writer."""
        self.move_to(writer.refuse)
        while self._posted:
            with suppress(KeyError):  # another thread took the last one
                (directory, reason), number = self._posted.popitem()
                if refused.move_away(directory, reason, number):
                    writer.refuse(reason, number)

    def _sum_up(self) -> None:
        while self.arrived:
            reason, count = self.arrived.pop()
            self._counts[reason] = self._counts.get(reason, 0) + count


def _encoded(event: Event, to: Optional[str]) -> bytes:
    """Return the body of the event's record, without attachments if these make it too large.

    Scrubbing or ``before_send`` may have made the event larger since the attachments were added.
    """
    body = encode_event(event["id"], to, event)
    if len(body) > MAX_BODY and event["attachments"]:
        event = attachments_left_out(event, "there was no room for it")
        body = encode_event(event["id"], to, event)
        if len(body) > MAX_BODY:
            body = encode_event(event["id"], to, {**event, "attachments": []})
    return body


def _sync(writer: Writer) -> None:
    """Sync the record to disk, because the machine may stop together with the process.

    The record already survives the end of the process, so an error here does not undo the capture.
    """
    try:
        writer.sync()
    except failures() as error:
        _note_upkeep(error)


def _note_upkeep(error: BaseException) -> None:
    diagnostics.note("upkeep", f"the spool was not looked after, which is a defect of lastword: {describe(error)}")


def _this_process() -> _Owner:
    return os.getpid(), os.geteuid()
