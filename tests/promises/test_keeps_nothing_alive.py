"""The promise: after a capture nothing of the program is held by it, so what a failed job used goes with the job.

Each form runs with garbage collection switched off, and says by weak references whether anything is alive behind it.
What frameworks keep themselves is found out first, without lastword.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import needs
from tests.support.programs import PROGRAMS, recorded, run


@pytest.mark.parametrize("options", ["", "all"])
def test_what_a_failed_job_used_goes_with_it(options: str, tmp_path: Path) -> None:
    program = PROGRAMS / "kept_alive_by_forms.py"
    assert run(program, options, spool=tmp_path / "spool") == ["end"]
    assert len(recorded(tmp_path / "spool")) >= program.read_text("utf-8").count("\n@form\n") > 20


@needs.installed("flask", "django", "fastapi")
def test_what_a_failed_request_used_goes_with_it(tmp_path: Path) -> None:
    assert run(PROGRAMS / "kept_alive_by_frameworks.py", spool=tmp_path / "spool") == ["end"]
    assert len(recorded(tmp_path / "spool")) >= 4
