"""The names of everything in the spool directory, where that directory is, and how its files come into being.

Everything lies in ``<spool>/v1``, a directory of ours with mode 0700; every file has mode 0600, whatever the umask::

    destinations/<key>.json      where records go; the key is part of the content's SHA-256; never changed
    flusher.lock                 held by the process that sends
    start.lock, start.json       held by the process that starts one; failures so far and not-before
    ledger.a, ledger.b           what was settled (``spool.ledger``)
    birth/<id>/, writers/<id>/   one per process, built aside, then renamed into place
        alive.lock               held by that process for its life
        who.json                 which process that is (``spool.identity``)
        blackbox                 what it has to tell besides records (``spool.blackbox``)
        000001.seg …             its records (``spool.record``), at most 1 MiB each
        x-<random>.seg           one record, written past the append lock
    set_aside/                   refused for good, or damaged, each with its reason
    flusher.log                  the flusher's own trouble, capped
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Optional

from lastword.errors import SpoolError

FORMAT = "v1"
ALIVE_LOCK, WHO, BLACKBOX = "alive.lock", "who.json", "blackbox"
EXTRA_PREFIX, SEGMENT_SUFFIX = "x-", ".seg"

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)


class Layout:
    """Paths inside one spool directory. Makes nothing and checks nothing."""

    def __init__(self, spool: str) -> None:
        parent, name = os.path.split(os.path.abspath(spool))
        self.spool = os.path.join(os.path.realpath(parent), name)  # one path per file, which ``lock`` relies on
        self.base = os.path.join(self.spool, FORMAT)
        self.destinations = self._in_base("destinations")
        self.birth = self._in_base("birth")
        self.writers = self._in_base("writers")
        self.set_aside = self._in_base("set_aside")
        self.flusher_lock = self._in_base("flusher.lock")
        self.start_lock = self._in_base("start.lock")
        self.start_state = self._in_base("start.json")
        self.ledger_copies = (self._in_base("ledger.a"), self._in_base("ledger.b"))
        self.flusher_log = self._in_base("flusher.log")

    def _in_base(self, name: str) -> str:
        return os.path.join(self.base, name)

    def destination(self, key: str) -> str:
        return os.path.join(self.destinations, key + ".json")

    def writer(self, writer_id: str) -> str:
        return os.path.join(self.writers, writer_id)

    @property
    def directories(self) -> tuple[str, ...]:
        return (self.spool, self.base, self.destinations, self.birth, self.writers, self.set_aside)

    def has_writers(self) -> bool:
        """Whether any process has left something here, or still may."""
        try:
            return bool(os.listdir(self.writers))
        except OSError:
            return False

    def prepare(self) -> None:
        """Make the directories that are missing and check that all are ours alone; raises SpoolError."""
        if hasattr(os, "geteuid"):
            _refuse_foreign_ground(self.spool, os.geteuid())
        try:
            os.makedirs(os.path.dirname(self.spool), exist_ok=True)
        except OSError as error:
            raise SpoolError(f"the spool {self.spool} cannot be made: {error}") from None
        for path in self.directories:
            make_private_directory(path)


def segment_name(number: int) -> str:
    return f"{number:06d}{SEGMENT_SUFFIX}"


def segment_number(name: str) -> Optional[int]:
    """The number of a numbered segment; None for any other file name."""
    stem, dot, suffix = name.rpartition(".")
    return int(stem) if dot + suffix == SEGMENT_SUFFIX and stem.isascii() and stem.isdigit() else None


def is_extra_segment(name: str) -> bool:
    return name.startswith(EXTRA_PREFIX) and name.endswith(SEGMENT_SUFFIX)


def candidates(configured: Optional[str], environ: Mapping[str, str], euid: int) -> list[str]:
    """The directories where the spool may be, the preferred one first. A configured one stands alone."""
    if configured:
        return [configured]
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
    return found


def existing(paths: list[str]) -> Optional[Layout]:
    """The first of ``paths`` that holds a spool; None when none does."""
    for path in paths:
        layout = Layout(path)
        if os.path.isdir(layout.base):
            return layout
    return None


def find(configured: Optional[str] = None) -> Optional[Layout]:
    """The spool that a program with this configuration and environment uses, if it is there. Makes nothing."""
    return existing(candidates(configured, os.environ, os.geteuid()))


def first_usable(paths: list[str]) -> Layout:
    """Prepare the first of ``paths`` that can be; raises SpoolError, naming each and its trouble, when none can."""
    troubles = []
    for path in paths:
        layout = Layout(path)
        try:
            layout.prepare()
        except SpoolError as error:
            troubles.append(str(error))
        else:
            return layout
    raise SpoolError("; ".join(troubles))


def make_private_directory(path: str) -> None:
    """Make ``path`` with mode 0700, or check that it is a real directory of ours and close it to others."""
    try:
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        found = os.lstat(path)
        if not stat.S_ISDIR(found.st_mode):
            raise SpoolError(f"{path} is not a directory (a symbolic link is not accepted); move it away")
        if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
            raise SpoolError(f"{path} belongs to uid {found.st_uid}, not to uid {os.geteuid()}; choose another spool")
        if stat.S_IMODE(found.st_mode) != 0o700:
            os.chmod(path, 0o700)
        if not os.access(path, os.W_OK | os.X_OK):
            raise SpoolError(f"{path} cannot be written to")
    except OSError as error:
        raise SpoolError(f"{path} cannot be used: {error}") from None


def _refuse_foreign_ground(spool: str, euid: int) -> None:
    """Root leaves nothing in a directory tree of somebody else (``sudo`` keeps HOME)."""
    if euid != 0:
        return
    ground = spool
    while not os.path.lexists(ground):
        ground = os.path.dirname(ground)
    owner = os.lstat(ground).st_uid
    if owner != 0:
        raise SpoolError(f"{ground} belongs to uid {owner}; root does not keep a spool there")


def remove_directory(path: str) -> bool:
    """Remove a writer's directory and its files, its lock last; true once it is gone. What cannot be removed stays."""
    try:
        for name in sorted(os.listdir(path), key=lambda name: name == ALIVE_LOCK):
            os.unlink(os.path.join(path, name))
        os.rmdir(path)
    except FileNotFoundError:
        return not os.path.lexists(path)
    except OSError:
        return False
    return True


def open_private(path: str, flags: int) -> int:
    """Open a spool file, never through a symbolic link; one that is created has mode 0600 whatever the umask."""
    descriptor = os.open(path, flags | _NOFOLLOW | _CLOEXEC, 0o600)
    if flags & os.O_CREAT:
        try:
            os.fchmod(descriptor, 0o600)
        except OSError:
            os.close(descriptor)
            raise
    return descriptor


def read_small_file(path: str, limit: int = 1 << 20) -> bytes:
    """The first ``limit`` bytes of a spool file; raises OSError."""
    descriptor = open_private(path, os.O_RDONLY)
    try:
        pieces = []
        while limit > 0:
            piece = os.read(descriptor, limit)
            if not piece:
                break
            pieces.append(piece)
            limit -= len(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def write_whole_file(path: str, content: bytes, aside: str) -> None:
    """Put ``content`` at ``path`` in one step, by way of the not yet existing path ``aside``; raises OSError."""
    descriptor = open_private(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        try:
            write_all(descriptor, content)
        finally:
            os.close(descriptor)
        os.replace(aside, path)
    except OSError:
        os.unlink(aside)
        raise


def write_all(descriptor: int, content: bytes) -> None:
    """Write every byte of ``content``; raises OSError."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
