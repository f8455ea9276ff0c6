"""The promise: what a signal handler or another thread raises reaches the program, whatever of ours it arrives in.

Time limits are made like that (rq, Celery), and so are Ctrl-C and the end of a worker. The event is recorded, or
counted as interrupted, and what comes next is captured like anything else.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lastword.audit.accounts import read_accounts
from tests.support.programs import PROGRAMS, run


@pytest.mark.parametrize("where", ["everywhere", "alarms", "theirs"])
def test_a_time_limit_reaches_the_program(where: str, tmp_path: Path) -> None:
    """Nothing of ours takes it for an error of its own, and its event is accounted for."""
    assert run(PROGRAMS / "time_limits.py", where, spool=tmp_path / "spool") == ["end"]
    refused = read_accounts(tmp_path / "spool").refused
    assert "internal error" not in refused
    assert refused["interrupted"]
