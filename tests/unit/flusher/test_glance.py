"""A writer that is idle is looked at with a glance, and nothing that happens there is missed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastword.flusher.glance import IDLE_AFTER, IDLE_LOOK
from lastword.flusher.watch import WatchedWriter
from lastword.spool.layout import Layout
from lastword.spool.ledger import DELIVERED, WriterEntry
from lastword.spool.record import encode_event, frame
from lastword.spool.writer import Writer
from tests.support.promise import Section, promise
from tests.support.spools import append_lock_taken, look

pytestmark = promise(
    Section.FLUSHER_MODES,
    "A new segment or the death of an idle writer is seen soon",
    broken_by="nobody woken; directory not checked; lock not checked",
)

BODY = encode_event("ab" * 16, None, {"x": "y"})


class Clock:
    """The time of each look: the files are of now, the looks come later."""

    def __init__(self) -> None:
        self.now = time.time() + 10.0

    def after(self, seconds: float) -> float:
        self.now += seconds
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    layout = Layout(str(tmp_path / "spool"))
    layout.prepare()
    writer = Writer.born(layout)
    yield writer
    writer.abandon()


@pytest.fixture
def idle(writer: Writer, clock: Clock) -> WatchedWriter:
    """A writer that lives and has recorded nothing for a while."""
    writer.append(BODY, None)
    watched = WatchedWriter(writer.layout, writer.id, WriterEntry())
    for _ in range(2):
        assert look(watched, clock.after(0.25))
        for line in list(watched.waiting()):
            watched.settle(line, DELIVERED)
    assert look(watched, clock.after(IDLE_AFTER - 0.1), full=False), "it is not idle yet"
    return watched


def test_unchanged_writer_is_only_glanced_at(idle: WatchedWriter, clock: Clock) -> None:
    """It is read in full only when something may have changed."""
    assert [look(idle, clock.after(0.25), full=False) for _ in range(40)] == [False] * 40
    assert look(idle, clock.after(0.25), full=True)


@promise(Section.FLUSHER_MODES, "A record of an idle writer is seen at the next look", broken_by="size not checked")
def test_a_new_record_is_seen_at_the_next_look(idle: WatchedWriter, writer: Writer, clock: Clock) -> None:
    """The segment has grown."""
    assert not look(idle, clock.after(0.25), full=False)
    writer.append(BODY, None)
    assert look(idle, clock.after(0.25), full=False)
    assert len(list(idle.waiting())) == 1


@pytest.mark.parametrize("how", ["past the append lock", "in the next segment"])
def test_new_segment_is_seen_by_the_touched_directory(idle: WatchedWriter, writer: Writer, how: str) -> None:
    """Its writer touches the directory that the flusher looks at each time."""
    directory = writer.layout.writers
    os.utime(directory, (1.0, 1.0))
    if how == "past the append lock":
        with append_lock_taken(writer):
            writer.append(BODY, None)
    else:
        large = encode_event("cd" * 16, None, {"x": "y" * 600_000})
        for _ in range(2):
            writer.append(large, None)
    assert os.stat(directory).st_mtime > 1.0


def test_unannounced_segment_is_seen_before_long(idle: WatchedWriter, writer: Writer, clock: Clock) -> None:
    """Where the directory could not be touched, and for writers of older versions."""
    (Path(writer.layout.writer(writer.id)) / "x-1.seg").write_bytes(frame(BODY, None))
    look(idle, clock.after(IDLE_LOOK), full=False)
    assert len(list(idle.waiting())) == 1


def test_a_death_is_seen_before_long(idle: WatchedWriter, writer: Writer, clock: Clock) -> None:
    """Within the time that an idle writer goes without a full look."""
    writer.abandon()
    (Path(writer.layout.writer(writer.id)) / "who.json").write_text("{}")
    look(idle, clock.after(IDLE_LOOK), full=False)
    assert idle.dead


def test_a_removed_directory_is_seen_before_long(idle: WatchedWriter, writer: Writer, clock: Clock) -> None:
    """So that its records are written off."""
    os.rename(writer.layout.writer(writer.id), writer.layout.spool + "-gone")
    assert look(idle, clock.after(IDLE_LOOK), full=False)
    assert idle.gone


def test_clock_set_back_causes_a_full_look(idle: WatchedWriter, clock: Clock) -> None:
    """A look whose time is before the last one's is a full one."""
    assert look(idle, clock.after(-3600.0), full=False)
