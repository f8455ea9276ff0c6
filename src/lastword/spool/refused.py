"""Refusals of processes that have no writer, because no spool can be used or nothing was recorded yet.

Specification: ``refused/<reason>`` has one byte for each refusal, and ``refused/<reason>.moved`` one for each that was
counted elsewhere since, by the writer that its process later made; the difference of their sizes is the count. Bytes
are appended without a lock, because locks may not be available, and take a thousandth of the room of the events.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable
from typing import Optional

from lastword.descriptors import closing
from lastword.errors import SpoolError
from lastword.interruption import failures, suppressed
from lastword.spool import inside
from lastword.spool.layout import Layout, open_private, write_all
from lastword.spool.places import Place

_MOVED = ".moved"

#: The form of our reasons. At most ``_MOST`` files count; fewer than forty are ours.
_NAME = re.compile(r"[a-z_ ]{1,40}(?:\.moved)?")
_MOST = 200


def count(places: Iterable[Place], reason: str, number: int) -> Optional[str]:
    """Count ``number`` refusals under ``reason`` in the first of ``places`` that can be written to. Return the
    directory that they are counted in, or None if no place can be written to.
    """
    for place in places:
        try:
            layout = Layout(place.path)
            layout.prepare(is_default=place.is_default, inner=(layout.refused,))
            _append(layout.refused, reason, number)
        except failures(OSError, SpoolError):
            continue
        return layout.refused
    return None


def move_away(directory: str, reason: str, number: int) -> bool:
    """Note that ``number`` refusals counted in ``directory`` are counted elsewhere; return False if that fails."""
    try:
        _append(directory, reason + _MOVED, number)
    except failures(OSError):
        return False
    return True


def counted(layout: Layout) -> Counter[str]:
    """Return the number of refusals counted in this spool, by reason."""
    sizes = {name: found.st_size for name, found in _files(layout)}
    counts = {name: size - sizes.get(name + _MOVED, 0) for name, size in sizes.items() if not name.endswith(_MOVED)}
    return Counter({reason: number for reason, number in counts.items() if number > 0})


def last(layout: Layout, reason: str) -> float:
    """Return the time of the last refusal under ``reason`` (Unix seconds); 0 if there was none."""
    return max((found.st_mtime for name, found in _files(layout) if name == reason), default=0.0)


def _append(directory: str, name: str, number: int) -> None:
    with closing(open_private(os.path.join(directory, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND)) as descriptor:
        write_all(descriptor, b"." * number)


def _files(layout: Layout) -> list[tuple[str, os.stat_result]]:
    found = []
    with suppressed(OSError):
        for reason in sorted(filter(_NAME.fullmatch, inside.listdir(layout.refused)))[:_MOST]:
            with suppressed(OSError):
                found.append((reason, inside.lstat(os.path.join(layout.refused, reason))))
    return [(reason, each) for reason, each in found if stat.S_ISREG(each.st_mode) and each.st_size]
