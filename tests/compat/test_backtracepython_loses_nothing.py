"""The promise: what the drop-in for ``backtracepython`` was told arrives, whatever becomes of the process.

The original is not run here: it loses all of this (B-4, B-6, B-8 and B-18 of docs/compat.md), which
test_backtracepython_defects.py shows.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lastword.audit.accounts import read_accounts
from lastword.cli.demo.servers import server_environment, start_celery
from lastword.testing import LoopbackTracker
from tests.compat.side_by_side import DROP_IN, TOKEN, end_in_an_outage, run_with
from tests.support import needs
from tests.support.programs import wait_until, wait_until_no_flusher
from tests.support.promise import Section, promise
from tests.support.sites import Site, see_all_arrive, see_all_settled

pytestmark = promise(
    Section.BACKTRACEPYTHON,
    "Reports survive forks, kills, outages and gunicorn",
    broken_by="the original in its place; no look at the spool in `initialize`",
)

#: Each message says who tells it.
FORKED = """
import multiprocessing
initialize(attributes={"serverId": 7})
if __name__ == "__main__":
    print(client.get_attributes()["application.session"], flush=True)
def say(kind):
    message = f"{kind} {os.getpid()} {multiprocessing.current_process().name}"
    os.write(1, f"{message}\\n".encode())  # at once, for several processes say something
    return message
def work(number=0):
    with reporting(): raise ValueError(say("handled"))
    bt.send_report(say("message"))
def fail(): raise ValueError(say("uncaught"))
"""

WAYS_TO_FORK = {
    "os.fork": "for _ in range(3):\n    if os.fork() == 0:\n        work()\n        os._exit(0)\n"
    "for _ in range(3): os.wait()",
    "os.fork, and an exception that nobody catches": "if os.fork() == 0:\n    work()\n    fail()\nos.wait()",
    "a child that is killed": "if os.fork() == 0:\n    work()\n    os.kill(os.getpid(), 9)\nos.wait()",
    "a child of a child": "if os.fork() == 0:\n    if os.fork() == 0:\n        work()\n        os._exit(0)\n"
    "    os.wait()\n    os._exit(0)\nos.wait()",
    "multiprocessing": "children = [multiprocessing.get_context('fork').Process(target=work)"
    " for _ in range(3)]\nfor child in children: child.start()\nfor child in children: child.join()",
    "a pool": "with multiprocessing.get_context('fork').Pool(2) as pool: pool.map(work, range(3))",
    **{
        way: f"if __name__ == '__main__':\n    made = multiprocessing.get_context('{way}')\n"
        "    children = [made.Process(target=work) for _ in range(2)]\n"
        "    for child in children: child.start()\n    for child in children: child.join()"
        for way in ("spawn", "forkserver")
    },
}


@pytest.mark.parametrize("way", WAYS_TO_FORK)
def test_a_forked_child_reports_as_itself(way: str, tmp_path: Path) -> None:
    """Handled exceptions, messages and uncaught exceptions have the child's own pid, name and session."""

    def wait(tracker: LoopbackTracker, process: subprocess.Popen[str]) -> None:
        process.wait(60)

    program = FORKED + WAYS_TO_FORK[way]
    ours = run_with(DROP_IN, program, tmp_path / "program", during=wait, still_pending=lambda: _held(tmp_path) > 0)
    session_of_parent, *said = ours.stdout.splitlines()
    assert ours.status == 0 and said
    assert ours.messages == sorted(said)
    sessions: dict[str, set[str]] = {session_of_parent: {"the parent"}}
    for report in ours.reports:
        attributes = (report.body or {})["attributes"]
        _, pid, name = report.message.split()
        assert (attributes["process.id"], attributes["application"], attributes["serverId"]) == (int(pid), name, 7)
        sessions.setdefault(attributes["application.session"], set()).add(pid)
    assert all(len(pids) == 1 for pids in sessions.values())
    assert len(sessions) == 1 + len({line.split()[1] for line in said})


def _held(folder: Path) -> int:
    return read_accounts(folder / "spool-program").held


ENDS = {
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", -signal.SIGTERM),
    "os._exit": ("os._exit(3)", 3),
    "an exception that nobody catches": ("raise KeyError('last words')", 1),
}


@pytest.mark.parametrize("way", ENDS)
def test_a_report_outlives_its_process_and_an_outage(way: str, tmp_path: Path) -> None:
    """The process ends right after the call, during an outage; the report arrives when that is over."""
    end, status = ENDS[way]

    program = (
        "import signal\nsys.stdin.readline()\ninitialize(exit_timeout=0)\nfor number in range(3):\n"
        f"    bt.send_report(f'report {{number}}')\n{end}"
    )
    expected = [f"report {number}" for number in range(3)] + (["'last words'"] if "KeyError" in end else [])
    ours = run_with(DROP_IN, program, tmp_path / "program", reports=len(expected), during=end_in_an_outage)
    assert (ours.status, ours.messages) == (status, sorted(expected))


@pytest.mark.parametrize("end", ["", "bt.finalize()\nbt.finalize()\n"], ids=["exit", "finalize"])
def test_exit_with_a_hanging_tracker_takes_at_most_exit_timeout(end: str, tmp_path: Path) -> None:
    """The end of the program takes `exit_timeout`; pending reports are sent later."""
    took = []

    def hang(tracker: LoopbackTracker, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None and process.stdout is not None
        tracker.be_slow(8)
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        began = time.monotonic()
        process.wait(60)
        took.append(time.monotonic() - began)
        tracker.answer_normally()

    program = (
        "sys.stdin.readline()\ninitialize(exit_timeout=1)\nfor number in range(3):\n"
        f"    bt.send_report(f'{{number}}')\nprint('told', flush=True)\n{end}"
    )
    ours = run_with(DROP_IN, program, tmp_path / "program", reports=3, during=hang)
    assert took[0] < 5  # one second, on a busy machine; the tracker would have taken eight for the first alone
    assert set(ours.messages) == {"0", "1", "2"}


APPLICATION = f"""\
import json, os
import {DROP_IN} as backtracepython

backtracepython.initialize(os.environ["TEST_URL"], {TOKEN!r})

def application(environ, start_response):
    _, what, *marker = environ["PATH_INFO"].split("/")
    answer = {{"pid": os.getpid(), "id": None}}
    if what == "fail":
        try:
            raise ValueError(marker[0])
        except ValueError:
            if marker[0][-1] in "02468":
                backtracepython.send_last_exception()
            else:
                backtracepython.send_report(marker[0])
            answer["id"] = marker[0]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
"""


@needs.installed("gunicorn")
def test_gunicorn_with_preload_whose_workers_are_killed(tmp_path: Path) -> None:
    """`initialize` runs in the arbiter; exceptions and messages come from its children, also from each killed one."""
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--bind", "fd://{fd}"]
    with LoopbackTracker("backtrace", token=TOKEN) as tracker:
        site = Site("process", tmp_path / "site", tracker)
        (site.folder / "application.py").write_text(APPLICATION)
        site.environment["TEST_URL"] = f"http://127.0.0.1:{tracker.port}"
        with site.served_by(*command, "--log-level", "critical", "application:application"):
            workers = {site.fail() for _ in range(4)}
            tracker.go_down()
            for _ in range(4):
                os.kill(site.fail(), signal.SIGKILL)
            tracker.come_up()
            wait_until(site.all_arrived, f"all of {site.failed}", timeout=60)
            see_all_arrive(site, workers, fail=site.fail)
        see_all_settled(site)


CELERY_APP = f"""\
import os
from celery import Celery
from celery.signals import worker_process_init
import {DROP_IN} as backtracepython

backtracepython.initialize(os.environ["TEST_URL"], {TOKEN!r})
app = Celery("tasks", broker="memory://")

@worker_process_init.connect
def work(**_):
    backtracepython.send_report(f"message {{os.getpid()}}")
    try:
        raise ValueError(f"error {{os.getpid()}}")
    except ValueError:
        backtracepython.send_last_exception()
"""


@needs.installed("celery")
def test_celery(tmp_path: Path) -> None:
    """`initialize` runs in the worker; each child of its pool reports as itself."""
    (tmp_path / "tasks.py").write_text(CELERY_APP)
    with LoopbackTracker("backtrace", token=TOKEN) as tracker:
        environment = {
            **server_environment(tmp_path),
            "TEST_URL": f"http://127.0.0.1:{tracker.port}",
            "LASTWORD_SPOOL": str(tmp_path / "spool"),
        }
        server = start_celery(tmp_path, environment, "tasks")
        try:
            reports = tracker.wait_for(4, timeout=60)
        finally:
            server.end(patience=0)
        said = [report.message.split() for report in reports]
        assert sorted(what for what, _ in said) == ["error"] * 2 + ["message"] * 2
        assert len({pid for _, pid in said}) == 2
        pids = [str((report.body or {})["attributes"]["process.id"]) for report in reports]
        assert pids == [pid for _, pid in said]
        wait_until_no_flusher(tmp_path / "spool")


def test_report_is_sent_without_a_large_file_that_vanished(tmp_path: Path) -> None:
    """Files that vanished, or are too large for any tracker, are named; the others arrive."""
    program = """
for name, size in (("large.bin", 3 << 20), ("gone.bin", 3 << 20), ("huge.bin", 65 << 20), ("small.txt", 5)):
    open(name, "wb").truncate(size)
sys.stdin.readline()
initialize(attachments=["large.bin", "gone.bin", "huge.bin", "small.txt"], exit_timeout=0)
bt.send_report("with files")
os.remove("gone.bin")
"""
    ours = run_with(DROP_IN, program, tmp_path / "program", reports=1, during=end_in_an_outage)
    [report] = ours.reports
    assert {name: len(content) for name, content in report.attachments.items()} == {
        "large.bin": 3 << 20,
        "small.txt": 5,
    }
    left_out = (report.body or {})["annotations"]["Attachments left out"]
    assert [line.partition(" ")[0] for line in left_out] == ["gone.bin", "huge.bin"]


def test_a_spool_left_by_a_dead_process_is_sent_by_the_next_initialize(tmp_path: Path) -> None:
    """Without a report of its own."""
    folder = tmp_path / "program"
    with LoopbackTracker("backtrace", token=TOKEN) as tracker:
        url = f"http://127.0.0.1:{tracker.port}"
        tell = f"initialize(endpoint={url!r}, exit_timeout=0)\n"
        hold = {"LASTWORD_FLUSHER": "hold"}
        run_with(DROP_IN, tell + "bt.send_report('of old')", folder, environment=hold)
        assert not tracker.requests and _held(tmp_path) == 1
        run_with(DROP_IN, tell, folder)
        assert [event.message for event in tracker.wait_for(1, timeout=30)] == ["of old"]
        wait_until_no_flusher(tmp_path / "spool-program")
