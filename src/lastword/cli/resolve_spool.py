"""Find the spool that a command is about, and check that this user may do there what the command does.

Every user that can read a spool may inspect it, so root may inspect all of them. But only the owner may lead or change
it: its owner could not use a file that root created there.
"""

from __future__ import annotations

import os
import pwd
import shlex
import time
from collections.abc import Iterator
from typing import Optional

from lastword.audit.elsewhere import Refusals, refusals
from lastword.audit.findings import unread_paths
from lastword.config import Config
from lastword.errors import SpoolError
from lastword.spool import inside
from lastword.spool.layout import Layout
from lastword.spool.places import Place, candidates, find, first_usable


def to_read(asked: Optional[str]) -> Layout:
    """Return the spool at ``asked``, or the one that this user's programs use, for reading. Raises SpoolError."""
    configured = Config.load({"spool": asked}).spool
    layout = find(configured)
    if layout is None and configured:
        layout = _if_readable(Layout(configured))
    if layout is None:
        counted = [refused_text(each) for each in refusals(Layout(configured or os.devnull))]
        captured = "; ".join(counted) or "nothing was captured"
        looked_in = [f"{place.path} ({error})" if error else place.path for place, error in places(configured)]
        raise SpoolError(f"there is no spool yet; {captured}. Looked in: {', '.join(looked_in)}")
    return layout


def _if_readable(layout: Layout) -> Optional[Layout]:
    """Return ``layout`` if this user, such as root, can read it. Raises SpoolError for a link, for instance."""
    try:
        with inside.directory(layout.base):
            return layout
    except OSError:
        for reason in unread_paths(layout):
            raise SpoolError(f"{reason}; it is not read") from None
        return None


def to_change(asked: Optional[str], command: str) -> Layout:
    """Return the spool for changing, if this user owns it. To others, its SpoolError says how to run ``command``."""
    layout = to_read(asked)
    refuse_unless_owned(layout, command)
    layout.check()
    return layout


def to_lead(asked: Optional[str], command: str) -> Layout:
    """Return the spool for leading; create it if there is none, because its programs may start later."""
    configured = Config.load({"spool": asked}).spool
    if configured:
        refuse_unless_owned(Layout(configured), command)
    return find(configured) or first_usable(candidates(configured, os.environ, os.geteuid()))


def refuse_unless_owned(layout: Layout, command: str) -> None:
    """Raise SpoolError if the spool exists and belongs to another user."""
    owner = owner_of(layout)
    if owner is None or owner == os.geteuid():
        return
    name = user_name(owner)
    as_owner = shlex.join(["sudo", "-u", name, "lastword", command, "--spool", layout.spool])
    raise SpoolError(f"the spool {layout.spool} belongs to {name}, and only {name} may do this: {as_owner} …")


def owner_of(layout: Layout) -> Optional[int]:
    """Return the uid of the spool's owner; None if there is no spool."""
    path = layout.base if os.path.lexists(layout.base) else layout.spool
    try:
        return os.lstat(path).st_uid
    except OSError:
        return None


def user_name(uid: int) -> str:
    """Return the user's name, or ``#uid``, which ``sudo -u`` accepts as well."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"


def refused_text(found: Refusals) -> str:
    """Return a sentence on the events refused because there was no usable spool."""
    ago = f"{max(time.time() - found.last, 0.0):.0f} s ago"
    return f"{found.number} events were refused because no spool could be used, last {ago} (counted in {found.path})"


def places(configured: Optional[str]) -> Iterator[tuple[Place, Optional[SpoolError]]]:
    """Yield the places where the spool may be, each with the error if what exists there is unusable."""
    for place in candidates(configured, os.environ, os.geteuid()):
        error = None
        if os.path.lexists(place.path):
            try:
                Layout(place.path).check(is_default=place.is_default)
            except SpoolError as found:
                error = found
        yield place, error
