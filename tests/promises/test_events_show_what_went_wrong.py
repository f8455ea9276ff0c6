"""The promise: what the tracker gets says what went wrong, in which process, and what else was going on there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lastword.testing import LoopbackTracker
from tests.support import needs
from tests.support.programs import run
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.EVENTS,
    "A group arrives with its members, the other threads, the role and the release",
    broken_by="members not looked for; `all_threads` not needed",
)

FAILS = """
def wait_for_work():
    go_on.wait(60)

arrived, go_on = threading.Event(), threading.Event()
other = threading.Thread(target=lambda: (arrived.set(), wait_for_work()), name="idle")
other.start()
arrived.wait(60)
try:
    try:
        int("x")
    except ValueError as first:
        raise ExceptionGroup("jobs", [first, ExceptionGroup("more jobs", [KeyError("order")])])
except ExceptionGroup as group:
    acked(lastword.capture_exception(group))
go_on.set()
lastword.flush(30)
"""


@needs.capability(sys.version_info >= (3, 11), "Python 3.11")
def test_group_arrives_with_members_threads_role_and_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Members with their parents, the other thread's stack, the process's role, and the release that CI named."""
    monkeypatch.setenv("GITHUB_SHA", "c0ffee")
    with LoopbackTracker("backtrace") as tracker:
        run(FAILS, spool=tmp_path / "spool", dsn=tracker.dsn)
        (received,) = tracker.wait_for(lambda events: len(events) == 1, timeout=30)
    report = received.body or {}
    members = [(link["type"], link["relation"], link["parent"]) for link in report["annotations"]["Chained exceptions"]]
    # The first member is the group's context as well, and told once.
    assert members == [("ValueError", "member", 0), ("ExceptionGroup", "member", 0), ("KeyError", "member", 2)]
    (idle,) = [thread for thread in report["threads"].values() if not thread["fault"]]
    assert idle["name"] == "idle"
    assert "wait_for_work" in [call["funcName"] for call in idle["stack"]]
    attributes = report["attributes"]
    assert (attributes["release"], attributes["process.role"]) == ("c0ffee", "python -c")
    assert attributes["process.parent"] > 0
