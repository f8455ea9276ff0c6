"""What is in a spool that should not be there, or is damaged, and what to do about it. Changes nothing.

None of this stops a capture or a flusher: it costs only what it touches. What is found is a value, made here, or in
``cli/diagnosis`` where it follows from more than the files, and shown alike by ``lastword status`` and ``doctor``.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal, NamedTuple

from lastword.errors import ConfigError
from lastword.spool import blackbox, destination
from lastword.spool.ground import MOVED_SUFFIX
from lastword.spool.identity import read_who
from lastword.spool.layout import (
    ALIVE_LOCK,
    BLACKBOX,
    SEGMENT_SUFFIX,
    UNFINISHED_SUFFIX,
    WHO,
    Layout,
    is_extra_segment,
    is_writer_id,
    segment_number,
)
from lastword.spool.ledger import Ledger
from lastword.spool.reader import MOST_READ
from lastword.spool.strangers import strangers_above

#: What is being written just now can look damaged for a moment: it counts if it still does so this much later.
_SECOND_LOOK = 0.05

_GOES = "see what changes files in the spool; this one goes with its writer, some time after its process has ended"

_OWN_NAMES = frozenset({ALIVE_LOCK, WHO, BLACKBOX})
_NFS_PREFIX = ".nfs"  # how NFS keeps a removed file that is still open; it goes by itself

#: ``ok``: as it should be; ``note``: worth knowing; ``warning``: it may cost events, or was somebody's decision;
#: ``problem``: events are lost or not sent until somebody does something.
Kind = Literal["ok", "note", "warning", "problem"]


class Finding(NamedTuple):
    """What was looked at, how it is, and what to do about it; a warning or problem always has a ``remedy``."""

    kind: Kind
    about: str
    text: str
    remedy: str = ""


def _problem(text: str, remedy: str) -> Finding:
    return Finding("problem", "spool", text, remedy)


def _warning(text: str, remedy: str) -> Finding:
    return Finding("warning", "spool", text, remedy)


def findings(layout: Layout) -> list[Finding]:
    """What is wrong in this spool. Never raises OSError."""
    suspected = list(_everything(layout))
    if suspected:
        time.sleep(_SECOND_LOOK)
        suspected = [finding for finding in _everything(layout) if finding in suspected]
    return suspected


def _everything(layout: Layout) -> Iterator[Finding]:
    for part in (_way_there, _directories, _files, _ledger, _destinations, _births, _writers):
        with suppress(OSError):
            yield from part(layout)


def _way_there(layout: Layout) -> Iterator[Finding]:
    spool = _lstat(layout.spool)
    for one in strangers_above(layout.named, os.geteuid() if spool is None else spool.st_uid):
        yield _warning(  # of a place that was named: every emptyDir of Kubernetes is such
            f"{one.who}, above the spool: another directory could be put in its place",
            f"{one.remedy}, or keep the spool elsewhere; docs/operations.md has a layout for Kubernetes",
        )


def _directories(layout: Layout) -> Iterator[Finding]:
    for path in (layout.base, layout.destinations, layout.birth, layout.writers, layout.set_aside):
        found = _lstat(path)
        if found is None or stat.S_ISDIR(found.st_mode):
            continue
        yield _problem(f"{path} is {_kind(found)} where a directory should be", "move it away")
    for name in sorted(_names(layout.base)):
        if name.endswith(MOVED_SUFFIX):
            path = os.path.join(layout.base, name)
            yield _problem(f"{path} stood in the place of something of lastword's", "look at it, then remove it")


def _files(layout: Layout) -> Iterator[Finding]:
    for path in (layout.flusher_lock, layout.start_lock):
        problem = _problem_with_file(path)
        if problem is not None:
            yield _problem(f"{problem}: nothing is sent", "move it away")
    for path in (layout.start_state, layout.flusher_log):
        problem = _problem_with_file(path)
        if problem is not None:
            yield _problem(problem, "move it away")


def _ledger(layout: Layout) -> Iterator[Finding]:
    damaged = [path for path in layout.ledger_copies if _lstat(path) is not None and not Ledger.is_whole(path)]
    if len(damaged) == len(layout.ledger_copies):
        yield _problem(
            "both copies of the ledger are damaged: what was counted is lost, and some events are sent again",
            "none for what is lost; the next flusher begins new ones. See what writes to the spool, and to its disk",
        )
        return
    for path in damaged:
        yield _warning(
            f"{path} is damaged; the other copy counts",
            "none needed: it mends itself, at the checkpoint after the next of whoever sends",
        )


def _destinations(layout: Layout) -> Iterator[Finding]:
    for name in sorted(_names(layout.destinations)):
        key, suffix, rest = name.partition(".json")
        if not suffix or rest.endswith(MOVED_SUFFIX):
            yield _problem(f"{os.path.join(layout.destinations, name)} is not lastword's", "look at it, then remove it")
        elif not rest:
            try:
                destination.load(layout, key)
            except ConfigError as error:
                yield _problem(
                    f"{error}. Events for it wait",
                    f"start a program with its DSN, which writes it anew, or `lastword redirect {key} DSN`",
                )


def _births(layout: Layout) -> Iterator[Finding]:
    for name in sorted(_names(layout.birth)):
        if not is_writer_id(name):
            yield _problem(f"{os.path.join(layout.birth, name)} is not lastword's", "move it away")


def _writers(layout: Layout) -> Iterator[Finding]:
    present, retired = layout.writer_ids(), Ledger.load(layout).retired
    for name in sorted(_names(layout.writers)):
        path = os.path.join(layout.writers, name)
        found = _lstat(path)
        if found is None:
            continue
        if name not in present:
            yield _problem(f"{path} is {_kind(found)} and not a writer's directory", "move it away")
            continue
        with suppress(FileNotFoundError):  # retired while it was looked at
            yield from _writer(path, retired=name in retired)


def _writer(directory: str, *, retired: bool) -> Iterator[Finding]:
    try:
        names = sorted(os.listdir(directory))
    except PermissionError:
        yield _problem(f"{directory} cannot be read", "give it mode 0700 and the spool's owner (chmod, chown)")
        return
    for name in names:
        path = os.path.join(directory, name)
        if name in _OWN_NAMES or is_extra_segment(name) or segment_number(name) is not None:
            problem = _problem_with_file(path)
            if problem is not None:
                yield _problem(problem, "move it away")
            elif name.endswith(SEGMENT_SUFFIX) and os.stat(path).st_size > MOST_READ:
                yield _problem(
                    f"{path} is larger than a segment can be; only its beginning is read",
                    "see what writes to it: nothing of lastword's does",
                )
        elif not (name.startswith(_NFS_PREFIX) or name.endswith(UNFINISHED_SUFFIX)):
            found = _lstat(path)
            if found is not None:
                yield _problem(f"{path} is {_kind(found)} and not lastword's", "move it away")
    if retired:
        return
    if not read_who(os.path.join(directory, WHO)):
        path = os.path.join(directory, WHO)
        yield _problem(f"{path} is missing or damaged; its lock alone tells whether its process lives", _GOES)
    if blackbox.is_damaged(os.path.join(directory, BLACKBOX)):
        path = os.path.join(directory, BLACKBOX)
        yield _problem(f"{path} is missing or damaged; what its process refused is not counted", _GOES)


def _problem_with_file(path: str) -> str | None:
    """What is wrong with a file that should be one of ours; None where there is none, or nothing wrong.

    It is not opened: closing it again would drop a lock that this process may have on it.
    """
    found = _lstat(path)
    if found is None:
        return None
    if not stat.S_ISREG(found.st_mode):
        return f"{path} is {_kind(found)} where a file should be"
    return None if os.access(path, os.R_OK) else f"{path} cannot be read"


def _kind(found: os.stat_result) -> str:
    for is_it, name in (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISREG, "a file"),
        (stat.S_ISFIFO, "a FIFO"),
    ):
        if is_it(found.st_mode):
            return name
    return "a special file"


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None
