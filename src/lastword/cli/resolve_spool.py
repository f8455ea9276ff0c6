"""Which spool a command is about, and whether this user may do with it what the command does.

Everybody who can read a spool may look at it, so root may look at all of them. But only its owner leads it or changes
it: a file that root made there would be in its owner's way.
"""

from __future__ import annotations

import os
import pwd
import shlex
import time
from typing import Optional

from lastword.audit.elsewhere import Refusals, refusals
from lastword.audit.findings import passed_over
from lastword.config import Config
from lastword.errors import SpoolError
from lastword.spool import inside
from lastword.spool.layout import Layout
from lastword.spool.places import Place, candidates, find, first_usable


def to_read(asked: Optional[str]) -> Layout:
    """The spool at ``asked``, or the one that a program of this user uses, to look at; raises SpoolError."""
    configured = Config.load({"spool": asked}).spool
    layout = find(configured)
    if layout is None and configured:
        layout = _of_somebody_else(Layout(configured))
    if layout is None:
        seen = [refused_text(each) for each in refusals(Layout(configured or os.devnull))]
        what = "; ".join(seen) or "nothing was captured"
        raise SpoolError(f"there is no spool yet; {what}. Looked in: {places(configured)}")
    return layout


def _of_somebody_else(layout: Layout) -> Optional[Layout]:
    """The same, if root looks at it. Raises SpoolError where something leads elsewhere, which is not followed."""
    try:
        with inside.directory(layout.base):
            return layout
    except OSError:
        for what in passed_over(layout):
            raise SpoolError(f"{what}; it is not looked at") from None
        return None


def to_change(asked: Optional[str], command: str) -> Layout:
    """The same, for its owner alone. Raises SpoolError, which for anybody else says how to run ``command``."""
    layout = to_read(asked)
    refuse_unless_owned(layout, command)
    layout.check()
    return layout


def to_lead(asked: Optional[str], command: str) -> Layout:
    """The same; it is made where there is none, for its programs may come later."""
    configured = Config.load({"spool": asked}).spool
    if configured:
        refuse_unless_owned(Layout(configured), command)
    return find(configured) or first_usable(candidates(configured, os.environ, os.geteuid()))


def refuse_unless_owned(layout: Layout, command: str) -> None:
    """Raise SpoolError where the spool is there and is not this user's."""
    owner = owner_of(layout)
    if owner is None or owner == os.geteuid():
        return
    told = shlex.join(["sudo", "-u", user_name(owner), "lastword", command, "--spool", layout.spool])
    raise SpoolError(f"the spool {layout.spool} belongs to {user_name(owner)}, who alone may do this: {told} …")


def owner_of(layout: Layout) -> Optional[int]:
    """The uid that the spool belongs to; None where there is none."""
    path = layout.base if os.path.lexists(layout.base) else layout.spool
    try:
        return os.lstat(path).st_uid
    except OSError:
        return None


def user_name(uid: int) -> str:
    """The user's name, or ``#uid``, which ``sudo -u`` takes as well."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"


def refused_text(seen: Refusals) -> str:
    """What was refused for want of a spool, in words."""
    ago = max(time.time() - seen.last, 0.0)
    return (
        f"{seen.number} events were refused by processes that could use no spool, the last one {ago:.0f} s ago "
        f"(counted in {seen.path})"
    )


def places(configured: Optional[str]) -> str:
    """Where the spool may be, and for what is there, why it is none."""
    return ", ".join(map(_looked_at, candidates(configured, os.environ, os.geteuid())))


def _looked_at(place: Place) -> str:
    if os.path.lexists(place.path):
        try:
            Layout(place.path).check(is_default=place.is_default)
        except SpoolError as error:
            return f"{place.path} ({error})"
    return place.path
