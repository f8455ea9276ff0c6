"""Progress is for people at a terminal; a log sees none of it."""

from __future__ import annotations

import io
import re

import pytest

from lastword.cli import progress
from tests.support import needs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told_to(terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(progress, "_INTERVAL", 0.0)
    with progress.shown("sending") as tell:
        tell(3, 12)
    return terminal.getvalue()


def test_no_progress_is_shown_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cron mails nothing."""
    assert told_to(io.StringIO(), monkeypatch) == ""


def test_progress_without_rich_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rich it is a line now and then."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert told_to(Terminal(), monkeypatch) == "sending: 3 of 12\n"


@needs.installed("rich")
def test_progress_with_rich_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """With rich it is a bar with its percentage, which is gone afterwards."""
    monkeypatch.setenv("TERM", "xterm-256color")
    told = told_to(Terminal(), monkeypatch)
    assert re.search(r"sending .*25%", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", told))
