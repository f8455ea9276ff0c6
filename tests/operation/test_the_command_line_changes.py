"""`replay`, `purge` and `redirect` do what they say, through whoever leads, and the accounts balance after each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastword.audit import kept_events
from lastword.audit.accounts import Accounts, read_accounts
from lastword.cli import change, main
from lastword.spool import orders
from lastword.spool.layout import Layout
from lastword.spool.lock import holder
from lastword.spool.writer import Writer
from lastword.testing import LoopbackTracker
from tests.support.planted import hold, record, writer_of
from tests.support.programs import wait_until
from tests.support.promise import Section, promise
from tests.support.spools import append_lock_taken

pytestmark = promise(
    Section.COMMANDS,
    "After `replay`, `purge` and `redirect` the accounts balance",
    broken_by="counts unchanged; place ignored; x- segments ignored; lines already read not redirected",
)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def tracker() -> Iterator[LoopbackTracker]:
    with LoopbackTracker("backtrace") as tracker:
        yield tracker


def lastword(command: str, *arguments: str, spool: Path) -> int:
    return main([command, *arguments, "--spool", str(spool)])


def set_aside(spool: Path, tracker: LoopbackTracker, count: int) -> list[str]:
    """So many events that the tracker refused; returns their ids."""
    ids = hold(spool, count, dsn=tracker.dsn)
    tracker.answer(400, times=count)
    assert lastword("flush", spool=spool) == 0
    assert sorted(one.id for one in kept_events.set_aside(Layout(str(spool)))) == sorted(ids)
    return ids


def balanced(spool: Path) -> Accounts:
    accounts = read_accounts(spool)
    assert accounts.missing == 0, accounts
    return accounts


def ids_of(tracker: LoopbackTracker) -> list[str]:
    return sorted((event.id or "").replace("-", "") for event in tracker.events)


def test_replayed_event_keeps_its_id(spool: Path, tracker: LoopbackTracker) -> None:
    """A replayed event goes back from set aside to held, under its id; it is recorded once, and its file is gone."""
    first, second = set_aside(spool, tracker, 2)
    assert lastword("replay", first[:12], spool=spool) == 0
    assert lastword("flush", spool=spool) == 0
    assert ids_of(tracker) == [first]
    accounts = balanced(spool)
    assert (accounts.recorded, accounts.delivered, accounts.set_aside) == (2, 1, {"refused": 1})
    assert [one.id for one in kept_events.set_aside(Layout(str(spool)))] == [second]
    assert lastword("replay", "--all", spool=spool) == 0
    assert lastword("flush", spool=spool) == 0
    accounts = balanced(spool)
    assert (accounts.recorded, accounts.delivered, accounts.set_aside) == (2, 2, {})
    assert holder(Layout(str(spool)).flusher_lock) is None


def test_replay_is_refused_again(spool: Path, tracker: LoopbackTracker) -> None:
    """An event that is refused again is set aside again, and counted once."""
    [event_id] = set_aside(spool, tracker, 1)
    tracker.answer(400)
    assert lastword("replay", event_id, spool=spool) == 0
    assert lastword("flush", spool=spool) == 0
    accounts = balanced(spool)
    assert (accounts.recorded, accounts.held, accounts.set_aside) == (1, 0, {"refused": 1})


def test_purge_drops_for_good(spool: Path, tracker: LoopbackTracker) -> None:
    """Set-aside events and named held ones are dropped and counted as purged."""
    set_aside(spool, tracker, 2)
    held = hold(spool, 3)
    assert lastword("purge", "--all", spool=spool) == 0
    assert os.listdir(Layout(str(spool)).set_aside) == []
    accounts = balanced(spool)
    assert (accounts.held, accounts.dropped, accounts.set_aside) == (3, {"purged": 2}, {})
    assert lastword("purge", held[1], spool=spool) == 0
    accounts = balanced(spool)
    assert (accounts.recorded, accounts.held, accounts.dropped) == (5, 2, {"purged": 3})
    assert [one.id for one in kept_events.held(Layout(str(spool)))] == [held[0], held[2]]


def test_redirect_moves_held_events_and_no_later_ones(spool: Path, tracker: LoopbackTracker) -> None:
    """Events held for OLD go to NEW, from any segment; later ones go to OLD."""
    with LoopbackTracker("booboo") as old, writer_of(spool) as writer:
        before = record(writer, 3, dsn=old.dsn)
        extra = record_beside(writer, old.dsn)
        assert lastword("redirect", old.dsn, tracker.dsn, spool=spool) == 0
        record(writer, 2, dsn=old.dsn)
        assert sorted(read_accounts(spool).held_for.values()) == [2, 4]
        assert lastword("flush", spool=spool) == 0
        assert ids_of(tracker) == sorted([*before, *extra])
        assert len(old.events) == 2
        accounts = balanced(spool)
        assert (accounts.recorded, accounts.delivered) == (6, 6)


def record_beside(writer: Writer, dsn: str) -> list[str]:
    """A record in an x- segment: this thread is inside the append lock."""
    with append_lock_taken(writer):
        return record(writer, 1, dsn=dsn)


def test_redirect_none_sends_events_without_a_dsn(spool: Path, tracker: LoopbackTracker) -> None:
    """`redirect none DSN` sends what was captured without a DSN; and a redirect can be redirected."""
    ids = hold(spool, 2)
    assert lastword("redirect", "none", "booboo+http://t@127.0.0.1:9/o/p", spool=spool) == 0
    assert read_accounts(spool).sendable == 2
    assert lastword("redirect", "booboo+http://t@127.0.0.1:9/o/p", tracker.dsn, spool=spool) == 0
    assert lastword("flush", spool=spool) == 0
    assert ids_of(tracker) == sorted(ids)
    assert balanced(spool).delivered == 2


def test_replay_goes_to_the_tracker_that_refused_the_event(spool: Path, tracker: LoopbackTracker) -> None:
    """A replay goes to the tracker that refused the event, whatever the record once said."""
    [event_id] = hold(spool)
    assert lastword("redirect", "none", tracker.dsn, spool=spool) == 0
    tracker.answer(400, times=1)
    assert lastword("flush", spool=spool) == 0
    assert lastword("replay", event_id, spool=spool) == 0
    assert lastword("flush", spool=spool) == 0
    assert ids_of(tracker) == [event_id]


def test_orders_are_carried_out_by_the_leader(spool: Path, tracker: LoopbackTracker) -> None:
    """While a flusher leads, it obeys redirects and orders within its next look; the command itself never leads."""
    [first, second] = set_aside(spool, tracker, 2)
    command = [sys.executable, "-m", "lastword", "flusher", "--spool", str(spool)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: holder(Layout(str(spool)).flusher_lock) == process.pid, "it to lead")
            held = hold(spool)
            assert lastword("replay", first, spool=spool) == 0
            assert lastword("purge", second, spool=spool) == 0
            assert lastword("redirect", "none", tracker.dsn, spool=spool) == 0
            tracker.wait_for(2)
            assert ids_of(tracker) == sorted([first, *held])
            assert holder(Layout(str(spool)).flusher_lock) == process.pid
        finally:
            process.terminate()
            process.wait(30)
    accounts = balanced(spool)
    assert (accounts.recorded, accounts.delivered, accounts.dropped) == (3, 2, {"purged": 1})


def test_an_order_that_nobody_carries_out_is_withdrawn(
    spool: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command names the leader that did not obey, and the order is not carried out later."""
    hold(spool)
    hold_lock = (
        "import sys; from lastword.spool.lock import LifetimeLock; lock = LifetimeLock.acquire(sys.argv[1]);"
        " print(flush=True); sys.stdin.read()"
    )
    layout = Layout(str(spool))
    monkeypatch.setattr(change, "PATIENCE", 0.1)
    with subprocess.Popen(
        [sys.executable, "-c", hold_lock, layout.flusher_lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline()
        assert lastword("replay", "--all", spool=spool) == 2
        process.kill()
    assert f"pid {process.pid} leads" in capsys.readouterr().err
    assert orders.waiting(layout) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["replay", "ffff"], "no event has this id"),
        (["show", ""], "ids begin with this"),
        (["redirect", "0123456789ab", "booboo+http://t@127.0.0.1:9/o/p"], "cannot be read"),
        (["redirect", "none", "nonsense"], "A DSN is one of"),
    ],
)
def test_wrong_argument_changes_nothing(
    spool: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    """A wrong id or DSN is said to be one, with status 2."""
    hold(spool, 2)
    assert main([*arguments, "--spool", str(spool)]) == 2
    assert words in capsys.readouterr().err
    assert balanced(spool).held == 2
