"""Findings on the place of the spool: its owner, its file system, its free space."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Optional

from lastword.audit.elsewhere import other_spools, refusals
from lastword.audit.findings import Finding, problem, warning
from lastword.cli import resolve_spool
from lastword.errors import SpoolError
from lastword.spool.layout import Layout
from lastword.spool.limits import IN_MEMORY, file_system_of
from lastword.spool.places import try_a_lock

#: File systems on which locks and single writes depend on a server.
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "glusterfs", "9p", "beegfs", "fuse.sshfs"}
    | {"fuse.glusterfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone"}
)

#: Bytes; with less free space, captures are about to be refused.
LITTLE_ROOM = 16 << 20

_ABOUT = "spool"
_REMEDY = "set LASTWORD_SPOOL to another directory, or repair this one"
_USE_LOCAL_DISK = "set LASTWORD_SPOOL to a directory on a local disk"
_READ_ONLY = getattr(os, "ST_RDONLY", 1)  # PyPy lacks the name


def check_place(layout: Layout) -> Iterator[Finding]:
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
        yield warning(
            f"{resolve_spool.user_name(other.uid)} has a spool in {other.path}, perhaps for lack of access to this one",
            f"see `lastword status --spool {other.path}`, or name another spool for both users",
        )
    for found in refusals(layout):
        yield Finding(
            "problem" if found.is_news else "note",
            _ABOUT,
            resolve_spool.refused_text(found),
            f"run `lastword doctor` as their user and in their environment to see why; then remove {found.path}",
        )


def _locks(layout: Layout) -> Iterator[Finding]:
    try:
        try_a_lock(layout)
    except OSError as error:
        yield problem(f"locks do not work in {layout.spool} ({error}): no event can be recorded", _USE_LOCAL_DISK)


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


def check_owner(layout: Layout, configured: Optional[str]) -> Iterator[Finding]:
    """Yield findings on whether this user's programs can use the spool; ``configured`` is the path that was named."""
    named, own_name = Layout(configured) if configured else layout, resolve_spool.user_name(os.geteuid())
    if named.spool != layout.spool:
        owner = resolve_spool.owner_of(named)
        reason = f"belongs to {resolve_spool.user_name(owner)}" if owner is not None else "cannot be used"
        yield warning(
            f"{named.spool} {reason}: the events of {own_name} are in {layout.spool}",
            "set LASTWORD_SPOOL to a directory that this user can create, and that no other user creates first",
        )
    owner = resolve_spool.owner_of(layout)
    if owner is None:
        yield from (warning(str(error), _REMEDY) for _, error in resolve_spool.places(configured) if error)
        yield Finding("note", _ABOUT, f"{layout.spool} does not exist yet: the first event creates it")
        return
    if owner != os.geteuid():
        name = resolve_spool.user_name(owner)
        yield problem(
            f"{layout.spool} belongs to {name}, not to {own_name}, whose programs cannot use it",
            f"run your programs, and this command, as that user (sudo -u '{name}' …), "
            f"give the spool to {own_name} (chown -R), or set LASTWORD_SPOOL to another directory",
        )
        return
    if not os.path.lexists(layout.base):
        yield Finding("note", _ABOUT, f"{layout.spool} is still empty: the first event creates a spool in it")
        return
    try:
        layout.check()
    except SpoolError as error:
        yield problem(str(error), _REMEDY)
        return
    if os.access(layout.base, os.W_OK):
        yield from _locks(layout)


def _privacy(layout: Layout) -> Iterator[Finding]:
    try:
        modes = {path: os.lstat(path).st_mode for path in (layout.spool, layout.base)}
    except OSError:  # one is missing, or was just removed
        return
    if not all(map(stat.S_ISDIR, modes.values())):
        return
    open_to_others = [path for path, mode in modes.items() if mode & 0o077]
    if open_to_others:
        yield problem(f"other users may enter {open_to_others[0]}", f"chmod 700 {' '.join(open_to_others)}")
    else:
        yield Finding("ok", _ABOUT, f"{layout.spool} is private")


def _file_system(place: str) -> Iterator[Finding]:
    kind = file_system_of(place)
    if kind in NETWORK_FILE_SYSTEMS:
        text = f"it is on a network file system ({kind}): locks and writes depend on the server"
        yield warning(text, _USE_LOCAL_DISK)
    elif kind in IN_MEMORY:
        yield Finding("note", _ABOUT, f"it is in memory ({kind}): a reboot loses the held events")
    elif kind:
        yield Finding("ok", _ABOUT, f"it is on a local file system ({kind})")


def _writable(layout: Layout, place: str) -> Iterator[Finding]:
    if os.statvfs(place).f_flag & _READ_ONLY:
        yield problem(
            f"{place} is on a file system that is mounted read-only: no event can be recorded",
            f"mount it writable (mount -o remount,rw {_mount_point(place)}), or set LASTWORD_SPOOL to another place",
        )
        return
    for path in (layout.base, layout.writers, layout.birth) if _is_directory(layout.base) else (place,):
        if _is_directory(path) and not os.access(path, os.W_OK | os.X_OK):
            yield problem(f"{path} cannot be written to: no event can be recorded", f"chmod 700 {path}, as its owner")
            return
    yield Finding("ok", _ABOUT, "it can be written to")


def _room(place: str) -> Iterator[Finding]:
    found = os.statvfs(place)
    free = found.f_bavail * found.f_frsize
    if free < LITTLE_ROOM or (found.f_files and not found.f_favail):
        left = f"{free >> 10} KiB" if free < LITTLE_ROOM else "no inode"
        yield problem(
            f"the disk is full, or nearly: {left} left on {_mount_point(place)}",
            "make room there, or set LASTWORD_SPOOL to a directory on another disk; held events are sent anyway",
        )
    else:
        yield Finding("ok", _ABOUT, f"{free >> 20} MiB are free")


def _mount_point(path: str) -> str:
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path
