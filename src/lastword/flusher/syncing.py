"""Bringing a writer's segments onto the disk itself, as far as they have grown since the last time."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

from lastword.interruption import failures
from lastword.spool import inside
from lastword.spool.layout import open_private, segment_name
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
                _fsync(functools.partial(open_private, path, os.O_RDONLY))
                self._sizes[name] = size
        if names and self._mtime != mtime:
            _fsync(functools.partial(inside.open_directory, self._directory))
            self._mtime = mtime
        present = {*map(segment_name, segments.numbered[-1:]), *segments.extras}
        self._sizes = {name: size for name, size in self._sizes.items() if name in present}
        self._number = max(segments.numbered, default=1)


def _fsync(opened: Callable[[], int]) -> None:
    try:
        descriptor = opened()
        kept = KeptDescriptor(descriptor)  # for a disk may take its time
    except failures(OSError):
        return
    try:
        os.fsync(descriptor)
    except failures(OSError):
        pass
    finally:
        kept.close()
