"""Bringing a writer's segments onto the disk itself, as far as they have grown since the last time."""

from __future__ import annotations

import os

from lastword.interruption import failures
from lastword.spool.ground import beside_standard_streams
from lastword.spool.layout import segment_name
from lastword.spool.lock import KeptDescriptor
from lastword.spool.reader import Segments, size_of


class Syncer:
    """Remembers of one writer what is on the disk already."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._sizes: dict[str, int] = {}
        self._number = 0
        self._mtime = -1

    def sync(self, segments: Segments, mtime: int) -> None:
        """Ask the kernel to put there what was written since the last call; troubles are left to it.

        ``mtime`` is that of the directory when ``segments`` were listed.
        """
        names = [segment_name(number) for number in segments.numbered if number >= self._number]
        names += [name for name in segments.extras if name not in self._sizes]
        for name in names:
            path = os.path.join(self._directory, name)
            size = size_of(path)
            if size is not None and self._sizes.get(name) != size:
                _fsync(path)
                self._sizes[name] = size
        if names and self._mtime != mtime:
            _fsync(self._directory)
            self._mtime = mtime
        present = {*map(segment_name, segments.numbered[-1:]), *segments.extras}
        self._sizes = {name: size for name, size in self._sizes.items() if name in present}
        self._number = max(segments.numbered, default=1)


def _fsync(path: str) -> None:
    try:
        descriptor = beside_standard_streams(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
        kept = KeptDescriptor(descriptor)  # for a disk may take its time
    except failures(OSError):
        return
    try:
        os.fsync(descriptor)
    except failures(OSError):
        pass
    finally:
        kept.close()
