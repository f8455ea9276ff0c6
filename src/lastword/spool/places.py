"""Where the spool is: the places that are tried, one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Optional

from lastword.errors import SpoolError
from lastword.spool.layout import Layout


class Place(NamedTuple):
    """A directory where the spool may be. ``unasked``: nobody named it, so it has to be beyond doubt."""

    path: str
    unasked: bool = True


def candidates(configured: Optional[str], environ: Mapping[str, str], euid: int) -> list[Place]:
    """The directories where the spool may be, the preferred one first. A configured one stands alone."""
    if configured:
        return [Place(configured, unasked=False)]
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


def existing(places: Iterable[Place]) -> Optional[Layout]:
    """The first of ``places`` that holds a spool of ours; None when none does."""
    for place in places:
        layout = Layout(place.path)
        try:
            layout.check(unasked=place.unasked)
        except SpoolError:
            continue
        return layout
    return None


def find(configured: Optional[str] = None) -> Optional[Layout]:
    """The spool that a program with this configuration and environment uses, if it is there. Makes nothing."""
    return existing(candidates(configured, os.environ, os.geteuid()))


def first_usable(places: Iterable[Place]) -> Layout:
    """Prepare the first of ``places`` that can be; raises SpoolError, naming each and its trouble, when none can."""
    troubles = []
    for place in places:
        layout = Layout(place.path)
        try:
            layout.prepare(unasked=place.unasked)
        except SpoolError as error:
            troubles.append(str(error))
        else:
            return layout
    raise SpoolError("; ".join(troubles))
