"""Reading segments: every whole line, nothing twice, nothing hidden."""

from __future__ import annotations

from pathlib import Path

import pytest

from lastword.spool.reader import Line, list_segments, read_lines, read_record
from lastword.spool.record import MAX_RECORD, Damage, Record, encode_event, frame


def record(seq: int, size: int = 10) -> bytes:
    return frame(encode_event(f"{seq:032x}", None, {"text": "x" * size}), seq)


def seqs(lines: list[Line]) -> list[object]:
    return [line.found.seq if isinstance(line.found, Record) else line.found.reason for line in lines]


@pytest.mark.parametrize("size", [10, 5_000, 300_000, 900_000])
def test_lines_of_any_length_in_order(tmp_path: Path, size: int) -> None:
    """Records longer than the read buffer are read like short ones, from any record's start on."""
    path = tmp_path / "000001.seg"
    path.write_bytes(b"".join(record(seq, size) for seq in range(1, 6)))
    lines = list(read_lines(str(path), 0, finished=False))
    assert seqs(lines) == [1, 2, 3, 4, 5]
    assert seqs(list(read_lines(str(path), lines[2].start, finished=False))) == [3, 4, 5]
    assert [line.end for line in lines[:-1]] == [line.start for line in lines[1:]]
    assert read_record(str(path), lines[3].start, lines[3].end) == lines[3].found


def test_an_unfinished_line_waits_for_its_end(tmp_path: Path) -> None:
    """What has no newline yet is read when it has, or is torn when nobody will write it."""
    path = tmp_path / "000001.seg"
    path.write_bytes(record(1) + record(2)[:-7])
    lines = list(read_lines(str(path), 0, finished=False))
    assert seqs(lines) == [1]
    assert seqs(list(read_lines(str(path), lines[0].end, finished=True))) == ["torn"]
    with path.open("ab") as segment:
        segment.write(record(2)[-7:])
    assert seqs(list(read_lines(str(path), lines[0].end, finished=False))) == [2]


def test_damage_hides_nothing_behind_it(tmp_path: Path) -> None:
    """A damaged line costs itself; a newline that a writer put before its record costs nothing."""
    path = tmp_path / "000001.seg"
    path.write_bytes(record(1) + record(2)[:-9] + b"\n" + record(2) + b"\n\n" + b"garbage\n" + record(3))
    assert seqs(list(read_lines(str(path), 0, finished=False))) == [1, "checksum does not match", 2, "not a record", 3]


def test_a_foreign_file_of_any_size(tmp_path: Path) -> None:
    """Megabytes without a newline are damage, in pieces, and what follows is still found."""
    path = tmp_path / "000001.seg"
    path.write_bytes(bytes(5 * MAX_RECORD) + b"\n" + record(1))
    lines = list(read_lines(str(path), 0, finished=True))
    assert isinstance(lines[-1].found, Record)
    assert all(isinstance(line.found, Damage) for line in lines[:-1])
    assert max(line.end - line.start for line in lines) <= 2 * MAX_RECORD


def test_missing_and_unreadable_segments(tmp_path: Path) -> None:
    """No file, a directory in its place, a symbolic link: nothing is read, nothing is raised."""
    (tmp_path / "000002.seg").mkdir()
    (tmp_path / "target").write_bytes(record(1))
    (tmp_path / "000003.seg").symlink_to(tmp_path / "target")
    for name in ("000001.seg", "000003.seg"):
        assert list(read_lines(str(tmp_path / name), 0, finished=True)) == []
    assert list(read_lines(str(tmp_path / "000002.seg"), 0, finished=True)) == []


def test_listing_knows_its_own(tmp_path: Path) -> None:
    """Numbered segments in the order of their numbers, x- segments, and nothing else."""
    for name in ("000010.seg", "000002.seg", "1000000.seg", "x-b.seg", "x-a.seg", "who.json", "x-c.aside", "a.seg"):
        (tmp_path / name).touch()
    found = list_segments(str(tmp_path))
    assert found.numbered == (2, 10, 1_000_000)
    assert found.extras == ("x-a.seg", "x-b.seg")
    assert list_segments(str(tmp_path / "gone")).numbered == ()
