"""The promise: the logger ``booboo`` warns of what the original's warned of, in its words, once a minute."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Optional

import pytest

from lastword.audit.accounts import read_accounts
from lastword.testing import LoopbackTracker
from tests.compat.contest import DROP_IN, run_both, run_with
from tests.support import needs
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.BOOBOO, "It logs the original's warnings, and with `debug` what it did", broken_by="the ledger not checked"
)


class Situation(NamedTuple):
    """``said``: what both say, once each, whatever else the line says."""

    program: str
    said: tuple[str, ...]
    tracker_does: Optional[Callable[[LoopbackTracker], Any]] = None


TWICE = "for _ in range(2): booboo.capture_message('x')\n"

SITUATIONS = {
    "a hook's event that is no JSON": Situation(
        "booboo.init(dsn(), before_send=lambda event: {'message': {1}})\n" + TWICE,
        ("booboo: could not serialise event: TypeError",),
    ),
    "nobody listens": Situation(
        "booboo.init(dsn())\n" + TWICE,
        ("booboo: could not reach http://127.0.0.1:[0-9]+/: ",),
        LoopbackTracker.go_down,
    ),
    "a refusal with a reason": Situation(
        "booboo.init(dsn())\n" + TWICE,
        ("booboo: event rejected by http://127.0.0.1:[0-9]+/: HTTP 401\\b.*wrong token",),
        lambda tracker: tracker.answer(401, body=b'{"detail": "wrong token"}'),
    ),
    "a refusal in other words": Situation(
        "booboo.init(dsn())\n" + TWICE,
        ("booboo: event rejected by http://127.0.0.1:[0-9]+/: HTTP 403\\b.*no, never",),
        lambda tracker: tracker.answer(403, body=b'{"why": "no, never"}'),
    ),
    "debugging": Situation(
        "booboo.init(dsn(), debug=True, environment='e', before_send=lambda event: None)\n"
        "booboo.capture_message('x')\n",
        ("booboo: initialised.*127.0.0.1.*environment", "booboo: event dropped by before_send"),
    ),
    "debugging by the environment": Situation(
        "os.environ['BOOBOO_DEBUG'] = 'yes'\nbooboo.init(dsn(), environment='e')\n",
        ("booboo: initialised.*127.0.0.1.*environment",),
    ),
    "no debugging by another word": Situation("os.environ['BOOBOO_DEBUG'] = 'True'\nbooboo.init(dsn())\n", ()),
}


@needs.installed("booboo")
@pytest.mark.parametrize("name", SITUATIONS)
def test_warnings_equal_the_originals(name: str, tmp_path: Path) -> None:
    """Each package warns once, and does not warn where there is nothing to warn of."""
    program, said, tracker_does = SITUATIONS[name]
    for outcome in run_both(program, tmp_path, tracker_does=tracker_does):
        assert outcome.status == 0
        assert [len(re.findall(text, outcome.trouble)) for text in said] == [1] * len(said), outcome.trouble
        assert said or not outcome.trouble


def test_debug_logs_that_each_event_is_safe(tmp_path: Path) -> None:
    """Sending is another process's work, so not that it was sent."""
    outcome = run_with(DROP_IN, "booboo.init(dsn(), debug=True)\n" + TWICE, tmp_path / "ours", wait_for=2)
    assert len(re.findall("booboo: event [0-9a-f]{32} is safe in the spool\n", outcome.trouble)) == 2


def test_lost_event_is_logged_with_the_reason(tmp_path: Path) -> None:
    """Where the spool cannot be made, and why."""
    (tmp_path / "file").write_text("")
    program = "import lastword.compat.booboo as booboo\nbooboo.init('https://T@127.0.0.1:1/')\n" + TWICE
    environment = {**os.environ, "LASTWORD_SPOOL": str(tmp_path / "file/spool")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr.count("booboo: could not queue event: ") == 1
    assert "file is not a directory" in done.stderr


def test_events_kept_without_a_dsn_can_be_listed(tmp_path: Path) -> None:
    """O-11: nothing is sent, and `lastword ls` shows them."""
    outcome = run_with(DROP_IN, "booboo.init('')\nbooboo.capture_message('kept here')\n", tmp_path / "ours")
    assert outcome.trouble.count("booboo: no DSN configured") == 1
    spool = tmp_path / "ours/spool"
    assert read_accounts(spool).held == 1
    command = [sys.executable, "-m", "lastword", "ls", "--spool", str(spool)]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "kept here" in shown.stdout
