"""The black box: a process's state besides its records, readable after any death.

Specification (format v1)
-------------------------
64 KiB, preallocated, changed by ``pwrite`` only (an mmap of a full disk's file kills its process by SIGBUS).

* bytes 0–4095 and 4096–8191: two copies of the writer's state, written in turn; the valid copy with the higher
  generation counts. A copy is one line, ``<crc> {"generation":…,"sealed_upto":…,"refused":{reason:count}}\\n``, the
  rest is zeros; ``crc`` is 8 hex digits, the CRC-32 of the bytes between the blank and the newline.
* bytes 8192–65535: reserved for activities and breadcrumbs.

``sealed_upto`` is the number of the last segment that will never be written again. ``refused`` counts, by reason, the
events that this process captured and did not record.
"""

from __future__ import annotations

import json
import os
import zlib
from typing import Optional

from lastword import checked
from lastword.descriptors import closing
from lastword.interruption import failures, suppressed
from lastword.spool.layout import BLACKBOX, open_private, segment_name, write_all
from lastword.spool.outcomes import read_counts
from lastword.spool.reader import size_of

SIZE = 64 << 10
_COPY = 4096


class WriterState:
    """The state of one writer, as kept by it or as read back."""

    def __init__(self, generation: int = 0, sealed_upto: int = 0, refused: Optional[dict[str, int]] = None) -> None:
        self.generation = generation
        self.sealed_upto = sealed_upto
        self.refused = refused or {}


def create(path: str) -> None:
    """Make an empty black box. Raises OSError."""
    with closing(open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)) as descriptor:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, SIZE)
        else:
            write_all(descriptor, bytes(SIZE))


def store(descriptor: int, state: WriterState) -> None:
    """Write the next generation of ``state`` over the older copy, in the file of ``descriptor``. Raises OSError."""
    text = json.dumps(
        {"generation": state.generation + 1, "sealed_upto": state.sealed_upto, "refused": state.refused}
    ).encode("ascii")
    copy = b"%08x %b\n" % (zlib.crc32(text), text)
    os.pwrite(descriptor, copy.ljust(_COPY, b"\0")[:_COPY], _COPY * ((state.generation + 1) % 2))
    state.generation += 1


def load(path: str) -> WriterState:
    """Return the state of the writer whose black box this is; an empty one if there is none. Never raises."""
    return read(path) or WriterState()


def read(path: str) -> Optional[WriterState]:
    """Return the state, or None if the black box is unreadable or damaged. If nothing was stored yet, the state is
    empty.
    """
    newest, content = WriterState(), b""
    with suppressed(OSError), closing(open_private(path, os.O_RDONLY)) as descriptor:  # use what could be read
        for offset in (0, _COPY):
            content += os.pread(descriptor, _COPY, offset)
            newest = max(newest, _parse(content[offset:]), key=lambda state: state.generation)
    return newest if newest.generation or content == bytes(2 * _COPY) else None


def finished_upto(directory: str, numbers: tuple[int, ...], *, dead: bool) -> int:
    """Return the highest of a writer's segment ``numbers`` that will not be written to again; 0 if there is none."""
    if dead or not numbers:
        return numbers[-1] if numbers else 0
    if len(numbers) == 1:
        return 0
    sealed_upto = load(os.path.join(directory, BLACKBOX)).sealed_upto
    # The black box may be damaged. A later segment is written to only once those before it are finished.
    paths = ((number, os.path.join(directory, segment_name(number))) for number in reversed(numbers))
    written_to = next((number for number, path in paths if size_of(path)), 0)
    return min(max(sealed_upto, written_to - 1), numbers[-1] - 1)


def _parse(copy: bytes) -> WriterState:
    line, newline, _ = copy.partition(b"\n")
    crc, blank, text = line.partition(b" ")
    if not (newline and blank) or crc != b"%08x" % zlib.crc32(text):
        return WriterState()
    try:
        data = checked.mapping(checked.json_value(text))
        refused = dict(+read_counts(data.get("refused")))
        return WriterState(checked.integer(data.get("generation")), checked.integer(data.get("sealed_upto")), refused)
    except failures(ValueError, RecursionError):
        return WriterState()
