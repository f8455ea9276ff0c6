"""Redirects: standing orders, of a user or the leader (``flusher.corrections``), that send the events held for one
destination at some moment to another one.

Specification: ``redirects/<Unix time, 20 digits>-<id>.json``, ``{"old":…,"new":…,"upto":{writer:[segment, offset]},
"extras":[name, …]}``; ``old`` and ``new`` are keys of destinations, ``old`` is null for records without one. It covers
every record that existed when it was given; places identify these without a clock: those of a writer before its
``upto``, and those in the named x- segments. Events recorded later for ``old`` go to ``old``. Redirects apply in the
order of their names, so that a redirected event can be redirected again. The process that gives a redirect writes it
(tmp + rename); the leader obeys it, and removes it when none of its writers is left.

Nothing is copied, so a redirect costs no room and no event is in two places.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection
from itertools import accumulate
from typing import NamedTuple, Optional

from lastword import checked
from lastword.errors import SpoolError
from lastword.event import new_id
from lastword.interruption import failures, suppressed
from lastword.spool import inside
from lastword.spool.layout import (
    Layout,
    deferred_from,
    may_have_changed,
    read_object,
    segment_name,
    segment_number,
    write_whole_file,
)
from lastword.spool.outcomes import read_place
from lastword.spool.reader import list_segments, size_of

#: The first redirects are obeyed, up to this number and this many bytes in all. A hundred thousand writers fit in.
MOST_REDIRECTS, _MOST = 100, 8 << 20


class Redirect(NamedTuple):
    """One redirect. ``upto``: writer id → (segment, offset)."""

    old: Optional[str]
    new: str
    upto: dict[str, tuple[int, int]]
    extras: frozenset[str] = frozenset()

    def covers(self, writer_id: str, segment: str, start: int) -> bool:
        """Return whether the record at this place existed when the redirect was given."""
        if segment in self.extras:
            return True
        number = segment_number(segment)
        place = deferred_from(segment) if number is None else (number, start)
        return place is not None and writer_id in self.upto and place < self.upto[writer_id]


def give(layout: Layout, old: Optional[str], new: str, of: Optional[Collection[str]] = None) -> None:
    """Redirect the events now held for ``old`` to ``new``, whose file exists.

    ``of``: the ids of the writers concerned; None for all. Raises OSError or SpoolError.
    """
    upto, extras = {}, []
    for writer_id in layout.writer_ids() if of is None else of:
        segments = list_segments(layout.writer(writer_id))
        extras += [name for name in segments.extras if not deferred_from(name)]
        if segments.numbered:
            last = segments.numbered[-1]
            upto[writer_id] = (last, size_of(os.path.join(layout.writer(writer_id), segment_name(last))) or 0)
        else:
            upto[writer_id] = (0, 0)
    inside.make_directory(layout.redirects)
    path = os.path.join(layout.redirects, f"{time.time_ns():020d}-{new_id()}.json")
    text = json.dumps({"old": old, "new": new, "upto": upto, "extras": extras}).encode("ascii")
    standing = _names(layout)
    if len(standing) >= MOST_REDIRECTS or sum(_size(layout, name) for name in standing) + len(text) > _MOST:
        raise SpoolError(f"{layout.redirects} has no room for another redirect: see that what they are about is sent")
    write_whole_file(path, text)
    layout.wake_flusher()


def obeyed(layout: Layout) -> list[str]:
    """Return the names of the redirects that are obeyed, in order. Raises OSError."""
    names = _names(layout)[:MOST_REDIRECTS]
    together = accumulate(_size(layout, name) for name in names)
    return [name for name, size in zip(names, together) if size <= _MOST]


def count_ignored(layout: Layout) -> int:
    """Return how many redirects exceed the limits and are not obeyed. Raises OSError."""
    return len(_names(layout)) - len(obeyed(layout))


def _names(layout: Layout) -> list[str]:
    return sorted(name for name in inside.listdir(layout.redirects) if name.endswith(".json"))


def _size(layout: Layout, name: str) -> int:
    with suppressed(FileNotFoundError):  # the leader has just removed it
        return inside.lstat(os.path.join(layout.redirects, name)).st_size
    return 0


class Redirects:
    """All redirects of a spool, as of the last ``refresh``."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._known: dict[str, Redirect] = {}
        self._mtime = -1

    def refresh(self, now: float) -> list[Redirect]:
        """Check for new redirects and return them. ``now`` is in Unix seconds. Never raises for unreadable files."""
        try:
            mtime = inside.lstat(self._layout.redirects).st_mtime_ns
            if not may_have_changed(mtime, self._mtime, now):
                return []
            names = obeyed(self._layout)
        except failures(OSError):
            return []
        self._mtime = mtime
        found = {name: self._known.get(name) or _load(os.path.join(self._layout.redirects, name)) for name in names}
        new = [redirect for name, redirect in found.items() if redirect and name not in self._known]
        self._known = {name: redirect for name, redirect in found.items() if redirect}
        return new

    def resolve(self, to: Optional[str], writer_id: str, segment: str, start: int) -> Optional[str]:
        """Return where the record at this place goes, given the destination ``to`` that it names."""
        return resolve(tuple(self._known.values()), to, writer_id, segment, start)

    def forget_spent(self, writer_ids: Collection[str]) -> None:
        """Remove the redirects that have no writer left. Only the leader may call this."""
        for name in [name for name, known in self._known.items() if known.upto.keys().isdisjoint(writer_ids)]:
            with suppressed(OSError):
                inside.unlink(os.path.join(self._layout.redirects, name))
                del self._known[name]


def resolve(
    redirects: Collection[Redirect], to: Optional[str], writer_id: str, segment: str, start: int
) -> Optional[str]:
    """Return where ``redirects`` send the record at this place, given the destination ``to`` that it names."""
    for redirect in redirects:
        if redirect.old == to and redirect.covers(writer_id, segment, start):
            to = redirect.new
    return to


def _load(path: str) -> Optional[Redirect]:
    try:
        told = read_object(path, _MOST)
        old = told.get("old", "")  # an empty name is invalid
        old = None if old is None else checked.name(old)
        upto = {checked.name(id): read_place(place) for id, place in checked.mapping(told.get("upto")).items()}
        extras = frozenset(map(checked.name, checked.items(told.get("extras"))))
        return Redirect(old, checked.name(told.get("new")), upto, extras)
    except failures(OSError, ValueError):
        return None
