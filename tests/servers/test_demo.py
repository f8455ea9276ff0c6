"""``lastword demo`` keeps the promise with real servers, and would notice if it were broken."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Optional

import pytest

from lastword.cli import demo
from lastword.cli.demo.failures import Ack, AckFile
from lastword.cli.demo.outcome import Outcome
from lastword.cli.demo.servers import Server, ServerError, server_environment
from tests.support import needs

SHORT_RUN = """
import sys
from lastword.cli import demo
from lastword.cli.demo.plan import SHORT
sys.exit(demo.run(backtrace=sys.argv[1] == "backtrace", plan=SHORT))
"""


def start(wire: str) -> subprocess.Popen[str]:
    """The demo in its short form, as a program of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", SHORT_RUN, wire],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tempfile.gettempdir(),
    )


def folders_left() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob("lastword-demo-*"))


@needs.installed("gunicorn", "celery")
@pytest.mark.parametrize("wire", ["booboo", "backtrace"])
def test_with_killed_workers_and_an_outage_nothing_is_lost(wire: str) -> None:
    """The main job: errors of gunicorn and Celery workers, some killed in the next moment, all reach the tracker."""
    running = start(wire)
    output, errors = running.communicate()
    table = dict(re.findall(r"^  (raised|delivered|held|lost|duplicates|slowest capture) +([\d.]+)", output, re.M))
    last_line = output.rstrip().rpartition("\n")[2]
    told = f"{output}\n{errors}"
    assert (running.returncode, errors) == (0, ""), told
    assert (table["lost"], table["held"]) == ("0", "0"), told
    assert int(table["delivered"]) == int(table["raised"]) > 60, told
    assert re.fullmatch(
        rf"lastword demo: every error was delivered: lost 0 of {table['raised']}, "
        r"with [1-9] workers killed and the tracker away for 1\.5 s",
        last_line,
    )
    assert folders_left() == []


@needs.installed("gunicorn", "celery")
def test_interrupt_ends_all_processes_and_removes_the_files() -> None:
    """A signal in the middle of the outage ends the servers and the flusher, and removes the temporary directory."""
    running = start("booboo")
    assert running.stdout is not None
    for line in running.stdout:
        if "DOWN" in line:
            break
    running.send_signal(signal.SIGTERM)
    _, errors = running.communicate()
    assert (running.returncode, errors) == (128 + signal.SIGTERM, "lastword demo: interrupted\n")
    assert folders_left() == []


def test_without_the_servers_installed_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, and the command that mends it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert demo.run() == 2
    assert "pip install 'lastword[demo]'" in capsys.readouterr().err


def test_a_server_that_does_not_start_is_shown_with_the_end_of_its_log(tmp_path: Path) -> None:
    """The error is in the server's own words."""
    command = [sys.executable, "-c", "print('the port is taken'); raise SystemExit(3)"]
    server = Server("gunicorn", command, tmp_path, os.environ)
    server.end(patience=10)
    with pytest.raises(ServerError, match=r"gunicorn ended with status 3.*\n  the port is taken"):
        server.check()


def test_a_server_that_ends_without_its_children_takes_them_along(tmp_path: Path) -> None:
    """Nothing outlives the demo, not even a worker that ignores the request to stop and has lost its master."""
    reader, writer = os.pipe()  # a byte shows that the worker runs, the end of file that nobody is left
    worker = f"import os, signal, time; signal.signal(15, signal.SIG_IGN); os.write({writer}, b'.'); time.sleep(100)"
    master = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}], close_fds=False)"
    server = Server("stubborn", [sys.executable, "-c", master], tmp_path, os.environ, keep=[writer])
    os.close(writer)
    assert os.read(reader, 1) == b"."
    server.ask_to_stop()
    server.end(patience=10)
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_the_servers_are_not_steered_by_the_user_s_own_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The demo touches no spool, home or destination but its own."""
    monkeypatch.setenv("LASTWORD_FLUSHER", "hold")
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--workers 1")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/service")
    environment = server_environment(tmp_path, LASTWORD_SPOOL="own")
    ours = {name: environment.get(name) for name in ("LASTWORD_FLUSHER", "GUNICORN_CMD_ARGS", "STATE_DIRECTORY")}
    assert ours == dict.fromkeys(ours)
    assert (environment["LASTWORD_SPOOL"], environment["HOME"]) == ("own", str(tmp_path))


def ack(number: int, *, kind: str = "web", refused: bool = False, milliseconds: float = 1.0) -> Ack:
    return Ack(f"demo-00000000-{kind}-{number:04d}", None if refused else "0" * 32, 1, milliseconds)


@pytest.mark.parametrize(
    ("received", "refused", "in_spool", "delivered", "held", "lost", "complaint"),
    [
        ([0, 1, 2], None, 0, 3, 0, 0, ""),
        ([0, 1, 2], None, 5, 3, 0, 0, ""),
        ([0, 2], None, 0, 2, 0, 1, "1 errors are lost"),
        ([0], None, 1, 1, 1, 1, "1 errors are lost"),
        ([0, 2], None, 1, 2, 1, 0, "1 errors are still held"),
        ([0, 1, 2], 1, 0, 2, 0, 1, "1 errors are lost"),
    ],
)
def test_every_acknowledged_error_is_delivered_held_or_lost(
    received: list[int],
    refused: Optional[int],
    in_spool: int,
    delivered: int,
    held: int,
    lost: int,
    complaint: str,
) -> None:
    """An error neither at the tracker nor in the spool is lost, and so is one that lastword refused."""
    acks = [ack(number, refused=number == refused) for number in range(3)]
    seen = Counter(acks[number].marker for number in received)
    outcome = Outcome.reckon(acks, seen, in_spool)
    assert (outcome.raised, outcome.delivered, outcome.held, outcome.lost) == (3, delivered, held, lost)
    assert outcome.complaint.startswith(complaint)
    assert bool(outcome.complaint) == bool(complaint)


def test_an_error_received_twice_is_a_duplicate_and_one_not_acknowledged_is_not() -> None:
    """A worker killed between capture and ack has reported what nobody counts on: no loss, no duplicate."""
    acks = [ack(0, milliseconds=7.5), ack(1, kind="task")]
    seen = Counter({acks[0].marker: 3, acks[1].marker: 1, "demo-00000000-web-0009": 1})
    outcome = Outcome.reckon(acks, seen, in_spool=0)
    assert (outcome.in_gunicorn, outcome.in_celery, outcome.duplicates, outcome.slowest) == (1, 1, 2, 7.5)


def test_a_demo_in_which_nothing_was_raised_has_failed() -> None:
    """Nothing raised is nothing shown."""
    assert Outcome.reckon([], Counter(), in_spool=0).complaint == "no error was raised"


def test_an_ack_is_read_when_its_line_is_whole(tmp_path: Path) -> None:
    """A line that is being written is left for the next look."""
    path = tmp_path / "acks"
    acks = AckFile(path)
    assert acks.read_new() == []
    line = '{"marker": "m%d", "id": "i", "pid": 1, "milliseconds": 0.5}\n'
    path.write_text(line % 1 + (line % 2)[:10])
    assert [ack.marker for ack in acks.read_new()] == ["m1"]
    path.write_text(line % 1 + line % 2)
    assert [ack.marker for ack in acks.read_new()] == ["m2"]
    assert len(acks.acks) == 2
