"""The promise: wider source is shown only of files that are what they were when the event was captured."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lastword.event import Event
from lastword.flusher.files_of_reports import with_source_of_files
from lastword.wire.backtrace_prepared import LITTLE_SOURCE, PREPARED, prepared_of
from tests.support.events import destination, exception, exception_event, frame
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.BACKTRACEPYTHON,
    "Source and large files are sent as they were at the capture",
    broken_by="time and size, or device and inode, not compared",
)

UNSCRUBBED = destination("backtrace+http://127.0.0.1:1?token=TOKEN").with_options(scrub="off")

LINES = [f"line {number}" for number in range(1, 101)]


def event_of(path: Path, *lines: int, **changes: Any) -> Event:
    found = path.stat()
    frames = [
        frame("work", line=line, path=str(path), file=str(path), first_source_line=line, source=[f"line {line}"])
        for line in lines
    ]
    event: Any = exception_event(exceptions=[exception("ValueError", "x", frames)])
    event["sources"] = {str(path): [found.st_mtime_ns, found.st_size]}
    told = {"source_wanted": True, "lines_around": 2, "tab_width": 3, "source": {}, "annotations": {"a": 1}}
    event[PREPARED] = {**told, **changes}
    return event  # type: ignore[no-any-return]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "module.py"
    path.write_text("\n".join(LINES) + "\n")
    return path


def source_of(event: Event) -> dict[str, Any]:
    told = prepared_of(with_source_of_files(event, UNSCRUBBED))
    assert told is not None
    return told["source"]


@pytest.mark.parametrize(
    ("lines", "first", "last"), [((50,), 48, 53), ((1,), 1, 4), ((99,), 97, 101), ((10, 40), 8, 43), ((40, 10), 8, 43)]
)
def test_one_block_with_lines_above_and_below(path: Path, lines: tuple[int, ...], first: int, last: int) -> None:
    """One block from the first to the last, however many frames are between; kept within the file."""
    [block] = source_of(event_of(path, *lines)).values()
    assert block == {
        "startLine": first,
        "startColumn": 1,
        "path": str(path),
        "tabWidth": 3,
        "text": "\n".join([*LINES, ""][first - 1 : last]),
    }


def test_no_file_is_read_for_an_event_not_prepared_by_a_drop_in(path: Path) -> None:
    """The event is returned unchanged."""
    event: Any = event_of(path, 5)
    del event[PREPARED]
    assert with_source_of_files(event, UNSCRUBBED) is event


def test_a_program_may_want_no_source(path: Path) -> None:
    """Then none is read."""
    assert source_of(event_of(path, 5, source_wanted=False)) == {}


def _write(path: Path) -> None:
    path.write_text("other\n" * 100)


def _touch(path: Path) -> None:
    os.utime(path, ns=(1, 1))


def _replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("change", [_write, _touch, Path.unlink, _replace_by_pipe])
def test_a_file_that_changed_is_not_shown(path: Path, change: Any) -> None:
    """The few lines stay that capture took, and an annotation names the file."""
    event = event_of(path, 50)
    change(path)
    told = prepared_of(with_source_of_files(event, UNSCRUBBED))
    assert told is not None
    assert told["source"] == {}
    assert told["annotations"] == {"a": 1, LITTLE_SOURCE: [str(path)]}


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"# coding: no-such-codec\n", b"\x00"])
def test_a_file_that_is_no_text_costs_nothing(tmp_path: Path, content: bytes) -> None:
    """Neither the event nor the flusher."""
    path = tmp_path / "odd.py"
    path.write_bytes(content)
    source_of(event_of(path, 1))


def test_source_is_scrubbed_by_the_destinations_rules(tmp_path: Path) -> None:
    """As at the capture."""
    path = tmp_path / "secret.py"
    path.write_text('password = "hunter2"\n' * 3)
    event = event_of(path, 2)
    for where, shown in ((UNSCRUBBED, True), (UNSCRUBBED.with_options(scrub="all"), False)):
        told = prepared_of(with_source_of_files(event, where))
        assert told is not None
        assert ("hunter2" in told["source"][str(path)]["text"]) == shown
