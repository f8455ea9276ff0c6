"""Where the spool is: the places that are tried, one after the other, for one that is ours alone and has locks."""

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

#: What a try of a lock may meet besides: a disk that is full, or a process, is no reason to keep the spool elsewhere.
_OTHER_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class Place(NamedTuple):
    """A directory where the spool may be. ``is_default``: nobody named it, so it has to be beyond doubt."""

    path: str
    is_default: bool = True


def candidates(configured: Optional[str], environ: Mapping[str, str], euid: int) -> list[Place]:
    """The directories where the spool may be, the preferred one first. A configured one stands alone, unless it is
    root's, as that of a server's master is, whose workers are other users.
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
    """The first of ``places`` that holds a spool of ours; None when none does."""
    for place in places:
        layout = Layout(place.path)
        try:
            layout.check(is_default=place.is_default)
        except SpoolError:
            continue
        return layout
    return None


def find(configured: Optional[str] = None) -> Optional[Layout]:
    """The spool that a program with this configuration and environment uses, if it is there. Makes nothing."""
    return existing(candidates(configured, os.environ, os.geteuid()))


def first_usable(places: Iterable[Place]) -> Layout:
    """Prepare the first of ``places`` that can be used; raises SpoolError, naming each and its trouble, if none can."""
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
    """Lock something in this spool for a moment; raises OSError where locks do not work."""
    try:
        lock = LifetimeLock.acquire(layout.probe_lock)
        if lock is not None:  # else somebody has it, so they do
            lock.release()
    finally:
        with suppressed(OSError):
            inside.unlink(layout.probe_lock)
