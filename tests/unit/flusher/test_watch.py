"""Watching a writer: every record is seen once, in order, in constant memory, and what is settled stays settled."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lastword.flusher.watch import WINDOW, WatchedWriter
from lastword.spool import blackbox
from lastword.spool.layout import Layout, segment_name
from lastword.spool.ledger import DELIVERED, WriterEntry, dropped
from lastword.spool.record import Record, encode_event, frame
from lastword.spool.writer import Writer
from tests.support.spools import append_lock_taken, look, store_state


@pytest.fixture
def writer(layout: Layout) -> Writer:
    return Writer.born(layout)


def body(text: str = "x") -> bytes:
    return encode_event("ab" * 16, "0" * 12, {"text": text})


def watch(writer: Writer, entry: WriterEntry | None = None) -> WatchedWriter:
    watched = WatchedWriter(writer.layout, writer.id, entry or WriterEntry())
    look(watched, time.time())
    return watched


def settle_all(watched: WatchedWriter) -> int:
    """Settle whatever comes, over as many looks as it takes."""
    count = 0
    while lines := list(watched.waiting()):
        for line in lines:
            watched.settle(line, DELIVERED)
            count += 1
        look(watched, time.time())
    return count


def kill(writer: Writer) -> None:
    """What the death of its process leaves: a free lock, and nobody by that pid."""
    writer.abandon()
    who = Path(writer.layout.writer(writer.id)) / "who.json"
    who.write_text("{}")


def test_records_are_seen_as_they_come(writer: Writer) -> None:
    """Records appended since the last look are seen at the next one, once."""
    watched = watch(writer)
    for expected in ([], [1], [1, 2]):
        look(watched, time.time())
        assert [line.seq for line in watched.waiting()] == expected
        writer.append(body(), None)
    assert not watched.dead


def test_low_moves_over_a_gap_only_when_it_is_closed(writer: Writer) -> None:
    """`low` moves over a gap only when the gap is closed, and another flusher goes on from what is on disk."""
    for _ in range(4):
        writer.append(body(), None)
    watched = watch(writer)
    lines = list(watched.waiting())
    watched.settle(lines[2], DELIVERED)
    watched.settle(lines[1], DELIVERED)
    assert (watched.entry.offset, len(watched.entry.above)) == (0, 2)
    assert [line.seq for line in watch(writer, watched.entry).waiting()] == [1, 4]
    watched.settle(lines[0], DELIVERED)
    assert (watched.entry.offset, watched.entry.seq, watched.entry.above) == (lines[2].end, 3, set())


def test_a_backlog_takes_constant_memory(writer: Writer) -> None:
    """However many records wait, only a window of them is known at a time, and all come in the end."""
    for _ in range(3 * WINDOW):
        writer.append(body("x" * 5000), None)
    watched = watch(writer)
    assert len(list(watched.waiting())) == WINDOW
    assert settle_all(watched) == 3 * WINDOW
    assert watched.entry.seq == 3 * WINDOW


def test_only_settled_sealed_segments_may_be_removed(writer: Writer) -> None:
    """A living writer's sealed segments when they are settled, never the one it writes to."""
    for _ in range(5):
        writer.append(body("x" * 500_000), None)
    watched = watch(writer)
    assert watched.settled_segments() == []
    settle_all(watched)
    assert watched.settled_segments() == [segment_name(1), segment_name(2)]
    assert not watched.exhausted
    kill(writer)
    look(watched, time.time())
    assert watched.exhausted
    assert watched.settled_segments() == [segment_name(number) for number in (1, 2, 3)]


def test_a_segment_that_is_not_sealed_yet(layout: Layout, writer: Writer) -> None:
    """Between the making of the next segment and the word that this one is sealed, it is still read from."""
    writer.append(body(), None)
    directory = Path(layout.writer(writer.id))
    watched = watch(writer)
    settle_all(watched)
    (directory / segment_name(2)).touch()
    look(watched, time.time())
    assert watched.settled_segments() == []
    writer.append(body(), None)
    look(watched, time.time())
    assert [line.seq for line in watched.waiting()] == [2]
    settle_all(watched)
    store_state(directory / "blackbox", blackbox.WriterState(generation=8, sealed_upto=1))
    look(watched, time.time())
    assert watched.settled_segments() == [segment_name(1)]


def test_segments_past_the_lock(writer: Writer) -> None:
    """Records in x- segments are seen, settled and removed like others; they have no number."""
    with append_lock_taken(writer):
        writer.append(body("inside"), None)
    watched = watch(writer)
    [line] = watched.waiting()
    found = watched.read(line)
    assert isinstance(found, Record)
    assert (line.seq, line.number, found.content) == (None, None, {"text": "inside"})
    watched.settle(line, DELIVERED)
    assert watched.settled_segments() == [line.segment]
    assert watched.entry.extras_seen == 1
    assert list(watch(writer, watched.entry).waiting()) == []
    os.unlink(os.path.join(watched.directory, line.segment))
    look(watched, time.time())
    watched.forget_unlinked()
    assert watched.entry.extras == set()


def test_a_torn_tail_is_waited_for_while_its_writer_lives(layout: Layout, writer: Writer) -> None:
    """A line without its end is left alone until its writer is dead; then it is damage."""
    writer.append(body(), None)
    segment = Path(layout.writer(writer.id)) / segment_name(1)
    with segment.open("ab") as tail:
        tail.write(frame(body(), 2)[:-5])
    watched = watch(writer)
    assert [line.damage for line in watched.waiting()] == [None]
    kill(writer)
    look(watched, time.time())
    assert [line.damage and line.damage.reason for line in watched.waiting()] == [None, "torn"]
    assert not watched.exhausted


def test_a_lost_record_is_counted(layout: Layout, writer: Writer) -> None:
    """A record that was damaged beyond reading is missed by its number."""
    for _ in range(3):
        writer.append(body(), None)
    segment = Path(layout.writer(writer.id)) / segment_name(1)
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(lines[0] + lines[2])
    watched = watch(writer)
    assert settle_all(watched) == 2
    assert watched.entry.tally == {DELIVERED: 2, dropped("damaged"): 1}


def test_living_process_that_dropped_its_lock_is_not_dead(writer: Writer) -> None:
    """A process that dropped its own lock, by archiving its spool say, and is alive is not dead."""
    writer.append(body(), None)
    writer.abandon()
    assert not watch(writer).dead


def test_removed_directory_of_a_writer_raises_nothing(writer: Writer) -> None:
    """A writer whose directory was removed is gone, and asking about it raises nothing."""
    watched = watch(writer)
    writer.discard()
    look(watched, time.time())
    assert watched.gone
