"""Data related to a spool but outside it: the spools of users who cannot use it, and refusals for want of a spool."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator
from typing import NamedTuple

from lastword.errors import SpoolError
from lastword.spool import refused
from lastword.spool.layout import Layout
from lastword.spool.ownership import temporary
from lastword.spool.places import candidates

#: The reason for refusing events because no spool could be used, and the seconds for which that is news.
NO_SPOOL = "no spool"
NEWS = 3600.0

_NAME = re.compile(r".+-([0-9]+)")


class OtherSpool(NamedTuple):
    """Another user's spool, created because that user could not use this one, or had no home."""

    uid: int
    path: str


def other_spools(layout: Layout) -> Iterator[OtherSpool]:
    """Yield the other spools that this user can see: beside the spool and in it.

    For root's spool, those in the temporary directory too: only root's spool sends other users there.
    """
    parent, name = os.path.split(layout.spool)
    places = [(parent, name), (layout.spool, "lastword")]
    if _is_directory_of(0, layout.spool):
        places.append((os.path.realpath(temporary()), "lastword"))
    for directory, beginning in places:
        for entry in _names(directory):
            found = _NAME.fullmatch(entry) if entry.startswith(beginning + "-") else None
            if found:
                uid, path = int(found[1]), os.path.join(directory, entry)
                if uid != os.geteuid() and path != layout.spool and _is_directory_of(uid, path):
                    yield OtherSpool(uid, path)


class Refusals(NamedTuple):
    """Refusals for want of a spool: how many, when the last one was (Unix seconds), and where they are counted."""

    number: int
    last: float
    path: str

    @property
    def is_news(self) -> bool:
        return 0 <= time.time() - self.last < NEWS


def refusals(layout: Layout) -> Iterator[Refusals]:
    """Yield the refusals of this user's processes, counted in this spool or in another place of this user."""
    elsewhere = {Layout(place.path).spool: place.is_default for place in candidates(None, os.environ, os.geteuid())}
    elsewhere.pop(layout.spool, None)
    for spool in (layout.spool, *elsewhere):
        place = Layout(spool)
        number = refused.counted(place)[NO_SPOOL]
        if number and (spool not in elsewhere or _is_ours(place, is_default=elsewhere[spool])):
            yield Refusals(number, refused.last(place, NO_SPOOL), place.refused)


def _is_ours(place: Layout, *, is_default: bool) -> bool:
    """Return whether the place is this user's and no other user can have put it there."""
    try:
        place.check(is_default=is_default)
    except SpoolError:
        return False
    return True


def _names(directory: str) -> list[str]:
    try:
        return [] if os.path.islink(directory) else sorted(os.listdir(directory))
    except OSError:
        return []


def _is_directory_of(uid: int, path: str) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == uid
