"""Other users that may write above a spool, and so put another directory in its place; ``findings`` reports them.

A place that a user has named is that user's decision; the checks are those that ``ssh`` makes for the place of its
files. Trusted are the spool's owner, root, the owner of ``/`` (a container does not know the machine's root), root's
group, and a group that is the owner's alone. In a directory whose sticky bit is set, no user can replace another
user's files.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
import struct
from collections.abc import Iterator
from typing import NamedTuple

_MOST_LINKS = 40

# An access control list as Linux stores it, little endian: a version, then entries of tag, permissions and id.
_ACL, _ACL_HEAD, _ACL_ENTRY = "system.posix_acl_access", 4, struct.Struct("<HHI")
_NAMED_USER, _NAMED_GROUP, _OWN_GROUP, _MAY_WRITE = 0x02, 0x08, 0x04, 0x02


class Stranger(NamedTuple):
    """Who may replace what, as a sentence, and what its owner can do about it."""

    who: str
    remedy: str


def strangers_above(spool: str, owner: int) -> Iterator[Stranger]:
    """Yield all strangers, from the root down. ``spool`` is the path as it was named, ``owner`` its owner's uid."""
    users = {owner, 0, os.stat("/").st_uid}
    for path, found in dict(_way(os.path.abspath(spool))).items():
        is_link = stat.S_ISLNK(found.st_mode)
        if found.st_uid not in users:
            what = f"the link {path}" if is_link else path
            yield Stranger(f"{_user(found.st_uid)} owns {what}", f"chown it to root or to {_user(owner)}")
        elif not is_link and not found.st_mode & stat.S_ISVTX:
            for who in _users_who_may_write(path, found, owner, users):
                yield Stranger(f"{who} may write to {path}", f"chmod go-w {path}, or chmod +t {path}")


def _users_who_may_write(path: str, found: os.stat_result, owner: int, users: set[int]) -> Iterator[str]:
    if found.st_mode & stat.S_IWOTH:
        yield "everybody"
    elif found.st_mode & stat.S_IWGRP:
        for tag, number in _writers_of_the_group(path, found.st_gid):
            if tag == _NAMED_USER and number not in users:
                yield _user(number)
            elif tag != _NAMED_USER and not _is_owners_alone(number, owner):
                yield _group(number)


def _writers_of_the_group(path: str, gid: int) -> Iterator[tuple[int, int]]:
    """Yield tag and id of all that the group's write permission in the mode applies to.

    That is the group or, if the directory has an access control list, the users and groups that the list lets write:
    the group's bits in the mode are then the list's mask.
    """
    try:
        entries = list(_ACL_ENTRY.iter_unpack(os.getxattr(path, _ACL)[_ACL_HEAD:]))
    except (OSError, AttributeError, struct.error):  # it has no list, or the system has none
        entries = [(_OWN_GROUP, _MAY_WRITE, 0)]
    for tag, permissions, number in entries:
        if tag in (_NAMED_USER, _NAMED_GROUP, _OWN_GROUP) and permissions & _MAY_WRITE:
            yield tag, gid if tag == _OWN_GROUP else number


def _is_owners_alone(gid: int, owner: int) -> bool:
    """Return whether the group is root's, or the owner's by its name or number with no other member listed."""
    if gid == 0:
        return True
    name = _name_of(owner)
    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return gid == owner
    return (gid == owner or group.gr_name == name) and set(group.gr_mem) <= {name}


def _way(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every directory in which a part of ``path`` is looked up, and every link on the way; not the end itself."""
    links, here, names = 0, "/", path.split("/")[::-1]
    yield here, os.lstat(here)
    while names:
        name = names.pop()
        step = os.path.dirname(here) if name == ".." else os.path.join(here, name)
        if name in ("", ".") or not names:
            continue
        try:
            found = os.lstat(step)
            target = os.readlink(step) if stat.S_ISLNK(found.st_mode) else None
        except OSError:  # it does not exist yet, or is not visible
            return
        yield step, found
        if target is None:
            here = step
            continue
        links += 1
        if links > _MOST_LINKS:
            return
        names += target.split("/")[::-1]
        here = "/" if target.startswith("/") else here


def _user(uid: int) -> str:
    name = _name_of(uid)
    return f"{name} (uid {uid})" if name else f"uid {uid}"


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def _group(gid: int) -> str:
    try:
        return f"group {grp.getgrgid(gid).gr_name} (gid {gid})"
    except KeyError:
        return f"group {gid}"
