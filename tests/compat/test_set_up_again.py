"""The promise: a program that sets a drop-in up a second time, for another project, loses nothing of either."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lastword.testing import LoopbackTracker
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.DROP_INS,
    "A second setup for another project loses no event of either",
    broken_by="the destination of before",
)

BACKTRACEPYTHON = """
import os
import lastword.compat.backtracepython as bt
bt.initialize(os.environ["FIRST"], "token-1", exit_timeout=EXIT)
bt.send_report("one")
report = bt.BacktraceReport()
report.set_attribute("error.message", "made for the first")
bt.initialize(os.environ["SECOND"], "token-2", exit_timeout=EXIT)
bt.send_report("two")
report.send()
if os.fork() == 0:
    bt.send_report("of a child")
    os._exit(0)
os.wait()
raise ValueError("nobody catches this")
"""

BOOBOO = """
import os
import lastword.compat.booboo as booboo
booboo.init(os.environ["FIRST"])
booboo.set_user({"id": "known to the first"})
booboo.capture_message("one")
booboo.init(os.environ["SECOND"])
booboo.capture_message("two")
if os.fork() == 0:
    booboo.capture_message("of a child")
    os._exit(0)
os.wait()
raise ValueError("nobody catches this")
"""

LATER = ["nobody catches this", "of a child", "two"]


@pytest.mark.parametrize("down", [False, True], ids=["up", "down at first"])
@pytest.mark.parametrize(
    ("kind", "program", "first", "second"),
    [
        ("backtrace", BACKTRACEPYTHON, ["one"], ["made for the first", *LATER]),
        ("booboo", BOOBOO, ["one"], LATER),
    ],
    ids=["backtracepython", "booboo"],
)
def test_each_project_gets_the_events_captured_while_it_was_set_up(
    kind: str, program: str, first: list[str], second: list[str], down: bool, tmp_path: Path
) -> None:
    """By its own token, and once. A report goes to the project of the moment in which it is sent."""
    body = program.replace("EXIT", "0" if down else "4")
    with LoopbackTracker(kind, token="token-1") as one, LoopbackTracker(kind, token="token-2") as other:
        trackers = {"FIRST": one, "SECOND": other}
        # Of backtracepython the program itself says the token.
        places = {name: tracker.dsn.partition("+")[2].partition("?")[0] for name, tracker in trackers.items()}
        for tracker in trackers.values():
            if down:
                tracker.go_down()
        environment = {**os.environ, **places, "LASTWORD_SPOOL": str(tmp_path / "spool")}
        done = subprocess.run([sys.executable, "-c", body], env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1, done.stderr
        one.come_up()
        other.come_up()
        assert sorted(event.message for event in one.wait_for(len(first), timeout=30)) == first
        assert sorted(event.message for event in other.wait_for(len(second), timeout=30)) == sorted(second)
        assert b"known to the first" not in b"".join(event.raw for event in other.events)
