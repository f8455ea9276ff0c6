"""Redirects cover exactly what was there when they were given, and go when it is gone."""

from __future__ import annotations

import os
import time
from pathlib import Path

from lastword.flusher.watch import WatchedWriter
from lastword.spool import redirects
from lastword.spool.layout import Layout, deferred_name
from lastword.spool.ledger import WriterEntry
from lastword.spool.redirects import Redirect, Redirects, resolve
from tests.support.planted import hold, record, writer_of
from tests.support.spools import look


def test_redirect_covers_records_before_its_place() -> None:
    """Records before its place, in earlier segments, in segments named, and those that wait alone, by their origin."""
    redirect = Redirect("old", "new", {"w": (2, 100)}, frozenset({"x-1.seg"}))
    for segment, start, covered in [
        ("000001.seg", 5000, True),
        ("000002.seg", 99, True),
        ("000002.seg", 100, False),
        ("000003.seg", 0, False),
        ("x-1.seg", 0, True),
        ("x-2.seg", 0, False),
        (deferred_name(2, 99), 0, True),
        (deferred_name(2, 100), 0, False),
    ]:
        assert redirect.covers("w", segment, start) is covered, (segment, start)
    assert not redirect.covers("another", "000001.seg", 0)


def test_redirects_apply_in_their_order() -> None:
    """One may continue from the target of another."""
    upto = {"w": (1, 10)}
    chain = [Redirect(None, "a", upto), Redirect("a", "b", upto), Redirect("c", "a", upto)]
    assert resolve(chain, None, "w", "000001.seg", 0) == "b"
    assert resolve(chain, "c", "w", "000001.seg", 0) == "a"
    assert resolve(chain, "d", "w", "000001.seg", 0) == "d"


def test_redirect_covers_recorded_events_and_no_later_ones(layout: Layout) -> None:
    """Each redirect is new once."""
    with writer_of(Path(layout.spool)) as writer:
        record(writer, 2)
        redirects.give(layout, None, "0123456789ab")
        size = os.path.getsize(os.path.join(layout.writer(writer.id), "000001.seg"))
        known = Redirects(layout)
        assert [redirect.new for redirect in known.refresh(time.time())] == ["0123456789ab"]
        assert known.refresh(time.time()) == []
        assert known.resolve(None, writer.id, "000001.seg", size - 1) == "0123456789ab"
        assert known.resolve(None, writer.id, "000001.seg", size) is None


def test_redirect_holds_at_once_for_records_being_read(layout: Layout) -> None:
    """And for records that were read before."""
    with writer_of(Path(layout.spool)) as writer:
        record(writer, 2)
        early = WatchedWriter(layout, writer.id, WriterEntry())
        look(early, time.time())
        redirects.give(layout, None, "0123456789ab")
        record(writer, 1)
        known = Redirects(layout)
        late = WatchedWriter(layout, writer.id, WriterEntry(), known)
        early.redirect(known.refresh(time.time()))
        for watched in (early, late):
            look(watched, time.time())
        assert [line.to for line in late.waiting()] == ["0123456789ab", "0123456789ab", None]
        assert [line.to for line in early.waiting()] == ["0123456789ab", "0123456789ab", None]


def test_redirect_is_removed_with_its_last_writer(layout: Layout) -> None:
    """And no other one is."""
    hold(Path(layout.spool))
    redirects.give(layout, None, "0123456789ab")
    known = Redirects(layout)
    known.refresh(time.time())
    known.forget_spent(layout.writer_ids())
    assert len(os.listdir(layout.redirects)) == 1
    known.forget_spent(["another"])
    assert os.listdir(layout.redirects) == []


def test_garbage_is_no_redirect(layout: Layout) -> None:
    """Foreign files there are left alone."""
    directory = Path(layout.redirects)
    directory.mkdir()
    (directory / "1.json").write_text("{}")
    (directory / "2.json").write_text('{"old":1,"new":2,"upto":[],"extras":3}')
    (directory / "3.json").mkdir()
    assert Redirects(layout).refresh(time.time()) == []
    assert len(os.listdir(directory)) == 3
