"""The promise: CPython's own tests end with lastword in the process as they end without it. The quick ones of them."""

from __future__ import annotations

from pathlib import Path

from tests.others.cpython import differences, has_tests, outcomes
from tests.support import needs
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.UNCHANGED,
    "CPython's own tests end as they do without lastword (all of them: `python -m tests.others.cpython`)",
    broken_by="hooks that code can tell from Python's own; a warning's `source` lost",
)

#: What looks closely at tracebacks, warnings and log records: hooks of ours are all around these.
MODULES = ["test_code_module", "test_warnings", "test_traceback"]


@needs.capability(has_tests(), "CPython's own tests")
def test_quick_cpython_tests_end_as_without_lastword(tmp_path: Path) -> None:
    """Without it only those are run that failed with it."""
    with_us = outcomes(MODULES, tmp_path / "with", flusher="hold")
    assert len(with_us) > 100
    failed = {name: outcome for name, outcome in with_us.items() if outcome in ("failure", "error")}
    if failed:
        names = [name.rpartition(".")[2].split(" ")[0] for name in failed]
        without = outcomes(MODULES, tmp_path / "without", flusher=None, only=names)
        assert differences({name: without.get(name, "absent") for name in failed}, failed) == []
