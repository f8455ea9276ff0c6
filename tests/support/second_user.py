"""Running a part of a test as somebody else: a forked child that gives up root for good."""

from __future__ import annotations

import importlib
import os
import pkgutil
import shutil
import signal
import stat
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Callable

import lastword.cli
import lastword.flusher
from tests.support import needs

#: Two users whom no machine knows by name.
VICTIM, ATTACKER = 54_321, 54_322

ROOT = needs.capability(hasattr(os, "geteuid") and os.geteuid() == 0, "root")


class Other:
    """A function that runs as another user, in a child of this process."""

    def __init__(self, uid: int, body: Callable[[], object]) -> None:
        self._trouble, write_end = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _be(uid, body, write_end)
        os.close(write_end)

    def end(self) -> None:
        """Wait for it; fails with its traceback if it raised anything."""
        with os.fdopen(self._trouble, "r", errors="replace") as pipe:
            trouble = pipe.read()
        os.waitpid(self._pid, 0)
        assert not trouble, trouble


def as_user(uid: int, body: Callable[[], object]) -> None:
    """Run ``body`` as user ``uid`` and wait for it; fails if it raised anything."""
    Other(uid, body).end()


@contextmanager
def open_ground() -> Iterator[Path]:
    """A directory of root's that every user can reach, as ``tmp_path`` is not."""
    ground = Path(tempfile.mkdtemp(prefix="lastword-users-", dir="/tmp"))
    ground.chmod(0o755)
    try:
        yield ground
    finally:
        shutil.rmtree(ground)


def make_shared(directory: Path, mode: int) -> Path:
    directory.mkdir()
    directory.chmod(mode)
    return directory


def owned_by(uid: int, directory: Path) -> list[str]:
    """Everything in there, links not followed, that belongs to ``uid``."""
    found = [directory, *directory.rglob("*")]
    return [str(path) for path in found if path.lstat().st_uid == uid and not stat.S_ISLNK(path.lstat().st_mode)]


def _be(uid: int, body: Callable[[], object], trouble: int) -> None:
    try:
        signal.alarm(60)  # nobody waits for a part that hangs
        _load_what_loads_late()
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        body()
    except BaseException:
        os.write(trouble, traceback.format_exc().encode())
    finally:
        os._exit(0)


def _load_what_loads_late() -> None:
    """The other user may not be able to read the package: a clone below ``mktemp -d`` is closed to everybody else."""
    for package in (lastword.cli, lastword.flusher):
        for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)
