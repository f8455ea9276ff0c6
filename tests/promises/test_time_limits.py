"""The promise: what a signal handler or another thread raises reaches the program, whatever of ours it arrives in.

Time limits are made like that (rq, Celery), and so are Ctrl-C and the end of a worker. The event is recorded, or
counted as interrupted, and what comes next is captured like anything else.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lastword.audit.accounts import read_accounts
from tests.support.programs import PROGRAMS, run
from tests.support.promise import Section, promise


@promise(
    Section.FAILURES,
    "A time limit reaches the program wherever it arrives; the event is recorded or counted, and the next one works",
    broken_by="any `except failures()` on the way made `except Exception`; the handler's frame not "
    "looked for; a class of the program's not checked; interruptions not counted; the same in "
    "`in_program.lead`, in `parse` of a record, in `installed_distributions`, in "
    "`WatchedWriter`",
)
@pytest.mark.parametrize("where", ["everywhere", "alarms", "theirs"])
def test_a_time_limit_reaches_the_program(where: str, tmp_path: Path) -> None:
    """Nothing of ours takes it for an error of its own, and its event is accounted for."""
    assert run(PROGRAMS / "time_limits.py", where, spool=tmp_path / "spool") == ["end"]
    refused = read_accounts(tmp_path / "spool").refused
    assert "internal error" not in refused
    assert refused["interrupted"]
