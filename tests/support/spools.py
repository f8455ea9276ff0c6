"""Spools made by hand, and a flusher that leads in this very process."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

import pytest

from lastword.dsn import Destination, Dsn
from lastword.event import new_id
from lastword.flusher import schedule, settle
from lastword.flusher.leadership import Leadership
from lastword.flusher.loop import Flusher
from lastword.flusher.watch import WatchedWriter
from lastword.spool import blackbox
from lastword.spool.blackbox import WriterState
from lastword.spool.layout import Layout, segment_name
from lastword.spool.limits import Limits
from lastword.spool.record import encode_event
from lastword.spool.writer import Writer
from lastword.testing import LoopbackTracker
from tests.support.events import message_event

#: Unix seconds at which what is made here was written, where nothing else is said.
NOW = 1_800_000_000.0


@contextmanager
def impatient_flushers() -> Iterator[None]:
    """Flushers of this process look often and leave at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schedule, "LOOK_INTERVAL", 0.01)
        patch.setattr(schedule, "LINGER_EMPTY", 0.05)
        patch.setattr(schedule, "LINGER_HELD", 0.2)
        patch.setattr(settle, "GRAVE_TIME", 0.02)
        yield


def directory_of_a_writer(spool: Path) -> Path:
    """An empty one, in a spool with nothing else in it."""
    directory = spool / "v1/writers" / new_id()
    directory.mkdir(parents=True)
    return directory


def store_state(path: Path, state: WriterState) -> None:
    """Put it into the black box at ``path``."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        blackbox.store(descriptor, state)
    finally:
        os.close(descriptor)


def look(watched: WatchedWriter, now: float, *, full: bool = True) -> bool:
    """Look again at one writer, as a flusher does where there is no want of room; whether anything may be new."""
    changed = watched.refresh(now, full=full)
    if changed:
        watched.take_in()
    return changed


class Process:
    """A process that captured something and is gone: what it left in the spool."""

    def __init__(self, layout: Layout, dsn: Optional[str], *messages: str) -> None:
        self.destination = None if dsn is None else Destination(Dsn.parse(dsn), 5.0)
        self.writer = Writer.born(layout)
        self.directory = Path(layout.writer(self.writer.id))
        self.segment = self.directory / segment_name(1)
        self.messages: list[str] = []
        for message in messages:
            self.captures(message)

    def captures(self, message: str) -> str:
        """Returns the event's id."""
        event = message_event(message, id=new_id(), stack=[])
        key = self.destination.key if self.destination else None
        self.writer.append(encode_event(event["id"], key, event), self.destination)
        self.messages.append(message)
        return event["id"]

    def ends(self) -> Process:
        self.writer.abandon()
        (self.directory / "who.json").write_text('{"pid": 1}')
        return self

    def bounds(self) -> list[int]:
        """Where its records begin, and where the last one ends."""
        lines = self.segment.read_bytes().splitlines(keepends=True)
        return [sum(map(len, lines[:count])) for count in range(len(lines) + 1)]


def flush(layout: Layout, most: int = 3_000) -> None:
    """Let a flusher lead until it leaves by itself; fails if it was busy without getting anything done, or got on
    more than ``most`` times.
    """
    turns: Counter[str] = Counter()
    work, rest = Leadership.work, Leadership.rest

    def counted_work(self: Leadership) -> bool:
        turns["worked"] += 1
        progress = work(self)
        turns["got on"] += progress
        return progress

    def counted_rest(self: Leadership, seconds: float) -> None:
        turns["rested"] += 1
        rest(self, seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Leadership, "work", counted_work)
        patch.setattr(Leadership, "rest", counted_rest)
        Flusher(layout).run()
    assert turns["worked"] - turns["rested"] - turns["got on"] <= 2, turns
    assert turns["got on"] <= most, turns


def messages(tracker: LoopbackTracker) -> Counter[str]:
    return Counter(event.message for event in tracker.events)


def set_aside(layout: Layout) -> Iterator[tuple[dict[str, object], bytes]]:
    """What was set aside: the line that says why, and the bytes."""
    for name in os.listdir(layout.set_aside):
        head, _, content = (Path(layout.set_aside) / name).read_bytes().partition(b"\n")
        yield json.loads(head), content


@contextmanager
def append_lock_taken(writer: Writer) -> Iterator[None]:
    """Nobody gets the lock of ``writer`` meanwhile: what is appended is an x- segment."""
    writer._lock.take = lambda wait: False  # type: ignore[method-assign]
    yield
    del writer._lock.take


def writer_with_segments(layout: Layout, segments: int, limit: int, *, written_at: float = NOW) -> Writer:
    """A writer with so many sealed segments of two records each, and one open one."""
    writer = Writer.born(layout, Limits(spool=limit))
    for _ in range(2 * segments + 1):
        writer.append(encode_event("ab" * 16, None, {"text": "x" * 500_000, "timestamp": written_at}), None)
    for number in range(1, segments + 2):
        path = os.path.join(layout.writer(writer.id), segment_name(number))
        os.utime(path, (written_at + number, written_at + number))
    return writer
