"""Reading segments: every whole line, nothing twice, nothing hidden."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Union

import pytest

from lastword.spool.reader import Line, list_segments, read_lines, read_record
from lastword.spool.record import MAX_RECORD, Damage, Record, encode_event, frame, parse_head
from tests.support.promise import Section, promise
from tests.support.spools import directory_of_a_writer


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """That of a writer."""
    return directory_of_a_writer(tmp_path)


def record(seq: int, size: int = 10) -> bytes:
    return frame(encode_event(f"{seq:032x}", None, {"text": "x" * size}), seq)


def seqs(lines: list[Line]) -> list[object]:
    return [line.found.seq if isinstance(line.found, Record) else line.found.reason for line in lines]


@pytest.mark.parametrize("size", [10, 5_000, 300_000, 900_000])
def test_lines_of_any_length_in_order(directory: Path, size: int) -> None:
    """Records longer than the read buffer are read like short ones, from any record's start on."""
    path = directory / "000001.seg"
    path.write_bytes(b"".join(record(seq, size) for seq in range(1, 6)))
    lines = list(read_lines(str(path), 0, finished=False))
    assert seqs(lines) == [1, 2, 3, 4, 5]
    assert seqs(list(read_lines(str(path), lines[2].start, finished=False))) == [3, 4, 5]
    assert [line.end for line in lines[:-1]] == [line.start for line in lines[1:]]
    assert read_record(str(path), lines[3].start, lines[3].end) == lines[3].found


def test_an_unfinished_line_waits_for_its_end(directory: Path) -> None:
    """It is read once it has its newline, or is torn when its writer is dead."""
    path = directory / "000001.seg"
    path.write_bytes(record(1) + record(2)[:-7])
    lines = list(read_lines(str(path), 0, finished=False))
    assert seqs(lines) == [1]
    assert seqs(list(read_lines(str(path), lines[0].end, finished=True))) == ["torn"]
    with path.open("ab") as segment:
        segment.write(record(2)[-7:])
    assert seqs(list(read_lines(str(path), lines[0].end, finished=False))) == [2]


def test_damage_hides_nothing_behind_it(directory: Path) -> None:
    """A damaged line costs itself; a newline that a writer put before its record costs nothing."""
    path = directory / "000001.seg"
    path.write_bytes(record(1) + record(2)[:-9] + b"\n" + record(2) + b"\n\n" + b"garbage\n" + record(3))
    assert seqs(list(read_lines(str(path), 0, finished=False))) == [1, "checksum does not match", 2, "not a record", 3]


def test_endless_line_is_one_damage(directory: Path) -> None:
    """Megabytes without a newline are damage, once, and what follows or is whole within is still found."""
    path = directory / "000001.seg"
    path.write_bytes(bytes(5 * MAX_RECORD) + b"\n" + record(1) + bytes(2 * MAX_RECORD) + record(2))
    first, one, second, two = read_lines(str(path), 0, finished=True)
    assert (first.start, first.end, one.start) == (0, 5 * MAX_RECORD + 1, first.end)
    assert (second.start, second.end, two.start) == (one.end, one.end + 2 * MAX_RECORD, second.end)
    assert isinstance(first.found, Damage) and isinstance(second.found, Damage)
    assert seqs([one, two]) == [1, 2]


@promise(Section.DAMAGE, "Nothing beyond the size limit of a segment is read", broken_by="no limit")
@pytest.mark.parametrize("finished", [True, False])
def test_data_beyond_the_segment_size_is_not_read(directory: Path, finished: bool) -> None:
    """A sparse file of a terabyte costs no more than one of some megabytes, and is one damage with what it held."""
    path = directory / "000001.seg"
    path.write_bytes(record(1) + record(2))
    size = path.stat().st_size
    os.truncate(path, 1 << 40)
    lines = list(read_lines(str(path), 0, finished=finished))
    assert seqs(lines) == [1, 2, "longer than a segment can be"]
    assert (lines[-1].start, lines[-1].end) == (size, 1 << 40)
    assert list(read_lines(str(path), 1 << 40, finished=finished)) == []


def test_a_record_that_lacks_only_its_newline(directory: Path) -> None:
    """At the end of a finished segment a whole record counts, with its newline or without."""
    path = directory / "000001.seg"
    path.write_bytes(record(1) + record(2)[:-1])
    assert seqs(list(read_lines(str(path), 0, finished=False))) == [1]
    lines = list(read_lines(str(path), 0, finished=True))
    assert seqs(lines) == [1, 2]
    assert read_record(str(path), lines[1].start, lines[1].end) == lines[1].found


def test_missing_and_foreign_segments(directory: Path) -> None:
    """A missing file gives nothing; a foreign one is reported as unreadable, without waiting."""
    (directory / "000002.seg").mkdir()
    (directory / "target").write_bytes(record(1))
    (directory / "000003.seg").symlink_to(directory / "target")
    os.mkfifo(directory / "000004.seg")
    assert list(read_lines(str(directory / "000001.seg"), 0, finished=True)) == []
    for name in ("000002.seg", "000003.seg", "000004.seg"):
        with pytest.raises(OSError):
            list(read_lines(str(directory / name), 0, finished=True))
    assert list_segments(str(directory)).numbered == ()


def test_only_segments_are_listed(directory: Path) -> None:
    """Numbered segments in the order of their numbers, x- segments, and nothing else."""
    for name in ("000010.seg", "000002.seg", "1000000.seg", "x-b.seg", "x-a.seg", "who.json", "x-c.aside", "a.seg"):
        (directory / name).touch()
    found = list_segments(str(directory))
    assert found.numbered == (2, 10, 1_000_000)
    assert found.extras == ("x-a.seg", "x-b.seg")
    assert list_segments(str(directory.parent / ("0" * 32))).numbered == ()


RECORDS = [record(seq, size) for seq, size in ((1, 0), (2, 30), (3, 0))]
BOUNDS = [sum(map(len, RECORDS[:count])) for count in range(len(RECORDS) + 1)]
SEGMENT = b"".join(RECORDS)


def delivered_from(directory: Path, content: bytes) -> list[int]:
    """Read a finished segment with this content; every byte of it is in a line, or is a newline between two."""
    path = directory / "000001.seg"
    path.write_bytes(content)
    lines = list(read_lines(str(path), 0, finished=True))
    end = 0
    for line in lines:
        assert end <= line.start < line.end <= len(content)
        assert content[end : line.start].strip(b"\n") == b""
        end = line.end
    assert content[end:].strip(b"\n") == b""
    return [line.found.seq for line in lines if isinstance(line.found, Record) and line.found.seq]


def untouched(first: int, last: int) -> list[int]:
    """The numbers of the records that have none of the bytes ``first`` to ``last`` (exclusive)."""
    return [seq for seq in (1, 2, 3) if BOUNDS[seq] <= first or last <= BOUNDS[seq - 1]]


@promise(Section.DAMAGE, "A flipped bit costs only its own record", broken_by="checksum not compared")
@pytest.mark.parametrize("bit", range(8))
def test_flipped_bit_costs_only_its_record(directory: Path, bit: int) -> None:
    """Whichever bit of a segment is turned, all records but the one that it belongs to are read, once, in order."""
    for place in range(len(SEGMENT)):
        content = bytearray(SEGMENT)
        content[place] ^= 1 << bit
        assert delivered_from(directory, bytes(content)) == untouched(place, place + 1), place


@pytest.mark.parametrize("inserted", [b"\n", b"x", b"\0", b'"', b'{"c":"', b"\n\n\n", RECORDS[0][:40], b"x" * 300])
def test_inserted_bytes_cost_only_their_record(directory: Path, inserted: bytes) -> None:
    """Wherever bytes come in, all records are read but the one that they were put into, if they were."""
    for place in range(len(SEGMENT) + 1):
        inside = [seq for seq in (1, 2, 3) if BOUNDS[seq - 1] < place < BOUNDS[seq]]
        found = delivered_from(directory, SEGMENT[:place] + inserted + SEGMENT[place:])
        assert [seq for seq in found if seq not in inside] == [seq for seq in (1, 2, 3) if seq not in inside], place
        assert len(found) == len(set(found))


@pytest.mark.parametrize("length", [1, 2, 7, 150])
def test_removed_bytes_cost_only_their_records(directory: Path, length: int) -> None:
    """Wherever bytes go missing, all records are read that lost none."""
    for place in range(len(SEGMENT) - length + 1):
        whole = untouched(place, place + length)
        found = delivered_from(directory, SEGMENT[:place] + SEGMENT[place + length :])
        assert [seq for seq in found if seq in whole] == whole, place
        assert len(found) == len(set(found))


@promise(
    Section.DAMAGE, "A segment cut anywhere gives all whole records before the cut", broken_by="the torn end left out"
)
def test_records_before_a_cut_are_read(directory: Path) -> None:
    """Wherever the cut is; the last record may lack its newline."""
    for length in range(len(SEGMENT)):
        assert delivered_from(directory, SEGMENT[:length]) == [seq for seq in (1, 2, 3) if BOUNDS[seq] <= length + 1]


HEAD = b'{"c":"00000000","n":1,"to":null,"id":"%032d","kind":"event","event":{"id":"' % 0


@promise(
    Section.DAMAGE,
    "Adjacent damage counts as one and no byte of it is read twice",
    broken_by="each line its own; lines checked one by one",
)
@pytest.mark.parametrize(
    "unit",
    [
        b"x\n",
        b"{\n",
        b"\0",
        b'{"c":"',
        b'{"c":"\n',
        b'{"c":"00000000",\n',
        b'{"c":"00000000","\n',
        b"x\n\n\n",
        HEAD,
        HEAD + b"\n",
        record(7)[:60] + b"\n",
        record(7, 40_000)[:-1] + b"x\n",
        b"x" * 70_000 + b"\n",
    ],
    ids=lambda unit: repr(unit[:20]),
)
def test_adjacent_damage_is_one(directory: Path, unit: bytes) -> None:
    """Whatever megabytes of damage consist of, they are one, found without a second look at any byte of it; all that
    is whole in front of it and behind is found.
    """
    path = directory / "000001.seg"
    damage = unit * (MAX_RECORD * 5 // 4 // len(unit))
    content = record(1) + damage + b"\n" + record(2) + b"\n\n" + b"x\n" + record(3)[:-30]
    path.write_bytes(content)
    looked_at = 0

    def counting(line: bytes) -> Union[Record, Damage]:
        nonlocal looked_at
        looked_at += len(line)
        return parse_head(line)

    lines = list(read_lines(str(path), 0, finished=True, parse=counting))
    assert [line.found.seq if isinstance(line.found, Record) else None for line in lines] == [1, None, 2, None, None]
    assert lines[1].start == lines[0].end
    assert content[lines[1].start : lines[2].start].rstrip(b"\n") == content[lines[1].start : lines[1].end].rstrip(
        b"\n"
    )
    assert seqs(lines[3:]) == ["not a record", "torn"]
    assert content[lines[3].start : lines[3].end] == b"x\n"
    assert looked_at < 3 * len(content)  # a line as a whole, and then its pieces


@promise(Section.DAMAGE, "Adjacent damage counts as one and no byte of it is read twice")
def test_damage_between_records_is_counted_separately(directory: Path) -> None:
    """A record in between parts it, an empty line does not; and what came since the last look is another one."""
    path = directory / "000001.seg"
    path.write_bytes(b"a\nb\n" + record(1) + b"\n\nc\n\n\nd\n\n" + record(2) + b"e\n")
    lines = list(read_lines(str(path), 0, finished=False))
    content = path.read_bytes()
    assert [content[line.start : line.end] for line in lines if isinstance(line.found, Damage)] == [
        b"a\nb\n",
        b"c\n\n\nd\n",
        b"e\n",
    ]
    with path.open("ab") as segment:
        segment.write(b"f\n" + record(3))
    assert seqs(list(read_lines(str(path), lines[-1].end, finished=False))) == ["not a record", 3]
