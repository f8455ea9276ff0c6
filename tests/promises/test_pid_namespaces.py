"""The promise: what holds beside a flusher that is visible holds beside one whose pid is not, in another container."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lastword.audit.accounts import read_accounts
from lastword.spool import leader
from lastword.spool.layout import Layout
from lastword.spool.lock import LifetimeLock
from tests.support import needs
from tests.support.promise import Section, promise
from tests.support.second_user import ROOT

pytestmark = promise(
    Section.BOUNDED,
    "The limits hold beside a leader in another PID namespace; its stop and its version are reported",
    broken_by="room and version by the leader's pid",
)

NAMESPACES = needs.capability(shutil.which("unshare") is not None, "unshare")

#: A program in a pid namespace of its own; what it sees of whoever leads, and how much of a flood is refused.
PROGRAM = """
import json, os, sys
import lastword
from lastword.spool import leader
from lastword.spool.layout import Layout
from lastword.spool.lock import holder
layout = Layout(sys.argv[1])
lastword.init(spool=layout.spool, flusher="external", max_spool=1 << 20, flood_burst=0)
refused = sum(lastword.capture_message("x" * 8000) is None for _ in range(400))
print(json.dumps([holder(layout.flusher_lock), leader.stands_still(layout, 0), leader.is_outdated(layout), refused]))
"""


@ROOT
@NAMESPACES
@pytest.mark.parametrize("version", ["0.0.1", "99.0"])
def test_limits_hold_beside_a_leader_in_another_pid_namespace(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """A stopped leader is reported, and an older version is told from a newer one."""
    monkeypatch.setattr(leader, "__version__", version)
    lock = LifetimeLock.acquire(layout.flusher_lock)
    assert lock is not None
    leader.announce(layout)
    os.utime(layout.leader, (time.time() - 60, time.time() - 60))
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", PROGRAM, layout.spool]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    lock.release()
    seen, still, outdated, refused = json.loads(told.stdout)
    assert (seen, still, outdated) == (0, True, version == "0.0.1")
    size = sum(path.stat().st_size for path in Path(layout.writers).glob("*/*.seg"))
    assert size <= 2 * (1 << 20) + 20_000
    accounts = read_accounts(layout.spool)
    assert (accounts.recorded, accounts.refused) == (400 - refused, {"spool full": refused})
    assert refused > 100
