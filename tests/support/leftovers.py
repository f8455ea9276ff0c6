"""Finds processes that tests started and that are still there, whoever their parent is now."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")

#: Helpers that multiprocessing keeps for as long as its process lives; they leave with it.
KEPT_BY_MULTIPROCESSING = (b"multiprocessing.resource_tracker", b"multiprocessing.forkserver")


class Leftovers:
    """The living processes, other than this one, that belong to the tests whose files lie under ``directory``.

    A process belongs to them if it is a child of this one, or if its command line, its environment at start, its
    working directory or one of its open files names ``directory``. A detached flusher is known by its environment, a
    daemon that was merely forked off by its files. Where there is no /proc, nothing is ever found.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = os.fsencode(directory.resolve()) + b"/"

    def wait(self, seconds: float) -> list[str]:
        """Give them ``seconds`` to leave; returns one line for each that has not."""
        deadline = time.monotonic() + seconds
        while (found := self._find()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return [f"process {pid}: {os.fsdecode(command)}" for pid, command in found.items()]

    def kill(self) -> None:
        """End those that did not leave."""
        for pid in self._find():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _find(self) -> dict[int, bytes]:
        found = {}
        for pid in [int(entry.name) for entry in PROC.glob("[0-9]*")]:
            # It may be gone by now, or belong to somebody else; then it is none of ours.
            with contextlib.suppress(OSError):
                if pid != os.getpid() and self._belongs(pid):
                    found[pid] = (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").strip()
        return found

    def _belongs(self, pid: int) -> bool:
        state, parent = _state_and_parent(pid)
        if state in ("Z", "X"):
            return False
        if parent == os.getpid():
            command = (PROC / str(pid) / "cmdline").read_bytes()
            return not any(helper in command for helper in KEPT_BY_MULTIPROCESSING)
        return any(self._directory in trace for trace in _traces(pid))


def _state_and_parent(pid: int) -> tuple[str, int]:
    after_name = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    return after_name[0], int(after_name[1])


def _traces(pid: int) -> Iterator[bytes]:
    process = PROC / str(pid)
    yield (process / "environ").read_bytes()
    yield (process / "cmdline").read_bytes()
    yield os.fsencode(os.readlink(process / "cwd")) + b"/"
    for descriptor in (process / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield os.fsencode(os.readlink(descriptor))
