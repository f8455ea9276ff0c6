"""What a writer sees of the whole spool: how full it is, and whether it may go on."""

from __future__ import annotations

import os
from unittest.mock import Mock

import pytest

from lastword.audit.accounts import read_accounts
from lastword.spool.layout import Layout, segment_name
from lastword.spool.ledger import Ledger
from lastword.spool.limits import Limits
from lastword.spool.lock import LifetimeLock
from lastword.spool.room import survey
from lastword.spool.writer import Writer
from tests.support.promise import Section, promise
from tests.support.spools import writer_with_segments

MIB = 1 << 20


@promise(
    Section.BOUNDED,
    "Only a flusher removes segments",
    broken_by="a writer drops the oldest segments where nobody leads",
)
def test_only_a_flusher_removes_segments(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that finds no room settles nothing and unlinks nothing, whether one leads or not: the writer of a
    segment that only looks dead may be between its check and its write, and who removes it has to look once more.
    """
    writer_with_segments(layout, 4, 0)
    monkeypatch.setattr(os, "unlink", Mock(side_effect=AssertionError("a writer removes something")))
    assert not survey(layout, Limits(spool=0)).room
    lock = LifetimeLock.acquire(layout.flusher_lock)
    assert lock is not None
    assert not survey(layout, Limits(spool=0)).room
    lock.release()
    assert read_accounts(layout.spool).held == 9
    assert Ledger.load(layout).generation == 0


@pytest.mark.parametrize(
    ("segments", "limit", "room"),
    [
        (4, 4 * MIB, True),
        (4, 3 * MIB, False),
        (0, 0, True),
        (1, 0, False),
    ],
)
def test_writers_stop_where_nobody_makes_room(layout: Layout, segments: int, limit: int, room: bool) -> None:
    """They go on as long as the segments that are done with stay within the limit; what is written to does not count.
    What other programs ask for counts as well.
    """
    writer_with_segments(layout, segments, limit)
    assert survey(layout, Limits(spool=limit)).room is room
    assert survey(layout, Limits(spool=0)).room is room
    Writer.born(layout, Limits(spool=100 * MIB))
    assert survey(layout, Limits(spool=limit)).room


@promise(
    Section.BEFORE_DISK,
    "The fill level of the spool counts pending events only and is seconds old at most",
    broken_by="the size of all files; share ignored; no fresh check",
)
def test_fill_level_counts_pending_events(layout: Layout) -> None:
    """Sent events that stay in an open segment do not count; they make the limit smaller."""
    writer = writer_with_segments(layout, 1, 8 * MIB)
    sealed, opened = (os.path.getsize(os.path.join(layout.writer(writer.id), segment_name(one))) for one in (1, 2))
    assert survey(layout, Limits(spool=8 * MIB)) == (True, (sealed + opened) / (8 * MIB), MIB)
    ledger = Ledger()
    entry = ledger.entry(writer.id)
    entry.segment, entry.offset = 1, sealed // 2
    ledger.store(layout)
    left = sealed - sealed // 2 + opened
    assert survey(layout, Limits(spool=8 * MIB)).fill == left / (8 * MIB - sealed // 2)
    os.unlink(os.path.join(layout.writer(writer.id), segment_name(1)))
    entry.segment, entry.offset = 2, opened
    ledger.store(layout)
    assert survey(layout, Limits(spool=2 * MIB)).fill == 0.0


def test_share_of_a_writer_depends_on_the_number_of_writers(layout: Layout) -> None:
    """All writers together may be wrong by an eighth of the limit, and by a little each."""
    for _ in range(4):
        Writer.born(layout, Limits())
    assert survey(layout, Limits(spool=8 * MIB)).share == MIB // 4
    assert survey(layout, Limits(spool=0)).share == 64 << 10
