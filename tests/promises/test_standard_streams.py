"""The promise: a program that was started without standard streams, or closes them, finds none of the spool's files in
their place: what it prints, or another descriptor that it opens, never meets them.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lastword.audit.accounts import read_accounts
from lastword.testing import LoopbackTracker
from lastword.transport.timely_connections import GuardedSocket
from tests.support import needs
from tests.support.programs import PROGRAMS, wait_until_no_flusher
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.UNCHANGED,
    "No file of the spool takes the number of a standard stream",
    broken_by="files, or directories, left at the number they get",
)

#: What is closed, and when: by whoever starts the program, or by itself once it has lastword.
FORMS = {"from the start": "<&- >&- 2>&-", "standard input alone": "<&-", "output alone": ">&-", "by itself": ""}


@needs.capability(sys.platform.startswith("linux"), "/proc")
@pytest.mark.parametrize(
    ("form", "flusher"),
    [
        ("from the start", "process"),
        ("from the start", "thread"),
        ("standard input alone", "hold"),
        ("output alone", "hold"),
        ("by itself", "thread"),
    ],
)
def test_no_file_of_the_spool_takes_their_place(tmp_path: Path, form: str, flusher: str) -> None:
    """Neither for long, as a segment or a lock, nor for a moment; nor in a forked child, nor by a flusher in it."""
    spool, report = tmp_path / "spool", tmp_path / "report"
    with LoopbackTracker() as tracker:
        environment = {
            **os.environ,
            "TEST_SPOOL": str(spool),
            "TEST_DSN": tracker.dsn,
            "REPORT": str(report),
            "FLUSHER": flusher,
            "CLOSES": "yes" if form == "by itself" else "",
        }
        command = f'exec "{sys.executable}" "$0" {FORMS[form]}'
        subprocess.run(["sh", "-c", command, str(PROGRAMS / "below_three.py")], env=environment, check=True, timeout=60)
        assert json.loads(report.read_text()) == {"used": [], "mine": [], "kept": 130, "child": 0}
        if flusher == "process":
            wait_until_no_flusher(spool)
    accounts = read_accounts(spool)
    assert (accounts.recorded, accounts.held + accounts.delivered, accounts.missing) == (131, 131, 0)


@promise(
    Section.UNCHANGED,
    "No connection takes the number of a standard stream, so the program's output is never sent",
    broken_by="the lowest number taken",
)
def test_no_connection_takes_their_place() -> None:
    """Or the program's output would be sent to the tracker, within a request."""
    child = os.fork()
    if child == 0:
        for number in (0, 1, 2):
            os.close(number)
        with GuardedSocket(socket.AF_INET, socket.SOCK_STREAM) as connection:
            os._exit(connection.fileno() <= 2 or not connection.is_ours() or connection.family != socket.AF_INET)
    assert os.waitpid(child, 0)[1] == 0
