"""What stands in ``flusher.log`` and in what is logged steers no terminal, and shows no secret of a URL."""

from __future__ import annotations

import io
import logging

import pytest

from lastword import diagnostics
from lastword.flusher import breakdown
from lastword.flusher.daemon import _Log
from tests.support.hostile import ALL, harm_in
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.COMMANDS, "`flusher.log` and log messages steer no terminal", broken_by="written, logged as it came"
)

SECRET = "https://u:s3cret@h/?a=s3cret"


def test_flusher_log_is_printable() -> None:
    """Everything written to a flusher's standard error; tracebacks keep their lines."""
    written = io.BytesIO()
    log = _Log(written, "utf-8", "backslashreplace", write_through=True)
    print(f"Traceback:\n  {ALL}\n{SECRET}", file=log)
    told = written.getvalue().decode("utf-8")
    assert harm_in(told) == []
    assert told.startswith("Traceback:\n  \\x1b]0;")
    assert "s3cret" not in told
    assert breakdown.for_log("a\n\tb\n") == "a\n\tb\n"


def test_logged_notes_are_one_printable_line(caplog: pytest.LogCaptureFixture) -> None:
    """Notes quote errors and trackers, and are one line each."""
    diagnostics.forget()
    diagnostics.note("some cause", ALL + SECRET + "x" * 100_000)
    try:
        diagnostics.tell()
    finally:
        diagnostics.forget()
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert harm_in(record.getMessage(), lines=False) == []
    assert "s3cret" not in record.getMessage()
    assert len(record.getMessage()) <= diagnostics.MOST_OF_NOTE
