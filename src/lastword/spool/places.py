"""Where the spool is: the directories that are tried in turn for one that is ours alone and where locks work."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Optional

from lastword.errors import SpoolError
from lastword.interruption import failures, suppressed
from lastword.spool import inside
from lastword.spool.layout import Layout
from lastword.spool.lock import LifetimeLock

#: Errors of trying a lock that are no reason to keep the spool elsewhere: a full disk, no descriptor or memory left.
_OTHER_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class Place(NamedTuple):
    """A directory where the spool may be. ``is_default``: nobody named it, so the checks are strict."""

    path: str
    is_default: bool = True


def candidates(configured: Optional[str], environ: Mapping[str, str], euid: int) -> list[Place]:
    """Return the directories where the spool may be, the preferred one first. A configured directory is the only one,
    unless it belongs to root and this user is not root: a server's master is root, and its workers are other users.
    """
    if configured:
        if not euid or not _belongs_to_root(configured):
            return [Place(configured, is_default=False)]
        below, beside = os.path.join(configured, f"lastword-{euid}"), f"{configured.rstrip('/')}-{euid}"
        named = [Place(path, is_default=False) for path in (configured, below, beside)]
        return named + candidates(None, environ, euid)
    found = []
    state_directory = environ.get("STATE_DIRECTORY", "").split(":")[0]  # systemd lists several with colons
    if state_directory:
        found.append(os.path.join(state_directory, "lastword"))
    xdg_state_home = environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(xdg_state_home):
        found.append(os.path.join(xdg_state_home, "lastword"))
    home = os.path.expanduser("~")
    if os.path.isabs(home):
        found.append(os.path.join(home, ".local", "state", "lastword"))
    found.append(os.path.join(environ.get("TMPDIR") or "/tmp", f"lastword-{euid}"))
    return [Place(path) for path in found]


def _belongs_to_root(path: str) -> bool:
    try:
        found = os.lstat(path)
    except failures(OSError):
        return False
    return found.st_uid == 0 and stat.S_ISDIR(found.st_mode)


def existing(places: Iterable[Place]) -> Optional[Layout]:
    """Return the first of ``places`` that holds a spool of ours; None if none does."""
    for place in places:
        layout = Layout(place.path)
        try:
            layout.check(is_default=place.is_default)
        except SpoolError:
            continue
        return layout
    return None


def find(configured: Optional[str] = None) -> Optional[Layout]:
    """Return the spool that a program with this configuration and environment uses, if it exists. Makes nothing."""
    return existing(candidates(configured, os.environ, os.geteuid()))


def first_usable(places: Iterable[Place]) -> Layout:
    """Prepare and return the first of ``places`` that can be used. If none can, raise SpoolError, which names each
    place and its error.
    """
    troubles = []
    for place in places:
        layout = Layout(place.path)
        try:
            layout.prepare(is_default=place.is_default)
            try_a_lock(layout)
        except SpoolError as error:
            troubles.append(str(error))
        except failures(OSError) as error:
            if error.errno in _OTHER_TROUBLE:
                return layout
            layout.unmake()
            troubles.append(f"the spool {layout.spool} cannot be used: locks do not work there: {error}")
        else:
            return layout
    raise SpoolError("; ".join(troubles))


def try_a_lock(layout: Layout) -> None:
    """Take a lock in this spool for a moment; raises OSError if locks do not work there."""
    try:
        lock = LifetimeLock.acquire(layout.probe_lock)
        if lock is not None:  # else another process or thread has it, so locks work
            lock.release()
    finally:
        with suppressed(OSError):
            inside.unlink(layout.probe_lock)
