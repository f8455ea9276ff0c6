"""The promise: after a capture nothing of the program is held by it, so what a failed job used goes with the job.

Each form runs with garbage collection switched off, and says by weak references whether anything is alive behind it.
What frameworks keep themselves is found out first, without lastword.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import needs
from tests.support.programs import PROGRAMS, recorded, run
from tests.support.promise import Section, promise


@promise(
    Section.KEEPS_NOTHING,
    "Objects of a failed job are released after the report, whatever reported the failure",
    broken_by="the dict of `f_locals` left as it is (up to 3.12); a traceback in a variable of `asgi` or "
    "`child_processes`; code objects kept with their call sites; a dict from `locals()` that "
    "holds itself",
)
@pytest.mark.parametrize("options", ["", "all"])
def test_objects_of_a_failed_job_are_released(options: str, tmp_path: Path) -> None:
    program = PROGRAMS / "kept_alive_by_forms.py"
    assert run(program, options, spool=tmp_path / "spool") == ["end"]
    assert len(recorded(tmp_path / "spool")) >= program.read_text("utf-8").count("\n@form\n") > 20


@promise(
    Section.KEEPS_NOTHING,
    "Objects of a failed request are released unless its framework keeps them",
    broken_by="the dict of `f_locals` left as it is",
)
@needs.installed("flask", "django", "fastapi")
def test_objects_of_a_failed_request_are_released(tmp_path: Path) -> None:
    assert run(PROGRAMS / "kept_alive_by_frameworks.py", spool=tmp_path / "spool") == ["end"]
    assert len(recorded(tmp_path / "spool")) >= 4
