"""Making room: the oldest sealed segment first, never one that is being written, and everything is counted."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from unittest.mock import Mock

import pytest

from lastword.dsn import Destination, Dsn
from lastword.flusher import retention
from lastword.flusher.retention import Removable
from lastword.flusher.waiting_line import State
from lastword.flusher.watch import WatchedWriter
from lastword.spool import inside
from lastword.spool.layout import Layout, segment_name
from lastword.spool.ledger import Ledger, dropped, set_aside
from lastword.spool.limits import Limits
from lastword.spool.record import encode_event
from lastword.spool.writer import Writer
from tests.support.promise import Section, promise
from tests.support.spools import NOW, append_lock_taken, look
from tests.support.spools import writer_with_segments as writer_of

MIB = 1 << 20


def watch(writer: Writer, ledger: Ledger) -> WatchedWriter:
    watched = WatchedWriter(writer.layout, writer.id, ledger.entry(writer.id))
    look(watched, time.time())
    return watched


def names(segments: list[Removable]) -> list[tuple[str, str]]:
    return [(segment.writer.id, segment.name) for segment in segments]


@promise(Section.BOUNDED, "The oldest segment is dropped first", broken_by="the youngest first")
def test_oldest_segment_goes_first_over_all_writers(layout: Layout) -> None:
    """Segments go in the order in which they were written, across writers, until the rest fits."""
    ledger = Ledger()
    young = watch(writer_of(layout, 3, 5 * MIB, written_at=NOW + 2.5), ledger)
    old = watch(writer_of(layout, 3, 5 * MIB), ledger)
    gone = retention.drop_oldest(layout, [young, old])
    assert names(gone) == [(old.id, segment_name(1)), (old.id, segment_name(2))]
    assert old.entry.tally == {dropped("spool full"): 4}
    assert old.settled_segments() == [segment_name(1), segment_name(2)]
    assert [line.seq for line in old.waiting()] == [5, 6, 7]


def test_an_open_segment_is_never_dropped(layout: Layout) -> None:
    """However small the limit."""
    watched = watch(writer_of(layout, 2, 0), Ledger())
    assert len(retention.drop_oldest(layout, [watched])) == 2
    assert [line.seq for line in watched.waiting()] == [5]


def test_a_dead_writers_last_segment_goes_too(layout: Layout) -> None:
    """No process writes to it any more."""
    writer = writer_of(layout, 1, 0)
    writer.abandon()
    Path(layout.writer(writer.id), "who.json").write_text('{"limits": {"spool": 0}}')
    watched = watch(writer, Ledger())
    assert len(retention.drop_oldest(layout, [watched])) == 2
    assert watched.exhausted


def test_segment_with_a_record_in_flight_is_kept(layout: Layout) -> None:
    """A segment with a record that is being sent is not dropped, nor any later one of that writer."""
    watched = watch(writer_of(layout, 3, 0), Ledger())
    lines = list(watched.waiting())
    lines[2].state = State.IN_FLIGHT  # in the second segment
    assert names(retention.drop_oldest(layout, [watched])) == [(watched.id, segment_name(1))]


def test_segments_past_the_lock_go_too(layout: Layout) -> None:
    """x- segments count and go like others."""
    writer = Writer.born(layout, Limits(spool=0))
    with append_lock_taken(writer):
        for _ in range(3):
            writer.append(encode_event("ab" * 16, None, {}), None)
    watched = watch(writer, Ledger())
    assert len(retention.drop_oldest(layout, [watched])) == 3
    assert watched.entry.tally == {dropped("spool full"): 3}
    assert watched.entry.extras_seen == 3


def test_dropped_loss_report_is_counted_separately(layout: Layout) -> None:
    """Under a reason that no report speaks of, or there would be reports for ever."""
    writer = Writer.born(layout, Limits(spool=0), role="flusher")
    writer.append(encode_event("ab" * 16, None, {}), None)
    writer.abandon()
    watched = watch(writer, Ledger())
    watched.dead = True
    look(watched, time.time())
    retention.drop_oldest(layout, [watched])
    assert watched.entry.tally == {dropped(retention.OWN_REPORT): 1}


def test_within_the_limit_nothing_goes(layout: Layout) -> None:
    """As long as there is room everything stays."""
    watched = watch(writer_of(layout, 3, 100 * MIB), Ledger())
    assert retention.drop_oldest(layout, [watched]) == []


@promise(
    Section.BOUNDED,
    "An event is too old only by both clocks: its own and the ledger's",
    broken_by="the ledger's clock not asked",
)
@pytest.mark.parametrize(
    ("captured", "seen", "goes"),
    [
        (NOW - 8 * 86_400, NOW - 8 * 86_400, True),
        (NOW - 8 * 86_400, NOW - 60, False),  # the program's clock was wrong
        (NOW - 60, NOW - 8 * 86_400, False),
        (0.0, NOW - 8 * 86_400, False),  # an event that does not say when it was
    ],
)
def test_record_is_too_old_only_by_both_clocks(layout: Layout, captured: float, seen: float, goes: bool) -> None:
    """A record goes when it is past its age by its own clock and by the ledger's."""
    writer = Writer.born(layout)
    writer.append(encode_event("ab" * 16, None, {"timestamp": captured}), None)
    watched = watch(writer, Ledger())
    watched.entry.first_seen = seen
    assert retention.drop_too_old([watched], NOW) == goes
    assert watched.entry.tally == ({dropped("too old"): 1} if goes else {})


@promise(Section.RECOVERY, "No event is dropped for its age before it was tried", broken_by="not checked")
def test_nothing_is_too_old_before_it_was_tried(layout: Layout) -> None:
    """By a clock that was wrong a new event may seem old: only what has failed once goes for its age."""
    writer, to = Writer.born(layout), Destination(Dsn.parse("booboo+http://TOKEN@127.0.0.1:1/o/p"), 5.0)
    for _ in range(2):
        writer.append(encode_event("ab" * 16, to.key, {"timestamp": NOW - 9 * 86_400}), to)
    watched = watch(writer, Ledger())
    watched.entry.first_seen = NOW - 8 * 86_400
    assert retention.drop_too_old([watched], NOW) == 0
    next(watched.waiting()).failed_at = 1.0
    assert retention.drop_too_old([watched], NOW) == 1
    assert [line.seq for line in watched.waiting()] == [2]


def aged(layout: Layout, *names: str, size: int = 1000) -> None:
    """Files set aside, the oldest first."""
    for age, name in enumerate(reversed(names)):
        path = Path(layout.set_aside) / name
        path.write_bytes(b'{"why":"refused"}\n'.ljust(size, b"x"))
        os.utime(path, (NOW - age, NOW - age))


@promise(
    Section.BOUNDED,
    "Set-aside files stay within their limit at any moment, counted by the disk space they occupy, however "
    "small they are; damage goes first, and everything dropped is counted",
)
def test_set_aside_is_bounded_and_drops_are_counted(layout: Layout) -> None:
    """Damage goes first, then events, of both the oldest; what goes is counted, an event as dropped from then on."""
    aged(layout, "z.record", "a.damaged", "y.record", "b.damaged", "garbage", "x.record")
    ledger = Ledger()
    ledger.totals.tally[set_aside("refused")] = 3
    for room, left in [
        (6, {"x.record", "y.record", "z.record", "a.damaged", "b.damaged", "garbage"}),
        (5, {"x.record", "y.record", "z.record", "garbage"}),
        (3, {"x.record", "y.record"}),
        (0, set()),
    ]:
        before = len(os.listdir(layout.set_aside))
        assert retention.SetAside(layout, ledger, lambda room=room: room * 4096).trim() == before - len(left)  # type: ignore[misc]
        assert set(os.listdir(layout.set_aside)) == left
    assert ledger.totals.tally == {set_aside("refused"): 0, dropped("set aside full"): 3}
    assert ledger.totals.damage_removed == 3
    ledger.store(layout)
    assert Ledger.load(layout).totals.damage_removed == 3


@promise(
    Section.BOUNDED,
    "Set-aside files stay within their limit at any moment, counted by the disk space they occupy, however "
    "small they are; damage goes first, and everything dropped is counted",
)
@pytest.mark.parametrize("kind", ["damaged", "record"])
def test_the_bound_holds_while_something_is_set_aside(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """After each file, there are no more than the limit has room for, by what they occupy, however small they are; and
    they are counted now and then only.
    """
    ledger, limit, counted = Ledger(), 64 * 4096, Mock(side_effect=inside.listdir)
    keeper = retention.SetAside(layout, ledger, lambda: limit)
    monkeypatch.setattr(inside, "listdir", counted)
    gone = 0
    for number in range(500):
        aged(layout, f"{number:04d}.{kind}", size=[20, 5000][number % 2])
        gone += keeper.added(20)
        found = [path.stat() for path in Path(layout.set_aside).iterdir()]
        assert len(found) <= 64
        assert number % 50 or sum(one.st_blocks * 512 for one in found) <= limit + 8192 * 8
        assert gone + len(found) == number + 1
    assert counted.call_count < 500 / 5
    assert ledger.totals.damage_removed + ledger.totals.tally[dropped("set aside full")] == gone


@promise(
    Section.BOUNDED,
    "Set-aside files stay within their limit at any moment, counted by the disk space they occupy, however "
    "small they are; damage goes first, and everything dropped is counted",
)
def test_size_of_set_aside_counts_occupied_blocks(layout: Layout) -> None:
    """A foreign sparse file of a terabyte pushes nothing out; a file that cannot be removed stops nothing."""
    aged(layout, "a.damaged", "b.damaged", "c.record")
    (Path(layout.set_aside) / "d.damaged").touch()
    os.truncate(Path(layout.set_aside) / "d.damaged", 1 << 40)
    (Path(layout.set_aside) / "a directory.damaged").mkdir()
    keeper = retention.SetAside(layout, Ledger(), lambda: 2 << 20)
    assert keeper.trim() == 0
    unlink = os.unlink

    def may_not(path: str, **more: int) -> None:
        if path.endswith("a.damaged"):
            raise PermissionError(errno.EPERM, "Operation not permitted", path)
        unlink(path, **more)

    with pytest.MonkeyPatch.context() as immutable:
        immutable.setattr(os, "unlink", may_not)
        assert retention.SetAside(layout, Ledger(), lambda: 0).trim() == 3
    assert set(os.listdir(layout.set_aside)) == {"a.damaged", "a directory.damaged"}
