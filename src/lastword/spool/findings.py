"""What is in a spool that should not be there, or is damaged, and what to do about it. Changes nothing.

None of this stops a capture or a flusher: it costs only what it touches. Everything found is said in one sentence, for
``lastword status``.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress

from lastword.errors import ConfigError
from lastword.spool import blackbox, destination
from lastword.spool.ground import MOVED_SUFFIX, stranger_on_the_way
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

#: What is being written just now can look damaged for a moment: it counts if it still does so this much later.
_SECOND_LOOK = 0.05

_OWN_NAMES = frozenset({ALIVE_LOCK, WHO, BLACKBOX})
_NFS_PREFIX = ".nfs"  # how NFS keeps a removed file that is still open; it goes by itself


def findings(layout: Layout) -> list[str]:
    """One sentence for each thing that is wrong in this spool. Never raises OSError."""
    suspected = list(_everything(layout))
    if suspected:
        time.sleep(_SECOND_LOOK)
        suspected = [text for text in _everything(layout) if text in suspected]
    return suspected


def _everything(layout: Layout) -> Iterator[str]:
    for part in (_way_there, _directories, _files, _ledger, _destinations, _births, _writers):
        with suppress(OSError):
            yield from part(layout)


def exposure(layout: Layout) -> str | None:
    """The finding that others could exchange the spool, which stands in the way of nothing; None where they could not,
    or where that cannot be told.
    """
    stranger = None
    with suppress(OSError):
        stranger = stranger_on_the_way(os.path.dirname(layout.spool))
    if stranger is None:
        return None
    return f"{stranger}: others could put another directory in the spool's place. Close it or use another place"


def _way_there(layout: Layout) -> Iterator[str]:
    exposed = exposure(layout)
    if exposed is not None:
        yield exposed


def _directories(layout: Layout) -> Iterator[str]:
    for path in (layout.base, layout.destinations, layout.birth, layout.writers, layout.set_aside):
        found = _lstat(path)
        if found is None or stat.S_ISDIR(found.st_mode):
            continue
        yield f"{path} is {_kind(found)} where a directory should be. Move it away"
    for name in sorted(_names(layout.base)):
        if name.endswith(MOVED_SUFFIX):
            path = os.path.join(layout.base, name)
            yield f"{path} stood in the place of something of lastword's. Look at it, then remove it"


def _files(layout: Layout) -> Iterator[str]:
    for path in (layout.flusher_lock, layout.start_lock):
        problem = _problem_with_file(path)
        if problem is not None:
            yield f"{problem}. Nothing is sent until it is moved away"
    for path in (layout.start_state, layout.flusher_log):
        problem = _problem_with_file(path)
        if problem is not None:
            yield f"{problem}. Move it away"


def _ledger(layout: Layout) -> Iterator[str]:
    damaged = [path for path in layout.ledger_copies if _lstat(path) is not None and not Ledger.is_whole(path)]
    if len(damaged) == len(layout.ledger_copies):
        yield "both copies of the ledger are damaged: what was counted is lost, and some events are sent again"
        return
    for path in damaged:
        yield f"{path} is damaged; the other copy counts, and this one is written anew at the checkpoint after the next"


def _destinations(layout: Layout) -> Iterator[str]:
    for name in sorted(_names(layout.destinations)):
        key, suffix, rest = name.partition(".json")
        if not suffix or rest.endswith(MOVED_SUFFIX):
            yield f"{os.path.join(layout.destinations, name)} is not lastword's. Look at it, then remove it"
        elif not rest:
            try:
                destination.load(layout, key)
            except ConfigError as error:
                yield f"{error}. Events for it wait until a program with its DSN begins to report"


def _births(layout: Layout) -> Iterator[str]:
    for name in sorted(_names(layout.birth)):
        if not is_writer_id(name):
            yield f"{os.path.join(layout.birth, name)} is not lastword's. Move it away"


def _writers(layout: Layout) -> Iterator[str]:
    present, retired = layout.writer_ids(), Ledger.load(layout).retired
    for name in sorted(_names(layout.writers)):
        path = os.path.join(layout.writers, name)
        found = _lstat(path)
        if found is None:
            continue
        if name not in present:
            yield f"{path} is {_kind(found)} and not a writer's directory. Move it away"
            continue
        with suppress(FileNotFoundError):  # retired while it was looked at
            yield from _writer(path, retired=name in retired)


def _writer(directory: str, *, retired: bool) -> Iterator[str]:
    try:
        names = sorted(os.listdir(directory))
    except PermissionError:
        yield f"{directory} cannot be read. Give it mode 0700 and your own user"
        return
    for name in names:
        path = os.path.join(directory, name)
        if name in _OWN_NAMES or is_extra_segment(name) or segment_number(name) is not None:
            problem = _problem_with_file(path)
            if problem is not None:
                yield f"{problem}. Move it away"
            elif name.endswith(SEGMENT_SUFFIX) and os.stat(path).st_size > MOST_READ:
                yield f"{path} is larger than a segment can be; only its beginning is read"
        elif not (name.startswith(_NFS_PREFIX) or name.endswith(UNFINISHED_SUFFIX)):
            found = _lstat(path)
            if found is not None:
                yield f"{path} is {_kind(found)} and not lastword's. Move it away"
    if retired:
        return
    if not read_who(os.path.join(directory, WHO)):
        yield f"{os.path.join(directory, WHO)} is missing or damaged; its lock alone tells whether its process lives"
    if blackbox.is_damaged(os.path.join(directory, BLACKBOX)):
        yield f"{os.path.join(directory, BLACKBOX)} is missing or damaged; what its process refused is not counted"


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
