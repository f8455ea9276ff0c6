"""Reading segments: every record that is whole, from a given place on, and the damage in between, whatever it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple, Optional, Union

from lastword.interruption import failures
from lastword.spool import inside
from lastword.spool.layout import SEGMENT_SUFFIX, is_extra_segment, open_private, segment_number
from lastword.spool.record import MAX_RECORD, NO_RECORD, Damage, Parser, Record, next_head, parse, parse_head, pieces

#: A segment has at most 1 MiB. Bytes may have come in between; what lies beyond this place is not looked at.
MOST_READ = 8 << 20

TORN = "torn"
TOO_LONG = "longer than a record can be"

_CHUNK = 256 << 10


class Line(NamedTuple):
    """A line of a segment, or a record or damage within one: bytes ``start`` to ``end``, a newline included."""

    start: int
    end: int
    found: Union[Record, Damage]


class Segments(NamedTuple):
    """The segments in a writer's directory: the numbered ones in order, and the x- ones by name."""

    numbered: tuple[int, ...] = ()
    extras: tuple[str, ...] = ()


def list_segments(directory: str) -> Segments:
    """What is there now; nothing when the directory is gone. Other things by such names (directories, links) are not
    segments. Raises OSError when the directory cannot be read.
    """
    try:
        with inside.entries(directory) as entries:
            names = [
                entry.name
                for entry in entries
                if entry.name.endswith(SEGMENT_SUFFIX) and entry.is_file(follow_symlinks=False)
            ]
    except FileNotFoundError:
        return Segments()
    numbers = sorted(number for number in map(segment_number, names) if number is not None)
    return Segments(tuple(numbers), tuple(sorted(filter(is_extra_segment, names))))


def read_lines(path: str, offset: int, *, finished: bool, parse: Parser = parse_head) -> Iterator[Line]:
    """Every line of the segment at ``path`` from ``offset`` on, empty lines left out. Damage that lies together is one,
    whatever it consists of.

    What follows the last newline is left for later, or, where the segment is ``finished`` (its writer sealed it or is
    dead), yielded too: the record that it is, or damage with the reason ``torn``. A missing file yields nothing; raises
    OSError where there is something that cannot be read. ``parse`` is ``record.parse`` for those who want the content.
    """
    try:
        descriptor = open_private(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        yield from read_lines_of(descriptor, offset, finished=finished, parse=parse)
    finally:
        os.close(descriptor)


def read_lines_of(descriptor: int, offset: int, *, finished: bool, parse: Parser = parse_head) -> Iterator[Line]:
    """The same for an open descriptor."""
    run: Optional[Line] = None  # damage to which what comes next may belong
    for line in _read_pieces(descriptor, offset, finished, parse):
        if isinstance(line.found, Damage) and line.found.reason != TORN:
            run = line if run is None else run._replace(end=line.end)
            continue
        if run is not None:
            yield run
            run = None
        yield line
    if run is not None:
        yield run


def _read_pieces(descriptor: int, offset: int, finished: bool, parse: Parser) -> Iterator[Line]:
    """The same with damage in pieces, as they are read."""
    buffer = b""  # the line that begins at ``offset``, as far as it is read
    broken_from: Optional[int] = None  # where that line really begins, if it is longer than a record can be
    while True:
        place = offset + len(buffer)
        chunk = os.pread(descriptor, max(min(_CHUNK, MOST_READ - place), 0), place)
        searched, buffer = len(buffer), buffer + chunk
        start, complete = 0, buffer.rfind(b"\n", searched) + 1
        while start < complete:
            skipped = _without_a_head(buffer, start, complete)
            if skipped > start:  # many lines, or one
                yield from _damage(buffer[start:skipped], offset + start, broken_from)
                end = skipped
            else:
                end = buffer.index(b"\n", start) + 1
                yield from _lines_in(buffer[start : end - 1], offset + start, broken_from, parse, ended=True)
            broken_from, start = None, end
        offset, buffer = offset + start, buffer[start:]
        surplus = len(buffer) - MAX_RECORD
        if surplus > 0:  # no record that begins in there can be whole
            broken_from = offset if broken_from is None else broken_from
            offset, buffer = offset + surplus, buffer[surplus:]
        if not chunk:
            break
    size = os.fstat(descriptor).st_size
    unread_from = offset if broken_from is None else broken_from
    if size > max(MOST_READ, unread_from):
        yield Line(unread_from, size, Damage("longer than a segment can be"))
    elif finished:
        yield from _lines_in(buffer, offset, broken_from, parse, ended=False)
    elif unread_from < offset:
        yield Line(unread_from, offset, Damage(TOO_LONG))


def _without_a_head(buffer: bytes, start: int, end: int) -> int:
    """Where the first line in ``buffer[start:end]`` begins in which a record may be; all are whole lines."""
    head = next_head(buffer, start, end)
    return end if head is None else buffer.rfind(b"\n", start, head) + 1 or start


def _damage(lines: bytes, offset: int, broken_from: Optional[int]) -> Iterator[Line]:
    """What whole lines at ``offset`` are that no record is in: nothing, where all are empty."""
    content = lines.strip(b"\n")
    if content or broken_from is not None:
        start = offset + len(lines) - len(lines.lstrip(b"\n"))
        end = offset + len(lines.rstrip(b"\n")) + 1
        if broken_from is None:
            yield Line(start, end, Damage(NO_RECORD))
        else:
            yield Line(broken_from, max(end, offset + 1), Damage(TOO_LONG))


def _lines_in(text: bytes, offset: int, broken_from: Optional[int], parse: Parser, *, ended: bool) -> Iterator[Line]:
    """What is in the bytes ``text`` at ``offset``, which a newline follows if they are ``ended``.

    ``broken_from``, where it is not None, is where the damage in front of ``text`` begins.
    """
    for start, end, found in pieces(text, parse):
        first, last = start == 0, end == len(text)
        if isinstance(found, Damage):
            if first and broken_from is not None:
                yield Line(broken_from, offset + end + (last and ended), Damage(TOO_LONG))
                continue
            if last and not ended:
                found = Damage(TORN)
        elif first and broken_from is not None:
            yield Line(broken_from, offset, Damage(TOO_LONG))
        yield Line(offset + start, offset + end + (last and ended), found)


def read_bytes(path: str, start: int, end: int) -> bytes:
    """These bytes of a segment, at most as many as a record can have; raises OSError."""
    descriptor = open_private(path, os.O_RDONLY)
    try:
        return os.pread(descriptor, min(end - start, MAX_RECORD), start)
    finally:
        os.close(descriptor)


def read_record(path: str, start: int, end: int) -> Union[Record, Damage]:
    """The record at these bytes, read anew and in full; raises OSError."""
    return parse(read_bytes(path, start, end).rstrip(b"\n"))


def size_of(path: str) -> Optional[int]:
    """The size of a segment in bytes; None when it is not there."""
    try:
        return inside.lstat(path).st_size
    except failures(OSError):
        return None


def occupied(found: os.stat_result) -> int:
    """The bytes that a segment counts for: of a sparse file, which is none of ours, those that it takes up, for nothing
    is to go for its sake.
    """
    return found.st_size if found.st_size <= MOST_READ else found.st_blocks * 512
