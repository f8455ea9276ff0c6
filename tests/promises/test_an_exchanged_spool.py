"""The promise: who can exchange the spool, or left links in it, has nothing read, written or removed elsewhere."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastword import diagnostics
from lastword.errors import SpoolError
from lastword.flusher import in_program
from lastword.flusher.loop import Flusher
from lastword.flusher.strikes import InFlight
from lastword.spool import orders
from lastword.spool.layout import Layout
from lastword.spool.ledger import Ledger
from lastword.spool.lock import LifetimeLock
from lastword.spool.writer import Writer, WriterLost
from lastword.testing import LoopbackTracker
from tests.support.programs import wait_until
from tests.support.promise import Section, promise
from tests.support.second_user import ROOT
from tests.support.spools import Process, flush, impatient_flushers, messages

STRANGER = 65534
SOME_WRITER = "0" * 32


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(str(tmp_path / "shared/app/spool"))
    layout.prepare()
    return layout


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """What is to be emptied, or written to: it is laid out as a spool is, so that any way in would do."""
    target = tmp_path / "target"
    for directory in (
        "",
        "v1",
        f"v1/writers/{SOME_WRITER}",
        "v1/birth",
        "v1/set_aside",
        "v1/orders",
        "spool/v1/writers",
    ):
        (target / directory).mkdir(parents=True, exist_ok=True)
        for name in ("id_rsa", "000001.seg", "x.record", "x.aside"):
            (target / directory / name).write_text("mine")
    return target


def seen(directory: Path) -> dict[str, tuple[int, int, bytes]]:
    """All that is in there, with times."""
    paths = [directory, *directory.rglob("*")]
    return {
        str(path): (path.lstat().st_mode, path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in paths
    }


class InThread:
    """A flusher that leads in a thread of this process."""

    def __init__(self, layout: Layout) -> None:
        self.raised: list[BaseException] = []
        self._flusher = Flusher(layout, stays=True)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        wait_until(lambda: os.path.exists(layout.leader), "a flusher that leads")

    def _run(self) -> None:
        try:
            self._flusher.run()
        except (OSError, SpoolError) as error:
            self.raised.append(error)

    def join(self) -> None:
        self._thread.join(30)
        left = not self._thread.is_alive()
        self._flusher.stop(0.0)
        self._thread.join()
        assert left, "it goes on leading what is no longer there"


@pytest.fixture(autouse=True)
def quickly() -> Iterator[None]:
    with impatient_flushers():
        yield


def exchange(how: str, layout: Layout, target: Path, away: Path) -> None:
    """Put something else in the place of the spool, in one of the ways that whoever may write above it has."""
    spool = Path(layout.spool)
    if how == "a link":
        spool.rename(away)
        spool.symlink_to(target)
    elif how == "v1 is a link":
        Path(layout.base).rename(away)
        Path(layout.base).symlink_to(target / "v1")
    elif how == "a link that leads back":
        spool.rename(away)
        spool.symlink_to(away)
    elif how == "above it":
        spool.parent.rename(away)
        spool.parent.symlink_to(target)
    else:
        theirs = target.parent / "theirs"
        os.makedirs(theirs / "v1/writers")
        (theirs / "v1/writers" / SOME_WRITER).symlink_to(target)
        for name in ("birth", "set_aside", "destinations", "orders", "redirects"):
            (theirs / "v1" / name).symlink_to(target)
        (theirs / "v1/flusher.lock").symlink_to(away / "v1/flusher.lock")
        (theirs / "v1/orders.json").write_text("{}")
        for path in [theirs, *theirs.rglob("*")]:
            os.chown(path, STRANGER, STRANGER, follow_symlinks=False)
        spool.rename(away)
        theirs.rename(spool)


WAYS = ["a link", "v1 is a link", "a link that leads back", "above it", pytest.param("of another user", marks=ROOT)]


@promise(
    Section.PRIVATE,
    "A leader leaves a spool that was exchanged and reports it",
    broken_by="only the lock's file compared, links followed",
)
@pytest.mark.parametrize("how", WAYS)
def test_leader_leaves_an_exchanged_spool(
    layout: Layout, target: Path, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does nothing in the directory that took the place, and reports it where that is no spool of ours."""
    keep, at_once = LifetimeLock.keep, threading.Lock()  # as ``renameat2`` exchanges them

    def keep_before_or_after(lock: LifetimeLock) -> bool:
        with at_once:
            return keep(lock)

    monkeypatch.setattr(LifetimeLock, "keep", keep_before_or_after)
    with LoopbackTracker() as tracker:
        tracker.answer(503)
        Process(layout, tracker.dsn, "1").ends()
        flusher = InThread(layout)
        wait_until(lambda: tracker.requests, "an event that is sent")
        before = seen(target)
        with at_once:
            exchange(how, layout, target, tmp_path / "away")
        flusher.join()
        assert seen(target) == before
        assert ["in the place of the spool" in str(error) for error in flusher.raised] == [True]


@promise(Section.PRIVATE, "A flusher in a thread has the program report an exchanged spool", broken_by="no note")
@pytest.mark.parametrize("how", WAYS)
def test_flusher_does_not_begin_in_an_exchanged_spool(layout: Layout, target: Path, tmp_path: Path, how: str) -> None:
    """A flusher that finds something else there begins nothing. One in a thread of the program, which cannot write that
    into a log there, has the program say so.
    """
    before = seen(target)
    exchange(how, layout, target, tmp_path / "away")
    diagnostics.forget()
    in_program.lead(layout)
    assert seen(target) == before
    [said] = diagnostics.waiting()
    diagnostics.forget()
    assert said.startswith("events are not sent: ")
    assert str(tmp_path / "shared/app") in said


@pytest.mark.parametrize("name", ["set_aside", "birth", "orders", "redirects", "refused", "destinations"])
def test_nothing_is_written_or_removed_behind_a_linked_directory(layout: Layout, target: Path, name: str) -> None:
    """Neither for refused events nor by an order, and held events stay held."""
    place = Path(layout.base, name)
    with LoopbackTracker() as tracker:
        Process(layout, tracker.dsn, "1").ends()
        tracker.answer(400)
        if place.exists():
            place.rename(place.with_suffix(".moved"))
        place.symlink_to(target)
        (target / "1.json").write_text('{"do":"purge","ids":null}')
        before = seen(target)
        Flusher(layout).run()
        if name == "set_aside":
            orders.give(layout, orders.Order(orders.PURGE))
            Flusher(layout).run()
            assert tracker.requests
        assert seen(target) == before


@pytest.mark.parametrize(
    "writer_id", ["../set_aside", "../..", "", ".", "..", "{target}", "../../../../../target", f"{SOME_WRITER}/../x"]
)
def test_only_directories_of_writers_are_removed_for_retired_ids(layout: Layout, target: Path, writer_id: str) -> None:
    """Whatever ids the ledger has."""
    Path(layout.set_aside, "kept.record").write_text("ours")
    with LoopbackTracker() as tracker:
        Process(layout, tracker.dsn, "1").ends()
        ledger = Ledger.load(layout)
        ledger.retired = {writer_id.format(target=target)}
        ledger.entry(writer_id.format(target=target)).first_seen = time.time() - 1e6
        ledger.store(layout)
        before = seen(target)
        flush(layout)
        assert messages(tracker) == {"1": 1}
    assert seen(target) == before
    assert Path(layout.set_aside, "kept.record").read_text() == "ours"
    assert os.listdir(layout.writers) == []


def test_captures_into_an_exchanged_spool_are_refused_and_counted(layout: Layout, target: Path, tmp_path: Path) -> None:
    """A process that has a writer there writes no new file behind a link, and counts what it could not keep."""
    process = Process(layout, "booboo+http://k@127.0.0.1:9/o/p", "1")
    exchange("a link", layout, target, tmp_path / "away")
    (target / "v1/writers" / process.writer.id).mkdir()
    before = seen(target)
    with pytest.raises(NotADirectoryError):
        process.writer._roll()
    process.writer._path_checked = 0.0
    with pytest.raises(WriterLost):
        process.captures("2")
    with pytest.raises(SpoolError):
        Writer.born(layout)
    process.writer.abandon()
    assert seen(target) == before


@promise(
    Section.PRIVATE,
    "An event in flight while the spool is exchanged is not counted as poison",
    broken_by="left as after a breakdown",
)
def test_event_in_flight_at_an_exchange_is_not_counted_as_poison(layout: Layout, target: Path, tmp_path: Path) -> None:
    """However often the spool is exchanged while an event is sent, it is never taken for one that kills flushers."""
    with LoopbackTracker() as tracker:
        tracker.be_slow(60.0)
        Process(layout, tracker.dsn, "1").ends()
        for _ in range(4):
            flusher = InThread(layout)
            wait_until(lambda: InFlight.load(layout).sending, "an event on its way")
            exchange("a link", layout, target, tmp_path / "away")
            flusher.join()
            os.unlink(layout.spool)
            os.rename(tmp_path / "away", layout.spool)
            os.unlink(layout.leader)
            assert InFlight.load(layout) == InFlight()
