"""Findings on the place of the spool: its owner, its file system, its free space."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Optional

from lastword.audit.elsewhere import other_spools, refusals
from lastword.audit.findings import Finding
from lastword.cli import resolve_spool
from lastword.errors import SpoolError
from lastword.spool.layout import Layout
from lastword.spool.limits import IN_MEMORY, file_system_of
from lastword.spool.places import candidates, try_a_lock

#: File systems on which locks and single writes depend on a server.
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "glusterfs", "9p", "beegfs", "fuse.sshfs"}
    | {"fuse.glusterfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone"}
)

#: Bytes; with less free space, captures are about to be refused.
LITTLE_ROOM = 16 << 20

_ABOUT = "spool"
_REMEDY = "name another directory in LASTWORD_SPOOL, or repair this one"
_READ_ONLY = getattr(os, "ST_RDONLY", 1)  # PyPy lacks the name


def look_at_place(layout: Layout) -> Iterator[Finding]:
    """Yield findings on the spool's directory, or on its nearest parent that exists."""
    place = _nearest(layout.spool)
    yield from _privacy(layout)
    yield from _file_system(place)
    yield from _writable(layout, place)
    yield from _room(place)
    yield from _elsewhere(layout)


def _elsewhere(layout: Layout) -> Iterator[Finding]:
    """Yield findings on other users' spools and on refusals counted outside this spool."""
    for other in other_spools(layout):
        yield Finding(
            "warning",
            _ABOUT,
            f"{resolve_spool.user_name(other.uid)} has a spool in {other.path}: perhaps because it cannot use this one",
            f"see `lastword status --spool {other.path}`, or name another spool for both",
        )
    for seen in refusals(layout):
        yield Finding(
            "problem" if seen.is_news else "note",
            _ABOUT,
            resolve_spool.refused_text(seen),
            f"`lastword doctor`, as their user and in their environment, says why; then remove {seen.path}",
        )


def _locks(layout: Layout) -> Iterator[Finding]:
    try:
        try_a_lock(layout)
    except OSError as error:
        yield Finding(
            "problem",
            _ABOUT,
            f"locks do not work in {layout.spool} ({error}): no event can be kept",
            "name a directory on a local disk in LASTWORD_SPOOL",
        )


def _nearest(path: str) -> str:
    while not _is_directory(path):
        path = os.path.dirname(path)
    return path


def _is_directory(path: str) -> bool:
    """Return whether ``path`` is a directory; a link to one is not."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def look_at_owner(layout: Layout, configured: Optional[str]) -> Iterator[Finding]:
    """Yield findings on whether this user's programs can use the spool; ``configured`` is the path that was named."""
    named = Layout(configured) if configured else layout
    if named.spool != layout.spool:
        owner = resolve_spool.owner_of(named)
        whose = f"belongs to {resolve_spool.user_name(owner)}" if owner is not None else "cannot be used"
        yield Finding(
            "warning",
            _ABOUT,
            f"{named.spool} {whose}: the events of {resolve_spool.user_name(os.geteuid())} are in {layout.spool}",
            "name a spool in LASTWORD_SPOOL that this user can make, or begin none as another one",
        )
    owner = resolve_spool.owner_of(layout)
    if owner is None:
        yield from _passed_over(configured)
        yield Finding("note", _ABOUT, f"{layout.spool} is not there yet: the first event makes it")
        return
    if owner != os.geteuid():
        name, own_name = resolve_spool.user_name(owner), resolve_spool.user_name(os.geteuid())
        yield Finding(
            "problem",
            _ABOUT,
            f"{layout.spool} belongs to {name}, not to {own_name}, whose programs cannot use it",
            f"run your programs, and this command, as that user (sudo -u '{name}' …), "
            "give it to them (chown -R), or name another spool in LASTWORD_SPOOL",
        )
        return
    if not os.path.lexists(layout.base):
        yield Finding("note", _ABOUT, f"{layout.spool} is empty yet: the first event begins a spool there")
        return
    try:
        layout.check()
    except SpoolError as error:
        yield Finding("problem", _ABOUT, str(error), _REMEDY)
        return
    if os.access(layout.base, os.W_OK):
        yield from _locks(layout)


def _passed_over(configured: Optional[str]) -> Iterator[Finding]:
    """Yield findings on existing files at possible places of the spool that this user cannot use as a spool."""
    for place in candidates(configured, os.environ, os.geteuid()):
        if os.path.lexists(place.path):
            try:
                Layout(place.path).check(is_default=place.is_default)
            except SpoolError as error:
                yield Finding("warning", _ABOUT, str(error), _REMEDY)


def _privacy(layout: Layout) -> Iterator[Finding]:
    try:
        modes = {path: os.lstat(path).st_mode for path in (layout.spool, layout.base)}
    except OSError:  # one is missing, or was just removed
        return
    if not all(map(stat.S_ISDIR, modes.values())):
        return
    open_to_others = [path for path, mode in modes.items() if mode & 0o077]
    if open_to_others:
        yield Finding(
            "problem", _ABOUT, f"others may enter {open_to_others[0]}", f"chmod 700 {' '.join(open_to_others)}"
        )
    else:
        yield Finding("ok", _ABOUT, f"{layout.spool} is private")


def _file_system(place: str) -> Iterator[Finding]:
    kind = file_system_of(place)
    if kind in NETWORK_FILE_SYSTEMS:
        yield Finding(
            "warning",
            _ABOUT,
            f"it is on a network file system ({kind}): locks and writes there are only as good as the server's",
            "name a directory on a local disk in LASTWORD_SPOOL",
        )
    elif kind in IN_MEMORY:
        yield Finding("note", _ABOUT, f"it is in memory ({kind}): what is held is gone after a reboot")
    elif kind:
        yield Finding("ok", _ABOUT, f"it is on a local file system ({kind})")


def _writable(layout: Layout, place: str) -> Iterator[Finding]:
    if os.statvfs(place).f_flag & _READ_ONLY:
        yield Finding(
            "problem",
            _ABOUT,
            f"{place} is on a file system that is mounted read-only: no event can be kept",
            f"mount it writable (mount -o remount,rw {_mount_point(place)}), or name another place in LASTWORD_SPOOL",
        )
        return
    for path in (layout.base, layout.writers, layout.birth) if _is_directory(layout.base) else (place,):
        if _is_directory(path) and not os.access(path, os.W_OK | os.X_OK):
            yield Finding(
                "problem",
                _ABOUT,
                f"{path} cannot be written to: no event can be kept",
                f"chmod 700 {path}, as its owner",
            )
            return
    yield Finding("ok", _ABOUT, "it can be written to")


def _room(place: str) -> Iterator[Finding]:
    found = os.statvfs(place)
    free = found.f_bavail * found.f_frsize
    if free < LITTLE_ROOM or (found.f_files and not found.f_favail):
        left = f"{free >> 10} KiB" if free < LITTLE_ROOM else "no inode"
        yield Finding(
            "problem",
            _ABOUT,
            f"the disk is full, or about to be: {left} left on {_mount_point(place)}",
            "make room there, or name a place on another disk in LASTWORD_SPOOL; what is held is sent all the same",
        )
    else:
        yield Finding("ok", _ABOUT, f"{free >> 20} MiB are free")


def _mount_point(path: str) -> str:
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path
