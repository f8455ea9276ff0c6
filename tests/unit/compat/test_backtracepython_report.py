"""The promise: what a report of the backtracepython drop-in holds that its tracker never shows."""

from __future__ import annotations

import json
from pathlib import Path

from lastword.compat.backtracepython.report import BacktraceReport
from tests.compat.side_by_side import DROP_IN, run_with
from tests.support.programs import recorded

SECRETS = """
initialize(attributes={"client": {"password": "hunter2"}}, exit_timeout=0)
def fail(password="hunter2"):
    secret = "hunter2"
    raise ValueError("password=" + os.environ["SAID"])
with reporting(attributes={"api_key": "hunter2"}, annotations={"deep": [{"token": "hunter2"}]}): fail()
report = bt.BacktraceReport()
report.get_data()["more"] = {"password": "hunter2"}
report.send()
"""


def test_local_variables_are_not_even_read() -> None:
    """Backtrace's reports have no place for them, so they are not on the disk either."""
    report = BacktraceReport()
    try:
        raise ValueError
    except ValueError:
        report.capture_last_exception()
    assert report._event["exceptions"][0]["frames"][-1]["variables"] == []


def test_scrubbing_can_be_switched_on(tmp_path: Path) -> None:
    """By LASTWORD_SCRUB; then no secret is on the disk, wherever the program put it."""
    for number, (scrub, shown) in enumerate((("off", True), ("all", False))):
        folder = tmp_path / f"{number}"
        run_with(
            DROP_IN,
            SECRETS,
            folder,
            environment={"LASTWORD_SCRUB": scrub, "LASTWORD_FLUSHER": "hold", "SAID": "hunter2"},
        )
        records = recorded(tmp_path / f"spool-{number}")
        assert len(records) == 2
        assert ["hunter2" in json.dumps(record.content) for record in records] == [shown, shown]
