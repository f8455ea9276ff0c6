"""Foreign files and damage in a spool, and what to do about them. Changes nothing.

None of this stops a capture or a flusher: only the files concerned are affected. A finding is a value, made here or, if
it follows from more than the files, in ``cli/diagnosis``; ``lastword status`` and ``doctor`` show both alike.
"""

from __future__ import annotations

import os
import shlex
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Callable, Literal, NamedTuple, Optional

from lastword.audit.strangers import strangers_above
from lastword.errors import ConfigError
from lastword.spool import blackbox, destination, inside, redirects
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
from lastword.spool.ownership import MOVED_SUFFIX
from lastword.spool.reader import MOST_READ

#: The most findings in all: a spool may be full of planted files.
MOST = 200

#: Seconds. A file that is being written can look damaged for a moment: it counts if it still does this much later.
_SECOND_SCAN_AFTER = 0.05

#: The most findings of each kind: thousands of foreign files are one problem.
_MOST_OF_A_KIND = 50

_REMOVED_LATER = "find out what changes files in the spool; this one is removed some time after its process has ended"

_OWN_NAMES = frozenset({ALIVE_LOCK, WHO, BLACKBOX})
_NFS_PREFIX = ".nfs"  # NFS gives a removed file this name while it is still open

#: ``ok``: as it should be; ``note``: worth knowing; ``warning``: it may cost events, or was a user's decision;
#: ``problem``: events are lost or not sent until a user acts.
Kind = Literal["ok", "note", "warning", "problem"]


class Finding(NamedTuple):
    """What was checked, its state, and what to do about it; a warning or problem always has a ``remedy``."""

    kind: Kind
    about: str
    text: str
    remedy: str = ""


def problem(text: str, remedy: str) -> Finding:
    """Return a problem with the spool's place or files."""
    return Finding("problem", "spool", text, remedy)


def warning(text: str, remedy: str) -> Finding:
    """Return a warning about the spool's place or files."""
    return Finding("warning", "spool", text, remedy)


def findings(layout: Layout, undescribed: Optional[Collection[str]] = None) -> list[Finding]:
    """Return what is wrong in this spool, ``MOST`` findings at most. Never raises OSError.

    ``undescribed``: the writers whose descriptions of themselves were just found unreadable; None if no caller has
    checked.
    """
    suspected = _scan(layout, MOST, undescribed)
    if suspected:
        time.sleep(_SECOND_SCAN_AFTER)
        again = set(_scan(layout, 2 * MOST, undescribed))
        suspected = [finding for finding in suspected if finding in again]
    return suspected


def _scan(layout: Layout, most: int, undescribed: Optional[Collection[str]]) -> list[Finding]:
    parts = _way_there, _base, _ledger, _destinations, _redirects, _births, _contents, _writers_themselves
    with inside.kept_to_look(layout.base), inside.kept_to_look(layout.writers):
        return list(islice(_parts(layout, (*parts, partial(_descriptions, undescribed=undescribed))), most))


def unread_paths(layout: Layout) -> list[str]:
    """Return a sentence for each path that no command reads, and why; ``MOST`` at most. Never raises OSError."""
    return [finding.text for finding in islice(_parts(layout, (_base, _contents, _writers_themselves)), MOST)]


def _parts(layout: Layout, parts: tuple[Callable[[Layout], Iterator[Finding]], ...]) -> Iterator[Finding]:
    for part in parts:
        with suppress(OSError):
            yield from islice(part(layout), _MOST_OF_A_KIND)


def _way_there(layout: Layout) -> Iterator[Finding]:
    spool = _lstat(layout.spool)
    for one in strangers_above(layout.named, os.geteuid() if spool is None else spool.st_uid):
        yield warning(  # only a warning, because a user named the place: every emptyDir of Kubernetes is like this
            f"{one.who}, above the spool, and could replace it by another directory",
            f"{one.remedy}, or keep the spool elsewhere; docs/operations.md has a layout for Kubernetes",
        )


def _base(layout: Layout) -> Iterator[Finding]:
    """Check the directories and files with fixed names, and the way to them."""
    spool = _lstat(layout.spool)
    if spool is None:
        return
    for path in (layout.spool, layout.base):
        trouble = _trouble_with_directory(path, _lstat(path), spool.st_uid)
        if trouble is not None:
            yield problem(trouble, "move it away")
            return
    directories = [layout.destinations, layout.birth, layout.writers, layout.set_aside]
    directories += [layout.orders, layout.redirects, layout.refused]
    files = [layout.flusher_lock, layout.start_lock, layout.successor_lock, layout.helper_lock, layout.cli_lock]
    files += [layout.start_state, layout.in_flight, layout.leader, layout.flusher_log]
    for name, found in _inside(layout.base):
        path = os.path.join(layout.base, name)
        trouble = None
        if path in directories:
            trouble = _trouble_with_directory(path, found, spool.st_uid)
        elif path in files:
            trouble = _trouble_with_file(path, found, spool.st_uid)
            if trouble is not None and path in (layout.flusher_lock, layout.start_lock):
                trouble += ": nothing is sent"
        if trouble is not None:
            yield problem(trouble, "move it away")
        elif name.endswith(MOVED_SUFFIX):
            yield problem(f"{path} is a foreign file that had one of lastword's names", "inspect it, then remove it")


def _contents(layout: Layout) -> Iterator[Finding]:
    """Check the contents of the directories whose files have no fixed names."""
    owner = os.lstat(layout.spool).st_uid
    for directory in (layout.set_aside, layout.orders, layout.redirects, layout.refused):
        with suppress(OSError):
            for name, found in _inside(directory):
                trouble = _trouble_with_file(os.path.join(directory, name), found, owner)
                if trouble is not None:
                    yield problem(trouble, "move it away")


def _ledger(layout: Layout) -> Iterator[Finding]:
    damaged = [path for path in layout.ledger_copies if inside.lexists(path) and not Ledger.is_whole(path)]
    if len(damaged) == len(layout.ledger_copies):
        yield problem(
            "both copies of the ledger are damaged: its counts are lost, and some events are sent again",
            "find out what else writes to the spool, and check the disk; the next flusher begins a new ledger",
        )
        return
    for path in damaged:
        trouble = _trouble_with_file(path, inside.lstat(path), os.lstat(layout.spool).st_uid)
        yield warning(
            f"{trouble or f'{path} is damaged'}; the other copy is used",
            "nothing to do: the flusher writes it again at its second checkpoint from now",
        )


def _destinations(layout: Layout) -> Iterator[Finding]:
    for name, _ in _inside(layout.destinations):
        key, suffix, rest = name.partition(".json")
        if not suffix or rest.endswith(MOVED_SUFFIX):
            path = os.path.join(layout.destinations, name)
            yield problem(f"{path} is not a file of lastword's", "inspect it, then remove it")
        elif not rest:
            try:
                destination.load(layout, key)
            except ConfigError as error:
                remedy = f"start a program with its DSN, or send them with `lastword redirect {shlex.quote(key)} DSN`"
                yield problem(f"{error}. Events for it wait", remedy)


def _redirects(layout: Layout) -> Iterator[Finding]:
    ignored = redirects.count_ignored(layout)
    if ignored:
        text = f"{ignored} redirects in {layout.redirects} are ignored: there are too many, or they are too large"
        yield problem(text, "remove the files there that `lastword redirect` did not write")


def _births(layout: Layout) -> Iterator[Finding]:
    for name, _ in _inside(layout.birth):
        if not is_writer_id(name):
            yield problem(f"{os.path.join(layout.birth, name)} is not a file of lastword's", "move it away")


def _writers_themselves(layout: Layout) -> Iterator[Finding]:
    owner = os.lstat(layout.spool).st_uid
    for name, found in _inside(layout.writers):
        path = os.path.join(layout.writers, name)
        if not (is_writer_id(name) and stat.S_ISDIR(found.st_mode)):
            yield problem(f"{path} is {_kind(found)} and not a writer's directory", "move it away")
            continue
        try:
            yield from _files_of_writer(path, owner)
        except PermissionError:
            whose = f" (it belongs to uid {found.st_uid})" if found.st_uid != owner else ""
            yield problem(f"{path} cannot be read{whose}", "give it mode 0700 and the spool's owner (chmod, chown)")
        except FileNotFoundError:  # retired during the check
            pass


def _files_of_writer(directory: str, owner: int) -> Iterator[Finding]:
    for name, found in _inside(directory):
        path = os.path.join(directory, name)
        if name in _OWN_NAMES or is_extra_segment(name) or segment_number(name) is not None:
            trouble = _trouble_with_file(path, found, owner)
            if trouble is not None:
                yield problem(trouble, "move it away")
            elif name.endswith(SEGMENT_SUFFIX) and found.st_size > MOST_READ:
                text = f"{path} is larger than a segment can be; only its beginning is read"
                yield problem(text, "find out what else writes to it")
        elif not (name.startswith(_NFS_PREFIX) or name.endswith(UNFINISHED_SUFFIX)):
            yield problem(f"{path} is {_kind(found)} and not one of lastword's", "move it away")


def _descriptions(layout: Layout, undescribed: Optional[Collection[str]]) -> Iterator[Finding]:
    """Check the files in which writers describe themselves."""
    names = layout.writer_ids() - Ledger.load(layout).retired if undescribed is None else undescribed
    for name in sorted(names):
        who, box = (os.path.join(layout.writer(name), file) for file in (WHO, BLACKBOX))
        with inside.kept_to_look(layout.writer(name)):
            damaged = {
                f"{who} is missing or damaged; only its lock shows whether its process is alive": not read_who(who),
                f"{box} is missing or damaged; refusals by its process are not counted": blackbox.read(box) is None,
            }
        for text, is_damaged in damaged.items():
            if is_damaged and inside.lexists(layout.writer(name)):
                yield problem(text, _REMOVED_LATER)


def _trouble_with_directory(path: str, found: os.stat_result | None, owner: int) -> str | None:
    """Return what is wrong with a path that should be a directory of the spool's ``owner`` (uid).

    None if it does not exist yet, or nothing is wrong.
    """
    if found is None:
        return None
    if not stat.S_ISDIR(found.st_mode):
        return f"{path} is {_kind(found)} where a directory should be"
    return f"{path} belongs to uid {found.st_uid}, not to uid {owner}" if found.st_uid != owner else None


def _trouble_with_file(path: str, found: os.stat_result, owner: int) -> str | None:
    """Return what is wrong with a path that should be a file of the spool's ``owner`` (uid); None if nothing is.

    The file is not opened, because closing it would drop a lock that this process may hold on it.
    """
    if not stat.S_ISREG(found.st_mode):
        return f"{path} is {_kind(found)} where a file should be"
    if found.st_uid != owner:
        return f"{path} belongs to uid {found.st_uid}, not to uid {owner}"
    return None if found.st_mode & stat.S_IRUSR or os.geteuid() == 0 else f"{path} cannot be read"


def _kind(found: os.stat_result) -> str:
    for is_it, name in (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISREG, "a file"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if is_it(found.st_mode):
            return name
    return "a device"


def _inside(directory: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield name and status of each entry of a spool directory, in order; none if it is missing. Raises OSError."""
    try:
        with inside.directory(directory) as descriptor:
            for name in sorted(os.listdir(descriptor)):
                with suppress(FileNotFoundError):
                    yield name, os.lstat(name, dir_fd=descriptor)
    except FileNotFoundError:
        pass


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None
