"""The promise: a file too large for a record is sent as it was when the report was made, or named as missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lastword.event import Event
from lastword.flusher.files_of_reports import with_attached_files
from lastword.wire.backtrace_attachments import LEFT_OUT, add_left_out_note
from tests.support.events import exception_event
from tests.support.promise import Section, promise

pytestmark = promise(Section.BACKTRACEPYTHON, "Source and large files are sent as they were at the capture")


def event_of(path: Path) -> Event:
    found = path.stat()
    file = {"path": str(path), "device": found.st_dev, "inode": found.st_ino, "size": found.st_size}
    both: dict[str, Any] = {"type": "", "left_out": None}
    return exception_event(
        attachments=[
            {**both, "name": "small", "size": 1, "content": "eA==", "file": None},
            {**both, "name": path.name, "size": found.st_size, "content": None, "file": file},
        ]
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "large.log"
    path.write_bytes(b"a line\n" * 1000)
    return path


def _leave(path: Path) -> None:
    pass


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _rotate(path: Path) -> None:
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"another\n" * 10_000)


def _truncate(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("change", [_leave, _append])
def test_a_file_that_has_only_grown_is_sent_as_it_was(path: Path, change: Callable[[Path], None]) -> None:
    """Beside what the record itself holds, in order."""
    event = event_of(path)
    change(path)
    complete = with_attached_files(event)
    contents: list[tuple[str, Any]] = [(one["name"], one["content"]) for one in complete["attachments"]]
    assert contents == [("small", "eA=="), ("large.log", b"a line\n" * 1000)]
    assert add_left_out_note({}, complete) == {}


@pytest.mark.parametrize("change", [_rotate, _truncate, Path.unlink])
def test_replaced_file_is_named_as_missing(path: Path, change: Callable[[Path], None]) -> None:
    """Nothing that was written later is sent in its place; the record is left as it is."""
    event = event_of(path)
    change(path)
    complete = with_attached_files(event)
    assert [one["content"] for one in complete["attachments"]] == ["eA==", None]
    assert add_left_out_note({}, complete) == {LEFT_OUT: ["large.log (7000 bytes): changed or gone before it was sent"]}
    assert add_left_out_note({}, event) == {}


def test_an_event_without_such_files_is_left_alone() -> None:
    """It is the very same."""
    event = exception_event()
    assert with_attached_files(event) is event
