"""The flusher as a process: it steps back behind the program, and leaves at once where somebody leads."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
from pathlib import Path
from typing import Any, Callable

import pytest

from lastword.dsn import Destination, Dsn
from lastword.flusher import daemon, schedule
from lastword.flusher.daemon import run_detached
from lastword.flusher.succession import Succession
from lastword.spool import lock, start
from lastword.spool.layout import Layout
from lastword.spool.lock import LifetimeLock
from lastword.spool.record import encode_event
from lastword.spool.writer import Writer
from lastword.testing import LoopbackTracker
from tests.support import needs
from tests.support.events import message_event
from tests.support.programs import wait_until
from tests.support.promise import Section, promise
from tests.support.spools import impatient_flushers

AUTOGROUP = Path("/proc/self/autogroup")


def found_by_a_flusher(layout: Layout, look: Callable[[], Any]) -> Any:
    """What ``look`` says in a process, of a session of its own, that was started as flusher and found another one."""
    leads = LifetimeLock.acquire(layout.flusher_lock)
    assert leads is not None
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            run_detached(layout.spool)
            os.write(writing, json.dumps(look()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        found = json.loads(told.read())
    os.waitpid(pid, 0)
    leads.release()
    return found


@promise(Section.NO_BURDEN, "The flusher's niceness is five above the program's", broken_by="no niceness")
def test_steps_back_behind_the_program(layout: Layout) -> None:
    """Its niceness is five more than that of the program, however nice this is."""
    assert found_by_a_flusher(layout, lambda: os.nice(0)) == min(os.nice(0) + 5, 19)


@promise(
    Section.NO_BURDEN,
    "The flusher's session steps back where the kernel shares CPU time among sessions",
    broken_by="the autogroup left alone",
)
@needs.capability(AUTOGROUP.exists(), "scheduling by session")
def test_steps_back_as_a_session(layout: Layout) -> None:
    """Where the kernel shares its time among sessions, in which niceness counts for nothing, the session steps back."""
    before = AUTOGROUP.read_text()
    assert found_by_a_flusher(layout, AUTOGROUP.read_text).endswith("nice 5\n")
    assert AUTOGROUP.read_text() == before


@promise(
    Section.NO_BURDEN, "The flusher raises its limit of open files as far as allowed", broken_by="the limit left alone"
)
def test_limit_of_open_files_is_raised(layout: Layout) -> None:
    """A spool of many writers takes many descriptors: the limit is raised as far as it goes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert found_by_a_flusher(layout, lambda: resource.getrlimit(resource.RLIMIT_NOFILE)) == [most, most]


@promise(Section.NO_BURDEN, "`flusher.log` is bounded", broken_by="not emptied")
def test_log_has_troubles_and_is_bounded(layout: Layout) -> None:
    """`flusher.log` is emptied when it has grown beyond 256 KiB."""
    log = Path(layout.flusher_log)
    log.write_bytes(b"x" * (300 << 10))

    def complain() -> None:
        os.write(2, b"trouble\n")

    found_by_a_flusher(layout, complain)
    assert log.read_text() == "trouble\n"


@promise(
    Section.FLUSHER_MODES,
    "A flusher that broke down ends at once when told to stop",
    broken_by="the leader's handler used",
)
@promise(Section.FLUSHER_MODES, "Events captured during a pause are sent when it is over")
def test_broken_down_flusher_tries_again_after_the_pause(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its own process, without another capture; meanwhile it is known to be coming."""
    seen = []
    told_by_sigterm: list[Any] = []

    def lead(layout: Layout, succession: Succession, stopped_at: float) -> bool:
        seen.append(holder_of_helper_lock())
        told_by_sigterm.append(signal.getsignal(signal.SIGTERM))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as one that leads has a handler of its own
        if len(seen) < 3:
            raise OSError("broken")
        return False

    def holder_of_helper_lock() -> bool:
        return run_elsewhere(lambda: lock.holder(layout.helper_lock) is not None)

    monkeypatch.setattr(daemon, "_lead", lead)
    monkeypatch.setattr(schedule, "PAUSE_AFTER_TROUBLE", 0.05)
    for name in ("_send_errors_to", "_be_a_good_neighbour"):
        monkeypatch.setattr(daemon, name, lambda *_: None)
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        run_detached(layout.spool)
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    assert seen == [False, True, True]
    assert told_by_sigterm == [daemon._leave] * 3  # it ends at once when it is told to while it waits


@promise(
    Section.FLUSHER_MODES,
    "A stopped flusher is followed by another while its program lives and events wait",
    broken_by="it ends and leaves nobody; it stays for held events",
)
def test_stopped_flusher_is_followed_while_its_program_lives(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held events of a program that captures nothing more; the stopped process itself ends."""
    monkeypatch.setattr(schedule, "PAUSE_AFTER_TERM", 0.3)
    monkeypatch.setattr(schedule, "LINGER_EMPTY", 0.1)
    with LoopbackTracker() as tracker:
        tracker.go_down()
        destination = Destination(Dsn.parse(tracker.dsn), 5.0)
        writer = Writer.born(layout)  # of this process
        writer.append(encode_event("ab" * 16, destination.key, message_event()), destination)
        pid = os.fork()
        if pid == 0:
            try:
                run_detached(layout.spool)
            finally:
                os._exit(0)
        wait_until(lambda: lock.holder(layout.flusher_lock) == pid, "its lead")
        os.kill(pid, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        tracker.come_up()
        tracker.wait_for(1)
        assert lock.holder(layout.flusher_lock) not in (None, pid)
        writer.discard()
        wait_until(lambda: lock.holder(layout.flusher_lock) is None, "its end")


def run_elsewhere(look: Callable[[], bool]) -> bool:
    """What ``look`` says in another process."""
    pid = os.fork()
    if pid == 0:
        os._exit(int(look()))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


@promise(
    Section.PRIVATE,
    "A leader writes only to its own spool's `helper.lock`, whatever file the helper has opened",
    broken_by="any file taken for that",
)
@pytest.mark.parametrize("whose", ["of this spool", "of what a link led to", "that was exchanged since"])
def test_leader_writes_only_to_the_helper_lock_of_its_spool(layout: Layout, tmp_path: Path, whose: str) -> None:
    """A helper opens that before it can load what follows no link on the way: it may be anybody's."""
    elsewhere = tmp_path / "elsewhere" / "helper.lock"
    elsewhere.parent.mkdir()
    elsewhere.write_text("mine")
    start.make_helper_lock(layout)
    there = elsewhere if whose == "of what a link led to" else Path(layout.helper_lock)

    def leads() -> bool:
        coming = os.open(there, os.O_RDWR)
        fcntl.lockf(coming, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if whose == "that was exchanged since":
            there.rename(elsewhere)
            elsewhere.write_text("mine")
            start.make_helper_lock(layout)
        run_detached(layout.spool, coming, "an interpreter")
        return True

    with impatient_flushers():
        assert run_elsewhere(leads)
    assert elsewhere.read_text() == "mine"
    assert start.has_led(layout, "an interpreter") == (whose == "of this spool")
