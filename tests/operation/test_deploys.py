"""The promise: whatever is deployed beside or after what, each event reaches its own tracker, and the newest sends."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import lastword
import lastword.flusher.in_program  # now, since another user could not read the modules
from lastword.audit.accounts import read_accounts
from lastword.spool import leader
from lastword.spool.layout import Layout
from lastword.spool.lock import holder
from lastword.testing import LoopbackTracker
from tests.support.programs import (
    Program,
    removed_afterwards,
    run,
    wait_for_accounts,
    wait_until,
    wait_until_no_flusher,
)
from tests.support.promise import Section, promise
from tests.support.second_user import ATTACKER, ROOT, VICTIM, as_user, open_ground


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """Another installation of lastword, of a higher version; its path is to be the first."""
    installed = tmp_path / "newer"
    shutil.copytree(
        Path(lastword.__file__).parent, installed / "lastword", ignore=shutil.ignore_patterns("__pycache__")
    )
    (installed / "lastword" / "version.py").write_text('__version__ = "99.10.0"\n')
    return installed


@promise(
    Section.FLUSHER_MODES, "Each event goes to the tracker it was captured for", broken_by="first destination for all"
)
def test_each_event_goes_to_the_tracker_it_was_captured_for(tmp_path: Path) -> None:
    """Two applications with one spool, one of which changes its DSN while the old tracker is away."""
    spool = tmp_path / "spool"
    with LoopbackTracker(token="one") as one, LoopbackTracker(token="two") as two, LoopbackTracker(token="new") as new:
        one.go_down()
        for name, tracker in (("one", one), ("two", two), ("new", new)):
            run(f"acked(lastword.capture_message({name!r}))", spool=spool, dsn=tracker.dsn)
        two.wait_for(1)
        new.wait_for(1)
        one.come_up()
        one.wait_for(1, timeout=60)
        wait_until_no_flusher(spool)
        assert [[event.message for event in tracker.requests] for tracker in (one, two, new)] == [
            ["one"],
            ["two"],
            ["new"],
        ]


def captures(program: str, message: str) -> str:
    """What a program of this name does: it captures something."""
    return f"sys.argv[:] = [{program!r}]\nacked(lastword.capture_message({message!r}))\n"


@promise(
    Section.FLUSHER_MODES,
    "Events recorded with a wrong key are sent with the corrected key, and no others are",
    broken_by="each of ten conditions removed",
)
def test_events_recorded_with_a_wrong_key_are_sent_with_the_corrected_one(tmp_path: Path) -> None:
    """The same program, on the same tracker; what another program has recorded with a wrong key waits for its own."""
    right, elsewhere = LoopbackTracker(token="right"), LoopbackTracker(token="elsewhere")
    with right as tracker, elsewhere as other, removed_afterwards(tmp_path / "spool") as spool:
        wrong = tracker.dsn.replace("right", "wrong")
        for message in ("first", "second"):
            run(captures("/srv/shop.py", message), spool=spool, dsn=wrong)
        run(captures("/srv/blog.py", "the blog's"), spool=spool, dsn=wrong)
        in_trouble = lambda accounts: any(health.misconfigured for health in accounts.destinations.values())  # noqa: E731
        wait_for_accounts(spool, in_trouble, "the tracker's verdict")
        run(captures("/srv/shop.py", "another tracker's"), spool=spool, dsn=other.dsn)
        run(captures("/srv/shop.py", "corrected"), spool=spool, dsn=tracker.dsn)
        wait_for_accounts(spool, lambda accounts: accounts.delivered == 4, "all but the blog's")
        assert sorted(event.message for event in tracker.events) == ["corrected", "first", "second"]
        assert [event.message for event in other.events] == ["another tracker's"]
        assert read_accounts(spool).held == 1


@ROOT
def test_the_same_application_under_two_users_has_two_spools_and_two_flushers() -> None:
    """Neither needs the other's, nor could it use it."""

    def application() -> None:
        home = ground / str(os.getuid())
        os.environ.update(HOME=str(home), XDG_STATE_HOME=str(home / "state"), TMPDIR=str(home))
        lastword.init(tracker.dsn, flusher="external")  # this Python is not theirs, so no process of it can be started
        assert lastword.capture_message(str(os.getuid()))
        assert lastword.flush(30)
        accounts = read_accounts(home / "state" / "lastword")
        assert (accounts.recorded, accounts.delivered) == (1, 1)

    with open_ground() as ground, LoopbackTracker() as tracker:
        for uid in (VICTIM, ATTACKER):
            (ground / str(uid)).mkdir()
            os.chown(ground / str(uid), uid, uid)
            as_user(uid, application)
        assert sorted(event.message for event in tracker.events) == sorted([str(VICTIM), str(ATTACKER)])


CAPTURES_LINES = "for line in sys.stdin: acked(lastword.capture_message(line.strip()))"


def leading_version(spool: Path) -> str:
    layout = Layout(str(spool))
    return (leader.version_of(layout) or "") if holder(layout.flusher_lock) else ""


@promise(
    Section.FLUSHER_MODES,
    "The newest version leads, and the lead never goes back to an older one",
    broken_by="nobody makes way, in a process, a thread or the foreground; `!=`; the interpreter's "
    "lastword; one that leads again at once",
)
@pytest.mark.parametrize("mode", ["process", "thread"])
def test_a_newer_version_takes_the_lead_and_an_older_one_does_not_take_it_back(
    mode: str, newer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deploy while the old program still runs: from its first capture on the newer version sends for both."""
    spool, layout = tmp_path / "spool", Layout(str(tmp_path / "spool"))
    body = CAPTURES_LINES

    def version() -> str:
        return leading_version(spool)

    monkeypatch.setenv("LASTWORD_FLUSHER", mode)
    with LoopbackTracker() as tracker, Program(body, spool=spool, dsn=tracker.dsn) as old:
        old.tell("old")
        old.line()
        wait_until(lambda: version() == lastword.__version__, "the older flusher")
        monkeypatch.delenv("LASTWORD_FLUSHER")
        monkeypatch.setenv("PYTHONPATH", str(newer))
        with Program(body, spool=spool, dsn=tracker.dsn) as new:
            new.tell("new")
            new.line()
            wait_until(lambda: version() == "99.10.0", "the newer flusher")
            leads = holder(layout.flusher_lock)
            old.tell("old again")
            old.line()
            wait_for_accounts(spool, lambda accounts: accounts.delivered == 3, "all three")
            assert holder(layout.flusher_lock) == leads
            new.end()
        old.end()
        wait_until_no_flusher(spool)
        assert sorted(event.message for event in tracker.events) == ["new", "old", "old again"]
    assert (spool / "v1" / "flusher.log").read_text() == ""


@promise(Section.FLUSHER_MODES, "The newest version leads, and the lead never goes back to an older one")
def test_older_flusher_in_the_foreground_makes_way_and_comes_back(
    newer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that was not restarted yet: the program's own newer flusher sends while it runs."""
    spool = tmp_path / "spool"
    with LoopbackTracker() as tracker, foreground(spool) as service:
        wait_until(lambda: leading_version(spool) == lastword.__version__, "the service")
        monkeypatch.setenv("PYTHONPATH", str(newer))
        with Program(CAPTURES_LINES, spool=spool, dsn=tracker.dsn) as program:
            program.tell("new")
            program.line()
            wait_until(lambda: leading_version(spool) == "99.10.0", "the newer flusher")
            wait_for_accounts(spool, lambda accounts: accounts.delivered == 1, "the event")
            program.end()
        wait_until(lambda: holder(Layout(str(spool)).flusher_lock) == service.pid, "the service's return")


@promise(Section.FLUSHER_MODES, "The newest version leads, and the lead never goes back to an older one")
def test_newer_flusher_in_the_foreground_takes_the_lead(
    newer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that was updated: it does not wait until the flusher of an older program has nothing more to do."""
    spool = tmp_path / "spool"
    with LoopbackTracker() as tracker, Program(CAPTURES_LINES, spool=spool, dsn=tracker.dsn) as program:
        program.tell("old")
        program.line()
        wait_until(lambda: leading_version(spool) == lastword.__version__, "the older flusher")
        monkeypatch.setenv("PYTHONPATH", str(newer))
        with foreground(spool) as service:
            wait_until(lambda: holder(Layout(str(spool)).flusher_lock) == service.pid, "the service")
            wait_until(lambda: leading_version(spool) == "99.10.0", "its version")
            wait_until(lambda: holder(Layout(str(spool)).successor_lock) is None, "an end of its waiting")
            program.tell("old again")
            program.line()
            wait_for_accounts(spool, lambda accounts: accounts.delivered == 2, "both")
            program.end()


@contextmanager
def foreground(spool: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`lastword flusher`, of the version that PYTHONPATH leads to."""
    command = [sys.executable, "-m", "lastword", "flusher", "--spool", str(spool)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_flusher_whose_installation_was_removed_makes_way(
    newer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could import no further module and read no CA certificates."""
    spool = tmp_path / "spool"
    monkeypatch.setenv("PYTHONPATH", str(newer))
    with (
        LoopbackTracker() as tracker,
        Program("acked(lastword.capture_message('hello'))\nsys.stdin.read()", spool=spool, dsn=tracker.dsn) as program,
    ):
        program.line()
        wait_for_accounts(spool, lambda accounts: accounts.delivered == 1, "the event")
        shutil.rmtree(newer)
        wait_until_no_flusher(spool)
        assert program.process.poll() is None
        program.process.kill()
