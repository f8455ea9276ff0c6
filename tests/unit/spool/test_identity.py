"""Which process a writer is, and whether it is still there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lastword.spool import identity
from tests.support import needs
from tests.support.programs import wait_until

LINUX = needs.capability(sys.platform.startswith("linux"), "/proc")


@LINUX
def test_this_process_is_alive() -> None:
    """A process sees itself by what it wrote of itself."""
    assert identity.may_be_alive(identity.describe_this_process())


@LINUX
@pytest.mark.parametrize(
    "change",
    [{"start_time": 1}, {"boot_id": "another boot"}, {"pid_namespace": "pid:[1]"}, {"pid": 2**22 + 1}, {"pid": None}],
)
def test_another_process_is_not(change: dict[str, object]) -> None:
    """A pid that was used again, another boot, another namespace: nothing that can be seen alive from here."""
    assert not identity.may_be_alive({**identity.describe_this_process(), **change})


@LINUX
def test_a_zombie_is_gone() -> None:
    """A process that has ended and was not waited for will never write again."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        assert identity.start_time(process.pid) is not None
        os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: identity.start_time(process.pid) is None, "the zombie to be told from a living process")


@pytest.mark.parametrize("content", [b"", b"garbage", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_garbage_says_nothing(tmp_path: Path, content: bytes) -> None:
    """A who.json that cannot be read is one that says nothing; the lock then decides."""
    (tmp_path / "who.json").write_bytes(content)
    assert identity.read_who(str(tmp_path / "who.json")) == {}
    assert identity.is_dead(str(tmp_path))
