"""List the distributions installed beside a program, by directory names alone: no file is read, nothing is imported."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice

from lastword.interruption import failures

#: Distributions that are listed at most.
MAX_DISTRIBUTIONS = 500

#: Entries of the path that are scanned at most, and names in each: a script's directory may hold anything.
MAX_PLACES = 50
MAX_ENTRIES = 3000

_MAX_NAME = 100
_SUFFIXES = (".dist-info", ".egg-info")


def installed_distributions(path: Iterable[object]) -> dict[str, str]:
    """Map the name of each distribution in the directories of ``path`` to its version; the first one found counts, as
    in an import.

    A development tree's ``.egg-info`` has no version in its name: "". Directories that cannot be listed are skipped.
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
