"""Sync a writer's segments to the physical disk, if they have grown since the last sync."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

from lastword.descriptors import KeptDescriptor
from lastword.interruption import suppressed
from lastword.spool import inside
from lastword.spool.layout import open_private, segment_name
from lastword.spool.reader import Segments, size_of


class Syncer:
    """Remembers which data of one writer is already synced."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._sizes: dict[str, int] = {}
        self._number = 0
        self._mtime = -1

    def sync(self, segments: Segments, mtime: int) -> None:
        """Sync the data written since the last call; errors are ignored.

        ``mtime`` is the modification time of the directory when ``segments`` were listed.
        """
        names = [segment_name(number) for number in segments.numbered if number >= self._number]
        names += [name for name in segments.extras if name not in self._sizes]
        for name in names:
            path = os.path.join(self._directory, name)
            size = size_of(path)
            if size is not None and self._sizes.get(name) != size:
                _fsync(functools.partial(open_private, path, os.O_RDONLY))
                self._sizes[name] = size
        if names and self._mtime != mtime:
            _fsync(functools.partial(inside.open_directory, self._directory))
            self._mtime = mtime
        present = {*map(segment_name, segments.numbered[-1:]), *segments.extras}
        self._sizes = {name: size for name, size in self._sizes.items() if name in present}
        self._number = max(segments.numbered, default=1)


def _fsync(opened: Callable[[], int]) -> None:
    with suppressed(OSError):
        kept = KeptDescriptor(opened())  # because a disk may be slow
        try:
            os.fsync(kept.number)
        finally:
            kept.close()
