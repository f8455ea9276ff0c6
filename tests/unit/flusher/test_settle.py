"""Settling: a verdict is on disk before anything is removed, and nothing is removed that was not settled."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lastword.flusher.settle import GRAVE_TIME, Bookkeeper, sweep_births
from lastword.flusher.watch import WatchedWriter
from lastword.spool.layout import Layout, segment_name
from lastword.spool.ledger import DELIVERED, Ledger, dropped
from lastword.spool.reader import list_segments
from lastword.spool.record import encode_event, frame
from lastword.spool.writer import Writer
from tests.support.promise import Section, promise
from tests.support.spools import look

NOW = 1_800_000_000.0


class Desk:
    """A spool with one writer, and a bookkeeper at work on it."""

    def __init__(self, spool: Path) -> None:
        self.layout = Layout(str(spool))
        self.layout.prepare()
        self.writer = Writer.born(self.layout)
        self.directory = Path(self.layout.writer(self.writer.id))
        self.books = Bookkeeper(self.layout, Ledger())
        self.watched = WatchedWriter(self.layout, self.writer.id, self.books.ledger.entry(self.writer.id))

    def append(self, count: int, size: int = 10) -> None:
        for _ in range(count):
            self.writer.append(encode_event("ab" * 16, "0" * 12, {"text": "x" * size}), None)

    def deliver_all(self) -> None:
        look(self.watched, NOW)
        for line in list(self.watched.waiting()):
            self.books.settle(self.watched, line, DELIVERED, NOW)

    def clean_up(self, at: float) -> bool:
        look(self.watched, at)
        return self.books.clean_up([self.watched], at)

    def kill(self) -> None:
        self.writer.abandon()
        (self.directory / "who.json").write_text("{}")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "spool")


def test_the_ledger_knows_before_a_file_goes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the moment a segment is unlinked, the ledger on disk already says that it is settled."""
    known = []
    unlink = os.unlink

    def watched_unlink(name: str, *, dir_fd: int) -> None:
        known.append((name, Ledger.load(desk.layout).writers[desk.writer.id].segment))
        unlink(name, dir_fd=dir_fd)

    desk.append(3, size=500_000)
    desk.deliver_all()
    monkeypatch.setattr(os, "unlink", watched_unlink)
    assert desk.clean_up(NOW)
    assert known == [(segment_name(1), 2)]


def test_a_flusher_that_is_killed_before_the_checkpoint_sends_again(desk: Desk) -> None:
    """Outcomes only in memory are lost for the next flusher, and the record is still there."""
    desk.append(2)
    desk.deliver_all()
    again = WatchedWriter(desk.layout, desk.writer.id, Ledger.load(desk.layout).entry(desk.writer.id))
    look(again, NOW)
    assert [line.seq for line in again.waiting()] == [1, 2]


@pytest.mark.parametrize("later", [NOW + GRAVE_TIME, NOW - 3600.0], ids=["in time", "the clock was set back"])
def test_a_dead_writer_is_retired_in_order(desk: Desk, later: float) -> None:
    """First its segments go, later its figures move to the totals, then the rest of it goes, its lock last."""
    desk.append(3)
    desk.writer.refuse("sampled")
    desk.kill()
    desk.deliver_all()
    assert desk.clean_up(NOW)
    assert (sorted(path.name for path in desk.directory.iterdir())) == ["alive.lock", "blackbox", "who.json"]
    assert desk.books.ledger.totals.recorded == 0
    assert not desk.clean_up(NOW + GRAVE_TIME / 2)
    assert desk.clean_up(later)
    assert not desk.directory.exists()
    desk.books.checkpoint()
    ledger = Ledger.load(desk.layout)
    assert (ledger.totals.writers, ledger.totals.recorded, ledger.totals.tally[DELIVERED]) == (1, 3, 3)
    assert ledger.totals.refused == {"sampled": 1}
    assert (ledger.writers, ledger.retired) == ({}, set())


def test_a_killed_retirement_is_finished_and_counted_once(desk: Desk) -> None:
    """A writer that is in the list of the retired is only ever removed, never counted again."""
    desk.append(1)
    desk.kill()
    desk.deliver_all()
    desk.clean_up(NOW)
    desk.books.ledger.retire(desk.writer.id, {})
    desk.books.checkpoint()  # and here the flusher is killed
    successor = Bookkeeper(desk.layout, Ledger.load(desk.layout))
    successor.clean_up([], NOW)
    assert not desk.directory.exists()
    assert (successor.ledger.totals.writers, successor.ledger.totals.recorded) == (1, 1)


def test_records_of_a_writer_that_only_seemed_dead_are_rescued(desk: Desk) -> None:
    """Records written between its check and our unlink are read from the unlinked file."""
    desk.append(1)
    desk.deliver_all()
    desk.watched.dead = True  # as seen from another pid namespace when its lock was lost
    descriptor = os.open(desk.directory / segment_name(1), os.O_WRONLY | os.O_APPEND)
    assert desk.clean_up(NOW)
    os.write(descriptor, frame(encode_event("cd" * 16, None, {"text": "late"}), 2))
    os.close(descriptor)
    assert desk.clean_up(NOW + GRAVE_TIME)
    assert len(list_segments(str(desk.directory)).extras) == 1
    look(desk.watched, NOW + 2)
    assert [line.event_id for line in desk.watched.waiting()] == ["cd" * 16]


@promise(
    Section.NOT_LOST,
    "Records written around the unlink of their segment are rescued",
    broken_by="no second read of the unlinked file",
)
def test_records_unread_at_the_unlink_are_rescued(desk: Desk) -> None:
    """Although they were there before the unlink."""
    desk.append(1)
    desk.deliver_all()
    desk.watched.dead = True
    look(desk.watched, NOW)
    desk.append(1)
    assert desk.books.clean_up([desk.watched], NOW)
    desk.books.clean_up([desk.watched], NOW + GRAVE_TIME)
    assert len(list_segments(str(desk.directory)).extras) == 1


def test_a_removed_directory_is_written_off(desk: Desk) -> None:
    """Held events whose files were removed count as dropped, so that accounts balance."""
    desk.append(3)
    look(desk.watched, NOW)
    line = next(iter(desk.watched.waiting()))
    desk.books.settle(desk.watched, line, DELIVERED, NOW)
    desk.writer.discard()
    look(desk.watched, NOW)
    desk.books.write_off(desk.watched, NOW)
    totals = desk.books.ledger.totals
    assert (totals.recorded, totals.tally) == (3, {DELIVERED: 1, dropped("removed"): 2})
    assert desk.books.ledger.writers == {}


def test_births_that_were_killed_are_swept(desk: Desk) -> None:
    """Cradles of dead processes are removed; those of living ones and foreign files stay."""
    dead, living = Path(desk.layout.birth) / ("d" * 32), Path(desk.layout.birth) / desk.writer.id
    dead.mkdir()
    (dead / "alive.lock").touch()
    living.mkdir()
    (living / "who.json").write_bytes((desk.directory / "who.json").read_bytes())
    foreign = Path(desk.layout.birth) / "notes"
    foreign.mkdir()
    (foreign / "mine.txt").touch()
    (Path(desk.layout.birth) / "file").touch()
    sweep_births(desk.layout)
    assert not dead.exists()
    assert living.exists()
    assert (foreign / "mine.txt").exists()
