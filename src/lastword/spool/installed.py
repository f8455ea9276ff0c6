"""What is installed beside a program, told by the names of directories alone: no file is read, nothing is imported."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice

from lastword.interruption import failures

#: Distributions that are told.
MAX_DISTRIBUTIONS = 500

#: Entries of the path that are looked at, and names in each: the directory of a script may hold anything.
MAX_PLACES = 50
MAX_ENTRIES = 3000

_MAX_NAME = 100
_SUFFIXES = (".dist-info", ".egg-info")


def installed_distributions(path: Iterable[object]) -> dict[str, str]:
    """Name to version of each distribution in the directories of ``path``, in the order of an import: the first counts.

    ``.egg-info`` of a development tree has no version in its name: "". What cannot be listed is passed over.
    """
    found: dict[str, str] = {}
    for place in islice(path, MAX_PLACES):
        if type(place) is str:
            for name, version in _distributions_in(place):
                found.setdefault(name, version)
                if len(found) == MAX_DISTRIBUTIONS:
                    return found
    return found


def _distributions_in(place: str) -> Iterator[tuple[str, str]]:
    try:
        with os.scandir(place or ".") as entries:
            names = [entry.name for entry in islice(entries, MAX_ENTRIES) if entry.name.endswith(_SUFFIXES)]
    except failures(OSError, ValueError):  # an archive, a directory that is gone
        return
    for name in sorted(names):
        distribution, _, rest = os.path.splitext(name)[0].partition("-")
        version = rest.partition("-")[0]  # eggs add the version of Python
        yield distribution[:_MAX_NAME], version[:_MAX_NAME]
