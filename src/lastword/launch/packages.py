"""Find where the flusher imports ``requests`` and its dependencies from, if its interpreter does not have them.

Only these packages are imported from directories of the program's path: their optional imports (``brotli``,
``zstandard``, ``simplejson`` …) come only from the flusher's own interpreter. A directory must hold the package and,
beside it, the metadata of its installation: a stray ``requests.py`` never counts. Directories that other users may
write to, and relative ones (``""``, ``lib``), do not count either.

All this is decided by names and modes of files: nothing is imported, and no import hooks are called.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable
from typing import Optional

from lastword.interruption import failures

#: The packages, by the names of their distributions in the names of metadata. Debian's urllib3 imports a separate
#: ``six``.
PACKAGES = ("requests", "urllib3", "idna", "certifi", "charset_normalizer", "chardet", "six")

_SUFFIXES = (".dist-info", ".egg-info")


def places_of_packages(search_path: Iterable[object], own_place: str) -> list[tuple[str, str]]:
    """Return each of ``PACKAGES`` found, with the directory from which an import by ``search_path`` would take it.

    ``own_place`` is that of lastword itself, a directory or an archive. It counts with any owner, because a user who
    may write there can change lastword anyway. An archive is not read, so it is named first, for all packages.
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
    """Return the users whose directories count: root, this user, and the owner of lastword."""
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
    """Return those of ``PACKAGES`` that are installed in ``place``; if ``owners`` is None, any owner is accepted."""
    try:
        names = os.listdir(place)
        if owners is not None and not _is_theirs(place, owners):
            return []
    except failures(OSError, ValueError):  # not a directory
        return []
    installed = {_distribution(name) for name in names if name.endswith(_SUFFIXES)}
    return [package for package in PACKAGES if package in installed and _has(place, package, owners)]


def _distribution(metadata: str) -> str:
    """Return the name from ``Requests-2.32.3.dist-info``, or from ``requests.egg-info`` of a development tree."""
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
