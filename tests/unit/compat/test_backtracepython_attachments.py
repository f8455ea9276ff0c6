"""The promise: attached files are read when the report is made, and nothing that is no file is waited for."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from lastword.compat.backtracepython.attachments import MAX_SIZE, read_attachments
from lastword.event_json import encode_value


def read(paths: list[Any], room: int = 100_000) -> tuple[list[tuple[str, bytes]], list[str]]:
    attachments, too_large = read_attachments(paths, room)
    return [(one["name"], base64.b64decode(one["content"])) for one in attachments if not one["file"]], too_large


def test_files_come_in_order_under_their_names(tmp_path: Path) -> None:
    """Given as texts, bytes or paths; the second of a name gets a number before its extension."""
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.log").write_bytes(folder.encode())
    paths = [str(tmp_path / "a/x.log"), os.fsencode(tmp_path / "b/x.log"), tmp_path / "c/x.log"]
    assert read(paths) == ([("x.log", b"a"), ("x-2.log", b"b"), ("x-3.log", b"c")], [])


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    """A missing one, a directory, a pipe that nobody writes to, and things that are no paths."""
    os.mkfifo(tmp_path / "pipe")
    odd: list[Any] = [tmp_path / "missing", tmp_path, tmp_path / "pipe", None, 3.5, "nul\0", object()]
    assert read(odd) == ([], [])


def test_a_file_that_does_not_fit_is_left_to_the_flusher_and_the_next_one_still_fits(tmp_path: Path) -> None:
    """It is known again by its device and inode, and its size says how much of it is meant."""
    (tmp_path / "large").write_bytes(b"x" * 90_000)
    (tmp_path / "small").write_bytes(b"y")
    found = (tmp_path / "large").stat()
    [large, small], too_large = read_attachments([tmp_path / "large", tmp_path / "small"], 100_000)
    assert large == {
        "name": "large",
        "content": "",
        "file": {
            "path": str(tmp_path / "large"),
            "device": found.st_dev,
            "inode": found.st_ino,
            "size": 90_000,
        },
    }
    assert (small["name"], small["file"], too_large) == ("small", None, [])


def test_a_file_that_nobody_would_take_is_said_to_be_left_out(tmp_path: Path) -> None:
    """Without reading it."""
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(MAX_SIZE + 1)
    attachments, too_large = read([tmp_path / "huge"])
    assert attachments == []
    assert [text.partition(":")[0] for text in too_large] == ["huge"]


def test_all_together_keep_to_the_room(tmp_path: Path) -> None:
    """As they stand in the record."""
    for number in range(10):
        (tmp_path / f"{number}").write_bytes(b"x" * 20_000)
    attachments, _ = read_attachments([tmp_path / f"{number}" for number in range(10)], 100_000)
    assert len(encode_value(attachments)) <= 100_000
    assert [one["file"] is None for one in attachments] == [True] * 3 + [False] * 7
