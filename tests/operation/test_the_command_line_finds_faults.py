"""`lastword doctor` finds what keeps events from arriving, and says what to do about it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Callable

import pytest

from lastword.audit.accounts import read_accounts
from lastword.audit.findings import Finding
from lastword.cli import main
from lastword.spool import start
from lastword.spool.layout import Layout
from lastword.spool.ledger import Ledger
from lastword.spool.lock import LifetimeLock
from lastword.spool.start import StartState
from lastword.testing import LoopbackTracker
from tests.support import filesystems, needs, second_user
from tests.support.planted import hold
from tests.support.promise import Section, promise

HOUR = 3600.0

#: Leads a spool, in name only, until it is killed; argv: spool, the version that it claims to be of.
_LEADER = """\
import signal, sys
from lastword.spool import leader
from lastword.spool.layout import Layout
from lastword.spool.ledger import Ledger
from lastword.spool.lock import LifetimeLock
layout = Layout(sys.argv[1])
lock = LifetimeLock.acquire(layout.flusher_lock)
leader.__version__ = sys.argv[2]
leader.announce(layout)
print(flush=True)
signal.pause()
"""


@dataclass
class Ground:
    """Where a fault is planted; whatever ``stack`` holds is undone afterwards."""

    directory: Path
    tracker: LoopbackTracker
    stack: ExitStack
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def spool(self) -> Path:
        return self.directory / "spool"

    def dsn(self, token: str = "right") -> str:
        return self.tracker.dsn.replace("right", token)


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with ExitStack() as stack:
        tracker = stack.enter_context(LoopbackTracker(token="right"))
        yield Ground(tmp_path, tracker, stack)


def findings_told(told: str) -> list[Finding]:
    """The problems and warnings that ``doctor`` or ``status`` shows."""
    found = re.findall(r"^(PROBLEM|warning) +([\w ]+): (.*)\n +→ (.*)$", told, re.MULTILINE)
    return [Finding(*one) for one in found]


def read_only_spool(ground: Ground) -> None:
    ground.directory = ground.stack.enter_context(filesystems.tmpfs(ground.directory, 64))
    hold(ground.spool)
    filesystems.remount_read_only(ground.directory)


def full_disk(ground: Ground) -> None:
    ground.directory = ground.stack.enter_context(filesystems.ext4(ground.directory, 32))
    hold(ground.spool)
    filesystems.fill(ground.directory)


def foreign_owner(ground: Ground) -> None:
    hold(ground.spool)
    for path in (ground.spool, *ground.spool.rglob("*")):
        os.chown(path, second_user.VICTIM, second_user.VICTIM)


def wrong_key(ground: Ground) -> None:
    hold(ground.spool, 2, dsn=ground.dsn())
    ground.tracker.answer(401, times=1)
    assert main(["flush", "--spool", str(ground.spool)]) == 1


def wrong_key_never_tried(ground: Ground) -> None:
    ground.environment["LASTWORD_DSN"] = ground.dsn("wrong")


def dead_name(ground: Ground) -> None:
    ground.environment["LASTWORD_DSN"] = "booboo+http://t@tracker.invalid/o/p"


def unreachable_proxy(ground: Ground) -> None:
    ground.environment.update(LASTWORD_DSN="booboo+http://t@tracker.invalid/o/p", HTTP_PROXY="http://127.0.0.1:9")


def tracker_that_is_down(ground: Ground) -> None:
    ground.environment["LASTWORD_DSN"] = ground.dsn()
    ground.tracker.go_down()


def clock_two_hours_off(ground: Ground) -> None:
    ground.environment["LASTWORD_DSN"] = ground.dsn()
    ground.tracker.answer(401, headers={"Date": formatdate(time.time() + 2 * HOUR, usegmt=True)})


def held_too_long(ground: Ground) -> None:
    hold(ground.spool, dsn=ground.dsn(), timestamp=time.time() - 3 * HOUR)


def nobody_comes(ground: Ground) -> None:
    hold(ground.spool, dsn=ground.dsn(), timestamp=time.time() - 60)


def set_aside(ground: Ground) -> None:
    hold(ground.spool, dsn=ground.dsn())
    ground.tracker.answer(400, body=b'{"error":"no title"}', times=1)
    assert main(["flush", "--spool", str(ground.spool)]) == 0


def stopped_flusher(ground: Ground) -> None:
    hold(ground.spool)
    ground.stack.enter_context(leader(ground, "")).send_signal(signal.SIGSTOP)
    time.sleep(0)  # the signal is delivered by the time that the child is next looked at


def flusher_of_another_version(ground: Ground) -> None:
    hold(ground.spool)
    ground.stack.enter_context(leader(ground, "0.0.1"))


@contextmanager
def leader(ground: Ground, version: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _LEADER, str(ground.spool), version]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def open_to_others(ground: Ground) -> None:
    ground.directory.chmod(0o777)
    hold(ground.spool)


def half_a_ledger(ground: Ground) -> None:
    hold(ground.spool)
    read_accounts(ground.spool)
    Ledger().store(Layout(str(ground.spool)))
    Path(Layout(str(ground.spool)).ledger_copies[1]).write_bytes(b"garbage")


def no_destination(ground: Ground) -> None:
    hold(ground.spool, dsn=ground.dsn(), timestamp=time.time())
    [path] = ground.spool.glob("v1/destinations/*.json")
    path.write_text("{}")


#: What is planted → what kind of finding it is (``doctor``: a problem that status does not look for), with which
#: argument of doctor it is found, and what is told.
FAULTS: list[tuple[Callable[[Ground], None], str, str, str, str, str]] = [
    (read_only_spool, "PROBLEM", "", "spool", "mounted read-only", "remount,rw"),
    (full_disk, "PROBLEM", "", "spool", "the disk is full", "make room"),
    (foreign_owner, "doctor", "", "spool", "belongs to #54321", "sudo -u '#54321'"),
    (wrong_key, "PROBLEM", "", "tracker", "does not accept this address or key (HTTP 401", "lastword redirect"),
    (wrong_key_never_tried, "doctor", "--send", "tracker", "did not accept a test event (HTTP 403", "correct the DSN"),
    (dead_name, "doctor", "", "tracker", "tracker.invalid", "check the host in the DSN"),
    (unreachable_proxy, "doctor", "", "tracker", "proxy", "NO_PROXY"),
    (tracker_that_is_down, "doctor", "", "tracker", "refused", "check that the tracker runs"),
    (clock_two_hours_off, "doctor", "", "clock", "clock is 120 min behind", "timedatectl"),
    (held_too_long, "warning", "", "held", "1 event waits, the oldest for 3 h", "lastword flush"),
    (nobody_comes, "warning", "", "flusher", "none leads, and none is on its way", "lastword flush"),
    (set_aside, "warning", "", "set aside", "refused: HTTP 400", "lastword ls --set-aside"),
    (stopped_flusher, "PROBLEM", "", "flusher", "it is stopped", "kill -CONT"),
    (flusher_of_another_version, "warning", "", "flusher", "lastword 0.0.1; this is", "kill -TERM"),
    (open_to_others, "warning", "", "spool", "everybody may write to", "chmod go-w"),
    (half_a_ledger, "warning", "", "spool", "is damaged; the other copy is used", "nothing to do"),
    (no_destination, "PROBLEM", "", "spool", "Events for it wait", "start a program with its DSN"),
]


@promise(
    Section.FLUSHER_MODES,
    "Pending events without a flusher are a finding; a waiting helper is not",
    broken_by="not overdue; `helper.lock` not checked",
)
@promise(
    Section.COMMANDS,
    "`doctor` and `status` find the same faults, with remedies",
    broken_by="each check disabled, one at a time; status without the spool's content; a place that "
    "other users could exchange a problem for one of the two",
)
@needs.capability(sys.platform.startswith("linux"), "/proc")
@pytest.mark.parametrize(
    ("plant", "kind", "argument", "about", "text", "remedy"), FAULTS, ids=[fault[0].__name__ for fault in FAULTS]
)
def test_a_fault_and_its_remedy(
    ground: Ground,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    plant: Callable[[Ground], None],
    kind: str,
    argument: str,
    about: str,
    text: str,
    remedy: str,
) -> None:
    """The fault and its remedy are all that is printed; doctor and status agree, and no token is shown."""
    if plant is foreign_owner and os.geteuid() != 0:
        pytest.skip("only root can give files away")
    plant(ground)
    for name, value in ground.environment.items():
        monkeypatch.setenv(name, value)
    capsys.readouterr()
    ends = main(["doctor", "--spool", str(ground.spool), *filter(None, [argument])])
    told = capsys.readouterr().out
    [found] = findings_told(told)
    assert found.about == about
    assert text in found.text
    assert remedy in found.remedy
    assert "right" not in told and "wrong@" not in told
    if kind == "doctor":
        assert (ends, found.kind) == (1, "PROBLEM")
        return
    assert (ends, found.kind) == (kind == "PROBLEM", kind)
    assert ("1 problem found" if ends else "no problem found") in told
    assert main(["status", "--spool", str(ground.spool)]) == ends
    assert findings_told(capsys.readouterr().out) == [found]
    assert main(["status", "--json", "--spool", str(ground.spool)]) == ends
    as_json = json.loads(capsys.readouterr().out)
    assert as_json["findings"] == [{**found._asdict(), "kind": found.kind.lower()}]
    assert (as_json["healthy"], as_json["problems"]) == (not ends, [f"{about}: {found.text}"] if ends else [])


@promise(Section.COMMANDS, "`doctor` sends no test event without consent", broken_by="always send")
def test_a_healthy_spool(ground: Ground, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where all is well nothing is a problem, and with consent one test event arrives; without it, none."""
    monkeypatch.setenv("LASTWORD_DSN", ground.dsn())
    hold(ground.spool, dsn=ground.dsn(), timestamp=time.time())
    assert main(["doctor", "--spool", str(ground.spool)]) == 0
    assert ground.tracker.events == []
    assert main(["doctor", "--spool", str(ground.spool), "--send"]) == 0
    [event] = ground.tracker.events
    assert "lastword doctor" in event.message
    told = capsys.readouterr().out
    assert "no problem found" in told and "accepted a test event" in told


@promise(Section.FLUSHER_MODES, "Pending events without a flusher are a finding; a waiting helper is not")
def test_pause_of_a_flusher_is_no_problem(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    """Events that wait for its end are no problem, and its end is printed."""
    hold(ground.spool, dsn=ground.dsn(), timestamp=time.time() - 60)
    layout, now = Layout(str(ground.spool)), time.time()
    start.store(layout, StartState(1, now + 30, stopped_at=now))
    waits = LifetimeLock.acquire(layout.helper_lock)
    assert waits is not None
    main(["status", "--spool", str(ground.spool)])
    waits.release()
    told = capsys.readouterr().out
    assert findings_told(told) == []
    assert re.search(r"none leads, one is on its way, once a pause is over, in \d\d s", told), told


def test_no_spool_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the first event there is nothing wrong, and looking makes nothing."""
    assert main(["doctor", "--spool", str(tmp_path / "spool")]) == 0
    assert "does not exist yet" in capsys.readouterr().out
    assert not (tmp_path / "spool").exists()
