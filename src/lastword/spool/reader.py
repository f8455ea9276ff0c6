"""Reading segments: every whole record from a given place on, and any damage in between."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple, Optional, Union

from lastword.descriptors import closing
from lastword.interruption import failures
from lastword.spool import inside
from lastword.spool.layout import SEGMENT_SUFFIX, is_extra_segment, open_private, segment_name, segment_number
from lastword.spool.record import MAX_RECORD, NO_RECORD, Damage, Parser, Record, next_head, parse, parse_head, pieces

#: A segment has at most 1 MiB, but foreign bytes may have been inserted. Bytes beyond this offset are not read.
MOST_READ = 8 << 20

TORN = "torn"
TOO_LONG = "longer than a record can be"

_CHUNK = 256 << 10


class Line(NamedTuple):
    """A line of a segment, or a record or damage within a line: bytes ``start`` to ``end``, any newline included."""

    start: int
    end: int
    found: Union[Record, Damage]


class Segments(NamedTuple):
    """The segments in a writer's directory: the numbered ones in order, the x- and d- ones by name."""

    numbered: tuple[int, ...] = ()
    extras: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (*map(segment_name, self.numbered), *self.extras)


def list_segments(directory: str) -> Segments:
    """Return the segments that exist now; none if the directory is gone.

    Directories and links with the name of a segment are ignored. Raises OSError if the directory cannot be read.
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
    """Yield every line of the segment at ``path`` from ``offset`` on, except empty lines; adjacent damage is one line.

    Bytes after the last newline are left for later or, if the segment is ``finished`` (its writer sealed it or is
    dead), yielded too: as a record, or as damage with the reason ``torn``. A missing file yields nothing. Raises
    OSError if an existing file cannot be read. ``parse`` is ``record.parse`` for callers that want the content.
    """
    try:
        descriptor = open_private(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    with closing(descriptor):
        yield from read_lines_of(descriptor, offset, finished=finished, parse=parse)


def read_lines_of(descriptor: int, offset: int, *, finished: bool, parse: Parser = parse_head) -> Iterator[Line]:
    """Yield the lines as ``read_lines`` does, from an open descriptor."""
    run: Optional[Line] = None  # damage that the next line may continue
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
    """Yield the lines as they are read, with adjacent damage still in pieces."""
    buffer = b""  # the line that begins at ``offset``, as far as it is read
    broken_from: Optional[int] = None  # where that line really begins, if it is longer than a record can be
    while True:
        place = offset + len(buffer)
        chunk = os.pread(descriptor, max(min(_CHUNK, MOST_READ - place), 0), place)
        searched, buffer = len(buffer), buffer + chunk
        start, complete = 0, buffer.rfind(b"\n", searched) + 1
        while start < complete:
            skipped = _without_a_head(buffer, start, complete)
            if skipped > start:  # one or more lines without a record
                yield from _damage(buffer[start:skipped], offset + start, broken_from)
                end = skipped
            else:
                end = buffer.index(b"\n", start) + 1
                yield from _lines_in(buffer[start : end - 1], offset + start, broken_from, parse, ended=True)
            broken_from, start = None, end
        offset, buffer = offset + start, buffer[start:]
        surplus = len(buffer) - MAX_RECORD
        if surplus > 0:  # a record that begins in these bytes is too long
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
    """Return where the first line that may hold a record begins in ``buffer[start:end]``, which are whole lines.

    Return ``end`` if there is none.
    """
    head = next_head(buffer, start, end)
    return end if head is None else buffer.rfind(b"\n", start, head) + 1 or start


def _damage(lines: bytes, offset: int, broken_from: Optional[int]) -> Iterator[Line]:
    """Yield whole lines at ``offset`` that hold no record, as damage; nothing if all are empty."""
    content = lines.strip(b"\n")
    if content or broken_from is not None:
        start = offset + len(lines) - len(lines.lstrip(b"\n"))
        end = offset + len(lines.rstrip(b"\n")) + 1
        if broken_from is None:
            yield Line(start, end, Damage(NO_RECORD))
        else:
            yield Line(broken_from, max(end, offset + 1), Damage(TOO_LONG))


def _lines_in(text: bytes, offset: int, broken_from: Optional[int], parse: Parser, *, ended: bool) -> Iterator[Line]:
    """Yield the records and damage in the bytes ``text`` at ``offset``; a newline follows them if ``ended``.

    ``broken_from``, if not None, is where the damage in front of ``text`` begins.
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
    """Return these bytes of a segment, at most as many as a record can have. Raises OSError."""
    with closing(open_private(path, os.O_RDONLY)) as descriptor:
        return os.pread(descriptor, min(end - start, MAX_RECORD), start)


def read_record(path: str, start: int, end: int) -> Union[Record, Damage]:
    """Read the record at these bytes again, in full. Raises OSError."""
    return parse(read_bytes(path, start, end).rstrip(b"\n"))


def size_of(path: str) -> Optional[int]:
    """Return the size of a segment in bytes; None if it does not exist."""
    try:
        return inside.lstat(path).st_size
    except failures(OSError):
        return None


def occupied(found: os.stat_result) -> int:
    """Return the bytes that a segment counts for.

    For a sparse file, which lastword never writes, these are the bytes it takes up on disk, so that nothing is removed
    because of its size.
    """
    return found.st_size if found.st_size <= MOST_READ else found.st_blocks * 512
