"""`lastword flusher` leads in the foreground and leaves in good order; `lastword flush` drains once, truthfully."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lastword.audit.accounts import read_accounts
from lastword.cli import main
from lastword.flusher.strikes import InFlight
from lastword.spool.layout import Layout
from lastword.spool.leader import version_of
from lastword.spool.lock import holder
from lastword.testing import LoopbackTracker
from lastword.version import __version__
from tests.support import needs, second_user
from tests.support.planted import hold
from tests.support.programs import remove_spool, run, wait_for_accounts, wait_until
from tests.support.promise import Section, promise

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


@contextmanager
def flusher(spool: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`lastword flusher`, from when it has said that it started until it is gone."""
    command = [sys.executable, "-m", "lastword", "flusher", "--spool", str(spool), *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert "started" in line_of(process)
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def leader_of(spool: Path) -> int | None:
    return holder(Layout(str(spool)).flusher_lock)


@promise(
    Section.COMMANDS,
    "SIGTERM finishes requests in flight, and another flusher takes over",
    broken_by="return without stopping; no announcement",
)
def test_sigterm_finishes_requests_in_flight(tmp_path: Path) -> None:
    """They are finished and recorded, so nothing is sent twice; exit status 0, two lines."""
    spool = tmp_path / "spool"
    with LoopbackTracker() as tracker:
        tracker.be_slow(0.3)
        hold(spool, 3, dsn=tracker.dsn)
        with flusher(spool) as process:
            wait_until(lambda: tracker.requests, "the first request")
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            assert process.stderr is not None and process.stderr.read() == "lastword flusher: stopped\n"
        tracker.answer_normally()
        assert read_accounts(spool).delivered == len(tracker.events) > 0
        assert main(["flush", "--spool", str(spool)]) == 0
        assert len(tracker.events) == 3


@promise(Section.COMMANDS, "SIGTERM finishes requests in flight, and another flusher takes over")
def test_second_flusher_waits_and_takes_over(tmp_path: Path) -> None:
    """It names the leader and waits; when the leader is killed it takes over, and says so."""
    spool = tmp_path / "spool"
    with LoopbackTracker() as tracker, flusher(spool) as first:
        wait_until(lambda: version_of(Layout(str(spool))) == __version__, "the first to say that it leads")
        with flusher(spool) as second:
            assert f"pid {first.pid} leads; waiting to take over" in line_of(second)
            first.kill()
            first.wait()
            assert "taking over" in line_of(second)
            hold(spool, dsn=tracker.dsn)
            tracker.wait_for(1)


def test_a_spool_that_is_removed(tmp_path: Path) -> None:
    """It goes on in the directory that takes the place of a spool that was removed."""
    spool = tmp_path / "spool"
    with LoopbackTracker() as tracker, flusher(spool) as process:
        wait_until(lambda: leader_of(spool) == process.pid, "it to lead")
        remove_spool(spool)
        wait_until(lambda: leader_of(spool) == process.pid, "it to lead again")
        hold(spool, dsn=tracker.dsn)
        tracker.wait_for(1)


def test_exit_when_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --exit-when-empty it ends by itself, status 0, once no process writes and everything is sent."""
    spool = tmp_path / "spool"
    monkeypatch.setenv("LASTWORD_FLUSHER", "hold")  # the program starts none
    with LoopbackTracker() as tracker:
        run("acked(lastword.capture_message('m'))", spool=spool, dsn=tracker.dsn)
        with flusher(spool, "--exit-when-empty") as process:
            assert process.wait(30) == 0
        assert len(tracker.events) == 1


@promise(
    Section.COMMANDS,
    "`flush` drains, stops when nothing can be sent, and gives the lead back",
    broken_by="never lead; never end; always wait",
)
def test_flush_sends_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With no leader it sends held events, leaves those without a DSN, and gives the lead back."""
    spool = tmp_path / "spool"
    with LoopbackTracker() as tracker:
        hold(spool, 30, dsn=tracker.dsn)
        hold(spool, 2)
        assert main(["flush", "--spool", str(spool)]) == 0
        assert len(tracker.events) == 30
    assert capsys.readouterr().out == "30 delivered, nothing is left\n"
    assert (leader_of(spool), read_accounts(spool).held) == (None, 2)


@promise(Section.COMMANDS, "`flush` drains, stops when nothing can be sent, and gives the lead back")
def test_flush_waits_for_the_leader(tmp_path: Path) -> None:
    """Where another one leads it sends nothing itself, and returns when that one's work is done."""
    spool = tmp_path / "spool"
    with LoopbackTracker() as tracker:
        tracker.be_slow(0.2)
        hold(spool, 4, dsn=tracker.dsn)
        with flusher(spool) as process:
            wait_until(lambda: leader_of(spool) == process.pid, "it to lead")
            assert main(["flush", "--spool", str(spool)]) == 0
            assert read_accounts(spool).delivered == len(tracker.events) == 4
            assert leader_of(spool) == process.pid


@pytest.mark.parametrize(("status", "words"), [(401, "wrong address or key: HTTP 401"), (503, "HTTP 503")])
def test_flush_reports_how_many_events_are_left_and_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], status: int, words: str
) -> None:
    """Status 1, how many are left, and the tracker's own words; nothing is lost by it."""
    spool = tmp_path / "spool"
    with LoopbackTracker() as tracker:
        tracker.answer(status, retry_after=600)
        hold(spool, 2, dsn=tracker.dsn)
        assert main(["flush", "--spool", str(spool)]) == 1
    told = capsys.readouterr()
    assert told.out == "0 delivered, 2 left\n"
    assert words in told.err
    assert read_accounts(spool).held == 2


@promise(Section.COMMANDS, "`flush` drains, stops when nothing can be sent, and gives the lead back")
def test_flush_gives_up_in_time(tmp_path: Path) -> None:
    """Where the tracker is down and tried again and again, --timeout is the end of it."""
    spool = tmp_path / "spool"
    hold(spool, dsn="booboo+http://t@127.0.0.1:9/o/p")
    assert main(["flush", "--spool", str(spool), "--timeout", "1"]) == 1


@promise(
    Section.FLUSHER_MODES,
    "`lastword flush` ends within its timeout whatever is in flight",
    broken_by="five seconds for requests in flight",
)
def test_flush_cuts_requests_in_flight_short(tmp_path: Path) -> None:
    """A tracker that takes a minute to answer is not waited for; the event stays and is no suspect."""
    spool = tmp_path / "spool"
    with LoopbackTracker() as tracker:
        tracker.be_slow(60.0)
        hold(spool, dsn=tracker.dsn)
        began = time.monotonic()
        assert main(["flush", "--spool", str(spool), "--timeout", "1"]) == 1
        assert time.monotonic() - began < 5.5  # a flusher that is told to stop has five seconds
        assert len(tracker.requests) == 1
    assert (read_accounts(spool).held, InFlight.load(Layout(str(spool))).sending) == (1, [])


def test_flush_without_a_spool(capsys: pytest.CaptureFixture[str]) -> None:
    """Before the first event there is nothing to do, which is well."""
    assert main(["flush"]) == 0
    assert "nothing is held" in capsys.readouterr().out


@promise(Section.COMMANDS, "Root does not lead another user's spool", broken_by="owner not checked")
@second_user.ROOT
@pytest.mark.parametrize("command", [["flusher"], ["flush"], ["replay", "--all"], ["purge", "--all"]])
def test_root_does_not_lead_another_users_spool(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """Commands that lead or change name the `sudo -u` that works; nothing is made there."""
    spool = tmp_path / "spool"
    hold(spool)
    for path in (spool, *spool.rglob("*")):
        os.chown(path, second_user.VICTIM, second_user.VICTIM)
    assert main([*command, "--spool", str(spool)]) == 2
    told = capsys.readouterr().err
    assert f"sudo -u '#{second_user.VICTIM}' lastword {command[0]} --spool {spool}" in told
    assert second_user.owned_by(0, spool) == []
    assert main(["ls", "--spool", str(spool)]) == main(["status", "--spool", str(spool)]) == 0


@needs.installed("supervisor")
def test_under_supervisor(tmp_path: Path) -> None:
    """The documented section works under a real supervisord: it sends, and ends with status 0 at a stop."""
    spool, log = tmp_path / "spool", tmp_path / "supervisord.log"
    found = re.search(r"```ini\n(\[program:lastword\]\n.*?)```", OPERATIONS.read_text(), re.DOTALL)
    assert found
    documented = "command=/srv/shop/venv/bin/lastword flusher --spool /var/lib/shop/lastword\nuser=shop\n"
    assert documented in found[1]
    command = f"command={sys.executable} -m lastword flusher --spool {spool}\nstdout_logfile=NONE\n"
    configuration = tmp_path / "supervisord.conf"
    configuration.write_text(
        f"[supervisord]\nlogfile={log}\npidfile={tmp_path / 'pid'}\nchildlogdir={tmp_path}\n"
        + found[1].replace(documented, command)
    )
    supervisord = shutil.which("supervisord", path=str(Path(sys.executable).parent))
    assert supervisord
    with LoopbackTracker() as tracker:
        hold(spool, 2, dsn=tracker.dsn)
        with subprocess.Popen([supervisord, "-n", "-s", "-c", str(configuration)], cwd=tmp_path) as process:
            try:
                tracker.wait_for(2, timeout=30)
                wait_for_accounts(spool, lambda accounts: accounts.delivered == 2, "the checkpoint")
            finally:
                process.terminate()
                process.wait(30)
    assert re.search(r"stopped: lastword \(exit status 0\)", log.read_text())
