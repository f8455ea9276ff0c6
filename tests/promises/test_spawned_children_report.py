"""The promise: a child that multiprocessing starts anew reports like its parent, and so do its own children."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import needs
from tests.support.programs import PROGRAMS, recorded
from tests.support.promise import Section, promise

pytestmark = [
    needs.capability(sys.implementation.name == "cpython", "a ProcessPoolExecutor that works"),
    promise(
        Section.CHILDREN,
        "A child that multiprocessing spawns is set up like its parent, and so are its own children",
        broken_by="no settings carried over; not handed on by the child; no import finder",
    ),
]


def run_program(tmp_path: Path, method: str, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, str(PROGRAMS / "multiprocessing_children.py"), method, *options],
        env={**os.environ, "TEST_SPOOL": str(tmp_path / "spool")},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["['pool']", "['executor']"]
    return done.stderr


METHODS = ["spawn", "forkserver", "fork"]


@pytest.mark.parametrize("method", METHODS)
def test_children_are_set_up_like_their_parent(tmp_path: Path, method: str) -> None:
    """Process, subclass, grandchild, Pool and ProcessPoolExecutor, with every option."""
    run_program(tmp_path, method)
    events = [record.content for record in recorded(tmp_path / "spool")]
    messages = {event["message"] for event in events}
    assert messages == {"process", "subclass", "grandchild", "pool", "executor"}
    assert {event["environment"] for event in events} == {"parent's"}
    assert {event["tags"].get("hook") for event in events} == {"was here"}
    assert len({event["process"]["pid"] for event in events}) == 5


@promise(
    Section.CHILDREN,
    "A spawned child runs as usual when an option cannot be pickled",
    broken_by="no guard around the pickling",
)
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_an_option_that_cannot_be_pickled_costs_no_child(tmp_path: Path, method: str) -> None:
    """The child runs as ever and reports nothing, rather than without the hook; the parent says so."""
    said = run_program(tmp_path, method, "silent")
    assert recorded(tmp_path / "spool") == []
    assert "processes that multiprocessing starts anew are not set up like this one" in said


def test_close_removes_the_settings_for_spawned_children(tmp_path: Path) -> None:
    """And multiprocessing is never imported for them."""
    body = (
        "import sys, lastword\n"
        "before = list(sys.meta_path)\n"
        f"lastword.init(spool={str(tmp_path)!r})\n"
        "assert 'multiprocessing' not in sys.modules\n"
        "lastword.close()\n"
        "assert sys.meta_path == before\n"
        "import multiprocessing\n"
        "assert not [key for key in multiprocessing.current_process()._config if 'lastword' in key]\n"
        f"lastword.init(spool={str(tmp_path)!r})\n"
        "assert [key for key in multiprocessing.current_process()._config if 'lastword' in key]\n"
        "lastword.close()\n"
        "assert not [key for key in multiprocessing.current_process()._config if 'lastword' in key]\n"
    )
    subprocess.run([sys.executable, "-c", body], check=True, timeout=60)
