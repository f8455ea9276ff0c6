"""The write half: an Event goes in, its id comes out once it is on disk.

Which process this is, is asked at every call: a forked child, forked by whatever means, drops what it inherited and
makes a writer of its own at its first record. So does a process whose effective uid changed, or whose writer was lost.
"""

from __future__ import annotations

import os
from typing import Optional

from lastword import diagnostics
from lastword.capture.safe_text import describe
from lastword.config import Config, Destination
from lastword.errors import RecordRefused, SpoolError
from lastword.event import Event
from lastword.scrub import scrub
from lastword.spool import layout as layouts
from lastword.spool.ledger import Ledger
from lastword.spool.record import encode_event
from lastword.spool.writer import Writer, WriterLost

_Owner = tuple[int, int]  # (pid, effective uid)


class Reporter:
    """Records events for one configuration. Nothing is made on disk before the first one."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._destination: Optional[Destination] = config.destination
        self._writers: dict[_Owner, Writer] = {}
        self._refused_early: list[str] = []  # until there is a black box to count them in

    def record(self, event: Event) -> Optional[str]:
        """Put ``event`` on disk; its id once it is safe there, None if it was refused (and counted). Never raises."""
        try:
            body = encode_event(event["id"], self._destination.key if self._destination else None, scrub(event))
            self._append(body)
            return event["id"]
        except RecordRefused as refusal:
            self._refuse(refusal.reason, f"an event was not kept: {refusal}")
        except Exception as error:  # whatever it is, it is not the application's trouble
            self._refuse("internal error", f"an event was not kept, which is a defect of lastword: {describe(error)}")
        return None

    @property
    def writer(self) -> Optional[Writer]:
        """This process's writer; None as long as it has recorded nothing."""
        return self._writers.get(_this_process())

    def everything_is_settled(self) -> bool:
        """Whether every record of this process was delivered, set aside or dropped."""
        writer = self.writer
        if writer is None:
            return True
        entry = Ledger.load(writer.layout).writers.get(writer.id)
        if entry is None:  # not seen by a flusher yet, or removed by hand
            return writer.recorded == 0 or not os.path.isdir(writer.layout.writer(writer.id))
        return entry.settled >= writer.recorded

    def find_spool(self) -> Optional[layouts.Layout]:
        """The spool that is there already; None before the first record of any process. Makes nothing."""
        return layouts.find(self._config.spool)

    def _append(self, body: bytes) -> None:
        for _ in range(3):
            writer = self._own_writer()
            try:
                writer.append(body, self._destination)
                return
            except WriterLost:
                self._drop(writer)
        raise RecordRefused("disk error", "the spool is removed again and again")

    def _own_writer(self) -> Writer:
        owner = _this_process()
        writer = self._writers.get(owner)
        if writer is not None:
            return writer
        candidates = layouts.candidates(self._config.spool, os.environ, os.geteuid())
        try:
            newborn = Writer.born(layouts.first_usable(candidates))
        except (SpoolError, OSError) as error:
            raise RecordRefused("no spool", str(error)) from None
        writer = self._writers.setdefault(owner, newborn)  # one step, without a lock that a fork could leave held
        if writer is not newborn:
            newborn.discard()
            return writer
        for other in [key for key in self._writers if key != owner]:
            self._writers.pop(other).abandon()
        while self._refused_early:
            writer.refuse(self._refused_early.pop())
        return writer

    def _drop(self, writer: Writer) -> None:
        if self._writers.get(_this_process()) is writer:
            self._writers.pop(_this_process(), None)
            writer.abandon()

    def _refuse(self, reason: str, text: str) -> None:
        diagnostics.note(reason, text)
        writer = self.writer
        if writer is not None:
            writer.refuse(reason)
        else:
            self._refused_early.append(reason)


def _this_process() -> _Owner:
    return os.getpid(), os.geteuid()
