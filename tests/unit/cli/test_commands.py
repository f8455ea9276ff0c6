"""The command line says what is, in words for the person who asked, and in its exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastword import cli
from lastword.testing import LoopbackTracker
from tests.support.damage import spoil
from tests.support.planted import hold
from tests.support.programs import remove_spool, run, wait_until_no_flusher
from tests.support.promise import Section, promise

#: Seconds in which a flusher has made its first attempt, on a busy machine too. PyPy takes its time to start one.
TRIAL = 6 if sys.implementation.name == "cpython" else 12


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator[Path]:
    """A spool of an event that does not arrive. Removed after the test, a failed one too, so its flusher leaves."""
    yield tmp_path / "spool"
    remove_spool(tmp_path / "spool")


def lastword(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lastword", *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("wire", ["booboo", "backtrace"])
def test_a_test_event_that_arrives(tmp_path: Path, wire: str) -> None:
    """`lastword test DSN` says that it was delivered, with its id and the time it took; nothing but that."""
    with LoopbackTracker(wire) as tracker:
        done = lastword("test", tracker.dsn, "--spool", tmp_path / "spool")
        assert re.fullmatch(r"delivered, id [0-9a-f]{32}, in \d+ ms\n", done.stdout)
        assert (done.returncode, done.stderr) == (0, "")
        assert "lastword test" in tracker.wait_for(1)[0].message
        wait_until_no_flusher(tmp_path / "spool")


def test_a_test_event_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument LASTWORD_DSN and LASTWORD_SPOOL count, as they do for a program."""
    with LoopbackTracker() as tracker:
        monkeypatch.setenv("LASTWORD_DSN", tracker.dsn)
        monkeypatch.setenv("LASTWORD_SPOOL", str(tmp_path / "spool"))
        assert lastword("test").returncode == 0
        wait_until_no_flusher(tmp_path / "spool")


@pytest.mark.parametrize(
    ("misbehave", "words"),
    [
        (lambda tracker: tracker.go_down(), ["not delivered", "refused", "held in"]),
        (lambda tracker: tracker.answer(503), ["not delivered", "503", "held in"]),
        (lambda tracker: tracker.answer(401), ["wrong address or key", "401", "held in"]),
        (lambda tracker: tracker.answer(400), ["refused by", "400", "set aside in"]),
    ],
)
def test_a_test_event_that_does_not_arrive(doomed: Path, misbehave, words: list[str]) -> None:  # type: ignore[no-untyped-def]
    """The reason, where the event is now, and exit status 1; never the token."""
    with LoopbackTracker(token="s3cret") as tracker:
        misbehave(tracker)
        done = lastword("test", tracker.dsn, "--timeout", TRIAL, "--spool", doomed)
        assert (done.returncode, done.stdout) == (1, "")
        for word in words:
            assert word in done.stderr
        assert "s3cret" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["test"], "no DSN"),
        (["test", "nonsense"], "booboo+https://TOKEN@HOST"),
        (["test", "sentry+https://k@h/1"], "not there yet"),
        (["status", "--spool", "nowhere"], "no spool"),
        (["test", "booboo+http://t@127.0.0.1:9/o/p", "--spool", "/dev/null"], "/dev/null"),
    ],
)
def test_command_that_cannot_be_done_exits_with_2(arguments: list[str], words: str) -> None:
    """A command that cannot be done says why, without a traceback, and exits with 2."""
    done = lastword(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_status(tmp_path: Path) -> None:
    """Writers, held, delivered and set-aside events, the balance, and how sending goes."""
    spool = tmp_path / "spool"
    with LoopbackTracker(token="s3cret") as tracker:
        tracker.answer(400, times=1)
        run("for _ in range(3): acked(lastword.capture_message('hello'))", spool=spool, dsn=tracker.dsn)
        tracker.wait_for(2)
        wait_until_no_flusher(spool)
        port = tracker.port
    done = lastword("status", "--spool", spool)
    assert done.returncode == 0
    told = {line[:12].strip(): line[13:] for line in done.stdout.splitlines() if line[:12].strip()}
    assert told["spool"] == str(spool)
    assert told["flusher"].startswith("none leads")
    assert (told["held"], told["delivered"], told["set aside"]) == ("0", "2", "1 (refused 1)")
    assert told["balance"] == "3 recorded = 0 held, 2 delivered, 1 set aside, 0 dropped"
    assert told["destination"] == f"booboo at http://127.0.0.1:{port}"
    assert "last success" in done.stdout
    assert "s3cret" not in done.stdout


def test_status_without_a_dsn(tmp_path: Path) -> None:
    """Events that were captured without a DSN are shown as such."""
    run("acked(lastword.capture_message('kept'))", spool=tmp_path / "spool")
    assert "1 of them captured without a DSN" in lastword("status", "--spool", tmp_path / "spool").stdout


def test_status_of_a_wrong_key(doomed: Path) -> None:
    """A wrong key is said to be one, and is an exit status that a health check can see."""
    with LoopbackTracker() as tracker:
        tracker.answer(401)
        lastword("test", tracker.dsn, "--timeout", TRIAL, "--spool", doomed)
    done = lastword("status", "--spool", doomed)
    assert done.returncode == 1
    assert "wrong address or key" in done.stdout


def test_closed_pipe_ends_a_command_without_a_traceback(tmp_path: Path) -> None:
    """`lastword status | head -1` ends without a traceback."""
    run("acked(lastword.capture_message('kept'))", spool=tmp_path / "spool")
    command = f'"{sys.executable}" -m lastword status --spool "{tmp_path / "spool"}" | true'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=os.environ)
    assert done.stderr == ""


def test_status_for_programs(tmp_path: Path) -> None:
    """`status --json` says the same as one object, and whether all is well."""
    spool = tmp_path / "spool"
    hold(spool, 2)
    hold(spool, 1, dsn="booboo+http://s3cret@127.0.0.1:9/o/p")
    done = lastword("status", "--json", "--spool", spool)
    told = json.loads(done.stdout)
    assert done.returncode == 0
    assert (told["healthy"], told["problems"], told["spool"]) == (True, [], str(spool))
    assert (told["recorded"], told["held"], told["held_without_dsn"], told["missing"]) == (3, 3, 2, 0)
    assert told["flusher"] == {"leads": False, "pid": None, "stopped": False, "version": None}
    assert told["writers"] == {"alive": 2, "gone": 0}
    assert "s3cret" not in done.stdout


def test_status_where_others_could_exchange_the_spool(tmp_path: Path) -> None:
    """It is said, but a health check does not fail for it: every emptyDir of Kubernetes is such a place."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    hold(shared / "spool")
    done = lastword("status", "--spool", shared / "spool")
    assert "everybody may write to" in done.stdout
    assert done.returncode == 0


@promise(
    Section.PRIVATE,
    "A command that only reads makes no file or directory",
    broken_by="missing directories above the spool are made",
)
@pytest.mark.parametrize(
    "command", [["status"], ["status", "--json"], ["doctor"], ["ls"], ["ls", "--set-aside"], ["show", "1"], ["flush"]]
)
def test_reading_commands_make_nothing(
    tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the spool nor a directory above it, whether named or default."""
    home = tmp_path / "home"
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state" / "deep"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp" / "deep"))
    (tmp_path / "half").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for spool in ([], ["--spool", str(tmp_path / "a/b/c")], ["--spool", str(tmp_path / "half")]):
        assert cli.main([*command, *spool]) in (0, 2)
        capsys.readouterr()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("spool", ["", "n" * 300])
def test_impossible_spool_path_is_an_error(spool: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The error is one line; an empty path is not taken for the default."""
    assert cli.main(["status", "--spool", spool]) == 2
    assert re.fullmatch("lastword status: spool=.*; name a directory.*\n", capsys.readouterr().err)
    assert cli.main(["status", "--spool", __file__]) == 2
    assert "is a file where a directory should be" in capsys.readouterr().err


@promise(
    Section.HOSTILE_INPUT,
    "A command that is stopped by a foreign file in a lock's place says so without a traceback",
    broken_by="OSError let through",
)
@pytest.mark.parametrize("kind", ["a directory", "a FIFO", "a link"])
@pytest.mark.parametrize("name", ["flusher.lock", "successor.lock", "start.lock", "cli.lock"])
def test_foreign_file_in_a_locks_place_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, kind: str
) -> None:
    """No command waits or ends with a traceback; the one that needs it says what it cannot do, and names the file."""
    spool = tmp_path / "spool"
    [event_id] = hold(spool, dsn="booboo+http://t@127.0.0.1:9/o/p")
    spoil(spool / "v1" / name, kind)
    stopped = ["purge", event_id] if name == "cli.lock" else ["flush", "--timeout", "1"]
    for command in (["status"], ["doctor"], ["ls"], ["show", event_id], stopped):
        status = cli.main([*command, "--spool", str(spool)])
        assert status in (0, 1, 2)
    assert status > 0
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert name in said


def test_status_imports_only_what_it_needs(tmp_path: Path) -> None:
    """A health check asks often: what other commands need, and what sends, takes longer to import than a look does."""
    hold(tmp_path / "spool")
    asked = f"import sys; from lastword import cli; cli.main(['status', '--spool', {str(tmp_path / 'spool')!r}])"
    done = subprocess.run(
        [sys.executable, "-c", f"{asked}; print(*sys.modules)"], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith("spool ")
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "lastword.cli.status" in loaded
    assert not loaded & {"lastword.cli.doctor", "lastword.cli.demo", "lastword.wire.format", "lastword.flusher"}
