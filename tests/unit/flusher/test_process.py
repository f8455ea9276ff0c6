"""The flusher as a process: it steps back behind the program, and leaves at once where somebody leads."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path
from typing import Any, Callable

from lastword.flusher.process import run_detached
from lastword.spool.layout import Layout
from lastword.spool.lock import LifetimeLock
from tests.support import needs

AUTOGROUP = Path("/proc/self/autogroup")


def found_by_a_flusher(layout: Layout, look: Callable[[], Any]) -> Any:
    """What ``look`` says in a process, of a session of its own, that was started as flusher and found another one."""
    lock = LifetimeLock.acquire(layout.flusher_lock)
    assert lock is not None
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
    lock.release()
    return found


def test_steps_back_behind_the_program(layout: Layout) -> None:
    """Its niceness is five more than that of the program, however nice this is."""
    assert found_by_a_flusher(layout, lambda: os.nice(0)) == min(os.nice(0) + 5, 19)


@needs.capability(AUTOGROUP.exists(), "scheduling by session")
def test_steps_back_as_a_session(layout: Layout) -> None:
    """Where the kernel shares its time among sessions, in which niceness counts for nothing, the session steps back."""
    before = AUTOGROUP.read_text()
    assert found_by_a_flusher(layout, AUTOGROUP.read_text).endswith("nice 5\n")
    assert AUTOGROUP.read_text() == before


def test_may_open_as_many_files_as_it_is_allowed_to(layout: Layout) -> None:
    """A spool of many writers takes many descriptors: the limit is raised as far as it goes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert found_by_a_flusher(layout, lambda: resource.getrlimit(resource.RLIMIT_NOFILE)) == [most, most]


def test_troubles_are_in_its_log(layout: Layout) -> None:
    """What goes wrong is written to flusher.log, which is emptied when it has grown beyond 256 KiB."""
    log = Path(layout.flusher_log)
    log.write_bytes(b"x" * (300 << 10))

    def complain() -> None:
        os.write(2, b"trouble\n")

    found_by_a_flusher(layout, complain)
    assert log.read_text() == "trouble\n"
