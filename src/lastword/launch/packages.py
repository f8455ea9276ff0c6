"""From where the flusher imports ``requests`` and what that needs, where its interpreter has none by itself.

A directory of the program's path gives these packages and nothing else: what they import if it happens to be there
(``brotli``, ``zstandard``, ``simplejson`` …) the flusher takes from its own interpreter alone. It has to hold the
package, and the metadata of its installation beside that: a ``requests.py`` that lies about never counts. Nor does a
directory that others may write to, or that is named by where the program happens to be (``""``, ``lib``).

Told by names and modes of files: nothing is imported, and nobody's import hooks are asked.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable
from typing import Optional

from lastword.interruption import failures

#: The packages by the names of their distributions, as they stand in those of metadata. Debian's urllib3 takes ``six``
#: from beside it.
PACKAGES = ("requests", "urllib3", "idna", "certifi", "charset_normalizer", "chardet", "six")

_SUFFIXES = (".dist-info", ".egg-info")


def places_of_packages(search_path: Iterable[object], own_place: str) -> list[tuple[str, str]]:
    """Each of ``PACKAGES`` with the directory in which an import by ``search_path`` would find it, where one counts.

    ``own_place`` is that of lastword itself, a directory or an archive: whoever may write there needs no ``requests``.
    What is in an archive nobody can tell before it is read, so that may be the place of all, before any other.
    """
    places = dict.fromkeys(PACKAGES, "")
    owners = _owners(own_place)
    for entry in search_path:
        place = "".join((entry,)) if issubclass(type(entry), str) else ""  # type: ignore[arg-type] # a subclass's text
        if os.path.isabs(place):
            for package in _installed_in(place, None if _is_same(place, own_place) else owners):
                places[package] = places[package] or place
    archived = [(package, own_place) for package in PACKAGES] if os.path.isfile(own_place) else []
    return [*archived, *(found for found in places.items() if found[1])]


def _owners(own_place: str) -> frozenset[int]:
    """Whose directories count: root's, ours, and those of whoever owns lastword."""
    try:
        return frozenset((0, os.geteuid(), os.stat(own_place).st_uid))
    except failures(OSError):
        return frozenset((0, os.geteuid()))


def _is_same(place: str, own_place: str) -> bool:
    try:
        return os.path.samefile(place, own_place)
    except failures(OSError, ValueError):
        return False


def _installed_in(place: str, owners: Optional[Collection[int]]) -> list[str]:
    """Those of ``PACKAGES`` that are installed there; ``owners`` is None where it does not matter whose it is."""
    try:
        names = os.listdir(place)
        if owners is not None and not _is_theirs(place, owners):
            return []
    except failures(OSError, ValueError):  # no directory
        return []
    told = {_distribution(name) for name in names if name.endswith(_SUFFIXES)}
    return [package for package in PACKAGES if package in told and _has(place, package, owners)]


def _distribution(metadata: str) -> str:
    """``Requests-2.32.3.dist-info``; ``requests.egg-info`` of a development tree has no version."""
    return os.path.splitext(metadata)[0].partition("-")[0].lower().replace(".", "_")


def _has(place: str, package: str, owners: Optional[Collection[int]]) -> bool:
    for name in (os.path.join(package, "__init__.py"), os.path.join(package, "__init__.pyc"), f"{package}.py"):
        path = os.path.join(place, name)
        if os.path.isfile(path):
            try:
                return owners is None or (_is_theirs(path, owners) and _is_theirs(os.path.dirname(path), owners))
            except failures(OSError):
                return False
    return False


def _is_theirs(path: str, owners: Collection[int]) -> bool:
    found = os.stat(path)
    return found.st_uid in owners and not found.st_mode & stat.S_IWOTH
