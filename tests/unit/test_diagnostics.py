"""What lastword says of itself: later, once per cause and minute, and to its own logger."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lastword import diagnostics


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    diagnostics.forget()
    yield
    diagnostics.forget()


def test_nothing_is_logged_before_tell(caplog: pytest.LogCaptureFixture) -> None:
    """A note waits; `tell` logs it as a warning of the logger `lastword`, the newest text of a cause."""
    diagnostics.note("disk", "first")
    diagnostics.note("disk", "second")
    diagnostics.note("net", "third")
    assert caplog.records == []
    diagnostics.tell()
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        ("lastword", "WARNING", "second"),
        ("lastword", "WARNING", "third"),
    ]


def test_cause_is_logged_once_per_interval(caplog: pytest.LogCaptureFixture) -> None:
    """A cause that was told is not told again within the interval; it waits for its end."""
    for _ in range(3):
        diagnostics.note("disk", "full")
        diagnostics.tell()
    assert len(caplog.records) == 1
    assert diagnostics.waiting() == ["full"]
    diagnostics.tell_every(0.0)
    diagnostics.tell()
    assert len(caplog.records) == 2
    assert diagnostics.waiting() == []
