"""Reading segments: every line from a given place on, whole lines only, whatever they hold."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional, Union

from lastword.errors import RecordRefused
from lastword.spool.layout import is_extra_segment, open_private, segment_number
from lastword.spool.record import MAX_RECORD, Damage, Record, parse

_CHUNK = 256 << 10


@dataclass(frozen=True)
class Line:
    """One line of a segment, at bytes ``start`` to ``end`` (its newline included)."""

    start: int
    end: int
    found: Union[Record, Damage]


@dataclass(frozen=True)
class Segments:
    """The segments in a writer's directory: the numbered ones in order, and the x- ones by name."""

    numbered: tuple[int, ...] = ()
    extras: tuple[str, ...] = ()


def list_segments(directory: str) -> Segments:
    """What is there now; nothing when the directory is gone."""
    try:
        names = os.listdir(directory)
    except OSError:
        return Segments()
    numbers = sorted(number for number in map(segment_number, names) if number is not None)
    return Segments(tuple(numbers), tuple(sorted(filter(is_extra_segment, names))))


def read_lines(path: str, offset: int, *, finished: bool) -> Iterator[Line]:
    """Every line of the segment at ``path`` from ``offset`` on, empty lines left out.

    What follows the last newline is left for later, or, where the segment is ``finished`` (its writer sealed it or is
    dead), yielded as damage with the reason ``torn``. A missing or unreadable file yields nothing.
    """
    try:
        descriptor = open_private(path, os.O_RDONLY)
    except OSError:
        return
    try:
        yield from read_lines_of(descriptor, offset, finished=finished)
    finally:
        os.close(descriptor)


def read_lines_of(descriptor: int, offset: int, *, finished: bool) -> Iterator[Line]:
    """The same for an open descriptor."""
    buffer = b""
    while True:
        try:
            chunk = os.pread(descriptor, _CHUNK, offset + len(buffer))
        except OSError:  # a directory in its place, or a disk that does not answer
            return
        searched, buffer = len(buffer), buffer + chunk
        start = 0
        newline = buffer.find(b"\n", searched)
        while newline >= 0:
            if newline > start:
                yield Line(offset + start, offset + newline + 1, parse(buffer[start:newline]))
            start = newline + 1
            newline = buffer.find(b"\n", start)
        offset, buffer = offset + start, buffer[start:]
        if len(buffer) > MAX_RECORD:  # no line of ours: go on behind it, in pieces that fit into memory
            yield Line(offset, offset + len(buffer), Damage("longer than a record can be"))
            offset, buffer = offset + len(buffer), b""
        if not chunk:
            if buffer and finished:
                yield Line(offset, offset + len(buffer), Damage("torn"))
            return


def read_record(path: str, start: int, end: int) -> Record:
    """The record at these bytes, read anew; raises OSError, or RecordRefused when it is no longer one."""
    descriptor = open_private(path, os.O_RDONLY)
    try:
        found = parse(os.pread(descriptor, end - start, start).rstrip(b"\n"))
    finally:
        os.close(descriptor)
    if isinstance(found, Damage):
        raise RecordRefused("damaged", found.reason)
    return found


def size_of(path: str) -> Optional[int]:
    """The size of a segment in bytes; None when it is not there."""
    try:
        return os.stat(path).st_size
    except OSError:
        return None
