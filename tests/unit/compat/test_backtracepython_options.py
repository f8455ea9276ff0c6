"""The promise: what ``initialize`` is told about sending holds for whoever sends."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from lastword.compat.backtracepython.client import _config


@pytest.mark.parametrize(
    ("timeout", "answering", "connecting"),
    [(7, 7, None), (0.5, 0.5, None), ((3, 27), 27, 3), (None, 4, None), (-1, 4, None), ("7", 4, None)],
)
@pytest.mark.parametrize("ignoring", [True, False])
def test_time_and_certificates(timeout: Any, answering: float, connecting: Optional[float], ignoring: bool) -> None:
    """A timeout that is no number counts as the default."""
    destination = _config("https://h/post", timeout, ignoring, 4).destination
    assert destination.dsn.url == "https://h/post"
    assert (destination.timeout, destination.connect_timeout) == (answering, connecting)
    assert destination.verify is not ignoring


def test_dsn_of_another_tracker_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even one that lastword could not use."""
    monkeypatch.setenv("LASTWORD_DSN", "sentry+https://KEY@h.example/1")
    assert _config("https://h/post", 4, False, 4).destination.dsn.url == "https://h/post"
