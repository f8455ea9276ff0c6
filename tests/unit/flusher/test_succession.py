"""Making way: whoever has seen that a newer version waits leaves for good, and does not come back before it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lastword.audit.accounts import read_accounts
from lastword.flusher import in_program, succession
from lastword.flusher.succession import Succession, is_taken
from lastword.spool import leader
from lastword.spool.layout import Layout
from lastword.spool.lock import LifetimeLock, holder
from lastword.testing import LoopbackTracker
from tests.support.spools import Process, impatient_flushers


@contextmanager
def locked_by_another_process(path: str) -> Iterator[None]:
    locked, told = os.pipe()
    done, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(end)
            assert LifetimeLock.acquire(path)
            os.write(told, b"x")
            os.read(done, 1)
        finally:
            os._exit(0)
    try:
        assert os.read(locked, 1) == b"x"
        yield
    finally:
        os.close(end)
        os.waitpid(pid, 0)
        for descriptor in (locked, told, done):
            os.close(descriptor)


def test_flusher_that_made_way_does_not_lead_before_its_successor(layout: Layout) -> None:
    """The moment without a leader between two locks is not for the one that just left."""
    with LoopbackTracker() as tracker, impatient_flushers():
        Process(layout, tracker.dsn, "hello").ends()
        with locked_by_another_process(layout.successor_lock):
            in_program.lead(layout)
            assert read_accounts(layout.spool).held == 1
        in_program.lead(layout)
        assert read_accounts(layout.spool).held == 0


def test_making_way_is_final(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever becomes of the successor, the answer stays the same."""
    monkeypatch.setattr(succession, "_LOOK_INTERVAL", 0.0)
    leads = Succession(layout)
    assert not leads.must_leave()
    with locked_by_another_process(layout.successor_lock):
        assert leads.must_leave()
    assert leads.must_leave()


def test_a_place_that_was_taken_is_kept_until_it_is_given_up(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is asked for; and one's own keeps nobody from leading."""
    leads = LifetimeLock.acquire(layout.flusher_lock)
    assert leads is not None
    with monkeypatch.context() as patch:
        patch.setattr(leader, "__version__", "0.0.1")
        leader.announce(layout)
    waits = Succession(layout)
    assert waits.may_try()
    assert waits.may_try()
    assert holder(layout.successor_lock) == os.getpid()
    assert is_taken(layout)
    leads.release()
    assert not is_taken(layout)
    waits.give_up()
    assert holder(layout.successor_lock) is None
