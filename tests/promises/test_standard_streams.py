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
from tests.support.programs import wait_until_no_flusher

#: What is closed, and when: by whoever starts the program, or by itself once it has lastword.
FORMS = {"from the start": "<&- >&- 2>&-", "standard input alone": "<&-", "output alone": ">&-", "by itself": ""}

#: Notes each use of a descriptor below 3 while that is a file of the spool, in this process and in a forked child.
PROGRAM = """
import json, os, sys
used = []
def noted(name):
    call = getattr(os, name)
    def noting(descriptor, *arguments):
        if isinstance(descriptor, int) and descriptor < 3:
            try:
                path = os.readlink("/proc/self/fd/%d" % descriptor)
            except OSError:
                path = ""
            if os.environ["TEST_SPOOL"] in path:
                used.append([name, descriptor, path])
        return call(descriptor, *arguments)
    setattr(os, name, noting)
for name in ("write", "pwrite", "read", "pread", "fstat", "lseek", "scandir"):
    noted(name)
import lastword
if os.environ["CLOSES"]:
    for descriptor in (0, 1, 2):
        os.close(descriptor)
lastword.init(os.environ["TEST_DSN"], spool=os.environ["TEST_SPOOL"], flusher=os.environ["FLUSHER"], flood_burst=0)
ids = [lastword.capture_message("x" * 9000) for _ in range(130)]     # more than a segment
for number in (1, 2):
    try:
        os.write(number, b"what the program prints")
    except OSError:
        pass
if os.fork() == 0:
    ids = [lastword.capture_message("from a child")]
    os._exit(0 if ids[0] and not used else 1)
child = os.wait()[1]
lastword.flush(20)
mine = [each for each in os.listdir("/proc/self/fd") if int(each) < 3 and os.path.exists("/proc/self/fd/" + each)
        and os.environ["TEST_SPOOL"] in os.readlink("/proc/self/fd/" + each)]
with open(os.environ["REPORT"], "w") as report:
    json.dump({"used": used, "mine": mine, "kept": sum(map(bool, ids)), "child": child}, report)
"""


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
        command = f'exec "{sys.executable}" -c "$0" {FORMS[form]}'
        subprocess.run(["sh", "-c", command, PROGRAM], env=environment, check=True, timeout=60)
        assert json.loads(report.read_text()) == {"used": [], "mine": [], "kept": 130, "child": 0}
        if flusher == "process":
            wait_until_no_flusher(spool)
    accounts = read_accounts(spool)
    assert (accounts.recorded, accounts.held + accounts.delivered, accounts.missing) == (131, 131, 0)


def test_no_connection_takes_their_place() -> None:
    """What the program prints would be sent to the tracker, in the midst of a request."""
    child = os.fork()
    if child == 0:
        for number in (0, 1, 2):
            os.close(number)
        with GuardedSocket(socket.AF_INET, socket.SOCK_STREAM) as connection:
            os._exit(connection.fileno() <= 2 or not connection.is_ours() or connection.family != socket.AF_INET)
    assert os.waitpid(child, 0)[1] == 0
