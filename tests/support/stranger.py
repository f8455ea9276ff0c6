"""Another user, who may write where a spool lies, and does there what one can do."""

from __future__ import annotations

import ctypes
import os
import pwd
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Callable

from tests.support.second_user import Other

_AT_FDCWD, _EXCHANGE = -100, 2
_libc = ctypes.CDLL(None, use_errno=True)

#: Turns of a race, and seconds that it may last.
MOST_TURNS, LONGEST = 5_000, 45

#: Directories that a spool has.
INNER = ("writers", "birth", "set_aside", "destinations", "orders", "redirects", "refused")
FILES = (
    "flusher.lock",
    "helper.lock",
    "start.lock",
    "cli.lock",
    "flusher.log",
    "start.json",
    "ledger.a",
    "in_flight.json",
)


def uid_of_nobody() -> int:
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return 65_534


NOBODY = uid_of_nobody()


def exchange(one: Path, other: Path) -> None:
    """Each gets the place of the other, in one step where the system has that; raises OSError."""
    if getattr(_libc, "renameat2", None) is None:
        between = one.with_name(f".{one.name}")
        one.rename(between)
        other.rename(one)
        between.rename(other)
    elif _libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE):
        raise OSError(ctypes.get_errno(), "renameat2", str(one))


class Attack:
    """What is tried at the directory ``name`` of ``shared``, to get at ``target`` and ``secrets``."""

    def __init__(self, shared: Path, name: str, target: Path, secrets: tuple[str, ...]) -> None:
        self.place = shared / name
        self._shared = shared
        self._target = target
        self._secrets = secrets

    def prepare(self) -> None:
        """Make what is to take its place: spools of the stranger's that lead elsewhere in every way, and the like."""
        os.umask(0)
        for name, leads_to in (("theirs", self._target), ("back", self.place)):
            base = self._shared / name / "v1"
            base.mkdir(parents=True)
            for inner in INNER:
                (base / inner).symlink_to(leads_to / "v1" / inner)
            for file in FILES:
                (base / file).symlink_to(leads_to / "v1" / file)
        (self._shared / "hollow").mkdir()
        (self._shared / "hollow/v1").symlink_to(self._target / "v1")
        (self._shared / "hollow/spool").symlink_to(self._target)  # where the spool lies below the place
        real = self._shared / "real/v1"
        for inner in (*INNER, "writers/" + "0" * 32):
            (real / inner).mkdir(parents=True)
        for file in FILES:
            (real / file).touch()
        (self._shared / "link").symlink_to(self._target)
        (self._shared / "nowhere").symlink_to(self._shared / "is-not-there")
        os.mkfifo(self._shared / "fifo")
        (self._shared / "file").touch()
        os.chdir(self._shared)  # a socket's path is short
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("socket")
        os.chdir("/")  # the directory of the tests may be closed to this user

    BAITS = ("theirs", "back", "hollow", "real", "link", "nowhere", "fifo", "file", "socket")

    def exchange_for_good(self, bait: str) -> None:
        """What was there has the bait's name then."""
        with suppress(PermissionError):  # a sticky bit
            exchange(self._shared / bait, self.place)

    def go_on(self, over: Path) -> None:
        """Exchange it, and put it back, until ``over`` is there."""
        ends = time.monotonic() + LONGEST
        for turn in range(MOST_TURNS):
            if over.exists() or time.monotonic() > ends:
                return
            bait = self._shared / self.BAITS[turn % len(self.BAITS)]
            for stays in 0.001 * (turn % 3), 0.002 * (turn % 4):
                with suppress(OSError):
                    exchange(bait, self.place)
                time.sleep(stays)
            if turn % 20 == 0:
                self.read_what_can_be_read(self._shared)

    def read_what_can_be_read(self, ground: Path) -> None:
        """Fails where that has a secret."""
        for path in _reachable(ground):
            with suppress(OSError):
                descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
                try:
                    found = os.read(descriptor, 1 << 20) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
                finally:
                    os.close(descriptor)
                assert [one for one in self._secrets if one.encode() in found] == [], path


def _reachable(ground: Path) -> Iterator[str]:
    for directory, _, names in os.walk(ground):
        yield from (os.path.join(directory, name) for name in names)


@contextmanager
def at_work(body: Callable[[], object]) -> Iterator[None]:
    """The stranger does that meanwhile, and is waited for at the end."""
    nobody = Other(NOBODY, body)
    try:
        yield
    finally:
        nobody.end()


def all_of(directory: Path) -> dict[str, tuple[object, ...]]:
    """All that is in there: kinds, modes, owners, names, times and contents."""
    found: dict[str, tuple[object, ...]] = {}
    for path in (directory, *sorted(directory.rglob("*"))):
        seen = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (
            seen.st_mode,
            seen.st_uid,
            seen.st_gid,
            seen.st_nlink,
            seen.st_mtime_ns,
            seen.st_ctime_ns,
            content,
        )
    return found
