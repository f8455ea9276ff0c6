"""Which process a writer is, and whether it is still there."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lastword.spool import identity
from tests.support import needs
from tests.support.programs import wait_until
from tests.support.promise import Section, promise
from tests.support.spools import directory_of_a_writer

pytestmark = promise(Section.BOUNDED, "A process that replaces itself by `exec` leaves no writer that counts as alive")

LINUX = needs.capability(sys.platform.startswith("linux"), "/proc")


@LINUX
def test_this_process_is_alive() -> None:
    """By its own description of itself."""
    assert identity.may_be_alive(identity.describe_this_process())


@LINUX
@pytest.mark.parametrize(
    "change",
    [
        {"start_time": 1},
        {"stack": 1},
        {"boot_id": "another boot"},
        {"pid_namespace": "pid:[1]"},
        {"pid": 2**22 + 1},
        {"pid": None},
    ],
)
def test_other_process_with_the_same_pid_is_not_alive(change: dict[str, object]) -> None:
    """A pid that was used again, another program in it, another boot, another namespace: nothing that can be seen alive
    from here.
    """
    assert not identity.may_be_alive({**identity.describe_this_process(), **change})


@LINUX
@pytest.mark.parametrize("where", ["of an older version", "when it was born", "now"])
def test_unreadable_stack_address_is_ignored(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """The kernel hides it for a process that has changed its user."""
    who = identity.describe_this_process()
    if where == "of an older version":
        del who["stack"]
    elif where == "when it was born":
        who["stack"] = 0
    else:
        monkeypatch.setattr(identity, "_stack", lambda _pid: 0)
    assert identity.may_be_alive(who)


@LINUX
def test_a_zombie_is_gone() -> None:
    """A process that has ended and was not waited for will never write again."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        assert identity.start_time(process.pid) is not None
        os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: identity.start_time(process.pid) is None, "the zombie to be told from a living process")


def test_the_import_path_is_told_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its order stays; entries that are no texts are left out."""
    many, long = [f"/{number}" for number in range(60)], "/" + "x" * 4999
    with monkeypatch.context() as patch:
        patch.setattr(sys, "path", ["", 5, *many])
        assert identity.describe_this_process()["sys_path"] == ["", *many[:48]]
        patch.setattr(sys, "path", ["/a", long, long, "/b"])
        assert identity.describe_this_process()["sys_path"] == ["/a", long]


@LINUX
def test_a_file_of_an_older_version_is_understood(tmp_path: Path) -> None:
    """It names the installed distributions instead of the import path."""
    who = {**identity.describe_this_process(), "modules": {"django": "5.0"}}
    del who["sys_path"]
    writer = directory_of_a_writer(tmp_path)
    (writer / "who.json").write_bytes(identity.encode(who))
    assert identity.read_who(str(writer / "who.json")) == who
    assert identity.may_be_alive(who)


@pytest.mark.parametrize("content", [b"", b"garbage", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_garbage_leaves_the_decision_to_the_lock(tmp_path: Path, content: bytes) -> None:
    """A who.json that cannot be read is one that says nothing; the lock then decides."""
    writer = directory_of_a_writer(tmp_path)
    (writer / "who.json").write_bytes(content)
    assert identity.read_who(str(writer / "who.json")) == {}
    assert identity.is_dead(str(writer))


@pytest.mark.parametrize("how", ["a directory", "a FIFO", "a link", "missing", "the directory is a file"])
def test_missing_lock_leaves_the_decision_to_the_process(tmp_path: Path, how: str) -> None:
    """Where the lock's file was lost, only the state of the process counts."""
    writer = directory_of_a_writer(tmp_path)
    lock, who = writer / "alive.lock", writer / "who.json"
    who.write_bytes(identity.encode(identity.describe_this_process()))
    if how == "a directory":
        lock.mkdir()
    elif how == "a FIFO":
        os.mkfifo(lock)
    elif how == "a link":
        lock.symlink_to(who)
    if how == "the directory is a file":
        assert identity.is_dead(str(who))
        return
    assert not identity.is_dead(str(writer))
    who.write_bytes(b"{}")
    assert identity.is_dead(str(writer))


def test_own_trouble_makes_no_writer_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a lock cannot be asked, for want of descriptors or by an error of the disk, its writer counts as alive."""
    for number in (errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM):

        def in_trouble(_path: str, number: int = number) -> int:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(identity, "holder", in_trouble)
        assert not identity.is_dead(str(tmp_path))


@pytest.mark.parametrize(
    "who", [{"pid": 10**30}, {"pid": -1}, {"pid": True}, {"pid": "1"}, {"start_time": [1]}, {"boot_id": None}]
)
def test_nonsense_is_no_living_process(who: dict[str, object]) -> None:
    """Values that no process has are no living process."""
    assert not identity.may_be_alive({**identity.describe_this_process(), **who})
