"""The promise: whatever stands in a spool, a command that looks at it ends soon, needs little memory, shows nothing of
what lies elsewhere, and says what it has passed over. Root looks at a spool of another user's, who has planted it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest

from lastword import cli
from lastword.event import new_id
from lastword.spool import aside, orders, redirects
from lastword.spool.layout import Layout, segment_name
from lastword.spool.ledger import Ledger
from lastword.spool.start import StartState, store
from tests.support.planted import hold, record, writer_of
from tests.support.promise import Section, promise
from tests.support.second_user import VICTIM
from tests.support.spools import impatient_flushers

SECRET = "root:$6$of-nobody-elses-business"

#: Seconds for one command, on a machine that is slow; and bytes that it may need more than with a spool that is whole.
DEADLINE, MOST_MEMORY = 60, 64 << 20

IS_ROOT = os.geteuid() == 0


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Path]:
    """What is not to be seen, and room for spools."""
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "elsewhere" / f"{SECRET}.record").write_text(SECRET)
    yield tmp_path


def whole_spool(path: Path, dsn: str) -> Layout:
    """One with a file for each name that a spool has."""
    with writer_of(path) as writer:
        record(writer, 2, dsn=dsn)
        layout = writer.layout
        refused = aside.Head("refused", "HTTP 400", 1.0)
        aside.put(layout, f"{new_id()}.record", refused, writer.id, segment_name(1), 0, 100)
        [destination] = Path(layout.destinations).iterdir()
        redirects.give(layout, None, destination.stem)
    orders.give(layout, orders.Order(orders.PURGE, ["none"]))
    ledger = Ledger()
    ledger.health(destination.stem).last_error = "HTTP 503"
    ledger.store(layout)
    ledger.store(layout)
    store(layout, StartState(failures=3))
    base = Path(layout.base)
    (base / "flusher.log").write_text("it went well\n")
    (base / "flusher.json").write_text(json.dumps({"pid": 1, "lastword": "0.0.1", "since": 1.0, "signs": True}))
    (base / "in_flight.json").write_text("{}")
    for name in ("flusher.lock", "start.lock", "helper.lock", "successor.lock", "cli.lock"):
        (base / name).touch()
    (base / "refused").mkdir()
    (base / "refused" / "no spool").write_bytes(b"..")
    return layout


def give(spool: Path, uid: int) -> None:
    """Make it a spool of this user's."""
    for path in (spool, *spool.rglob("*")):
        if not path.is_symlink() or path.lstat().st_uid != uid:
            os.lchown(path, uid, uid)


def plant_fifo(path: Path, ground: Path) -> None:
    os.mkfifo(path)


def plant_socket(path: Path, ground: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as listening, contextlib.suppress(OSError):
        listening.bind(path.name)
    os.chdir(here)


def plant_sparse(path: Path, ground: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


def plant_link_to_another_spool(path: Path, ground: Path) -> None:
    path.symlink_to(ground / "roots" / path.relative_to(ground / "spool"))


def plant_hard_link(path: Path, ground: Path) -> None:
    os.link(ground / "secret", path)


#: What may be planted in the place of a file, or of a directory.
FILES: dict[str, Callable[[Path, Path], object]] = {
    "a FIFO": plant_fifo,
    "a socket": plant_socket,
    "a link to /dev/zero": lambda path, ground: path.symlink_to("/dev/zero"),
    "a link to a secret": lambda path, ground: path.symlink_to(ground / "secret"),
    "a link to a directory": lambda path, ground: path.symlink_to(ground / "elsewhere"),
    "a link to another spool": lambda path, ground: path.symlink_to(
        ground / "roots" / path.relative_to(ground / "spool")
    ),
    "a directory": lambda path, ground: path.mkdir(),
    "a terabyte": plant_sparse,
}
if IS_ROOT:
    FILES["a hard link to a secret"] = plant_hard_link  # of root's, in the spool of another user
    FILES["a device"] = lambda path, ground: os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))

#: Commands that only look, which root may do with anybody's spool, and those that change something. `doctor` does all
#: that `status` does.
LOOKS = [["doctor"], ["ls"], ["ls", "--set-aside"], ["show", "0"]]
CHANGES = [
    ["replay", "--all"],
    ["purge", "0"],
    ["redirect", "none", "booboo+http://token@127.0.0.1:1/a/b"],
    ["flush", "--timeout", "1"],
]


def names_of(layout: Layout) -> list[Path]:
    """Every file and directory of a whole spool, below it."""
    return sorted(path.relative_to(layout.spool) for path in Path(layout.spool).rglob("*"))


def in_a_child(body: Callable[[], object]) -> tuple[str, int]:
    """What ``body`` prints in a child of this process, and the most memory (bytes) that this child had. Fails with its
    traceback, or where it is not done within ``DEADLINE`` since the last call of ``signal.alarm``.
    """
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        told = io.StringIO()
        try:
            with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
                body()
        except BaseException:
            told.write(f"FAILED: {traceback.format_exc()}")
        finally:
            with os.fdopen(write_end, "w", errors="backslashreplace") as pipe:
                pipe.write(told.getvalue())
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        text = pipe.read()
    _, status, usage = os.wait4(child, 0)
    assert (status, text.partition("FAILED: ")[2]) == (0, ""), f"{text}\n{status}"
    return text, usage.ru_maxrss * (1024 if sys.platform.startswith("linux") else 1)


def run(commands: list[list[str]], spool: Path) -> None:
    for command in commands:
        signal.alarm(DEADLINE)
        assert cli.main([*command, "--spool", str(spool)]) in (0, 1, 2)
    signal.alarm(0)


@contextlib.contextmanager
def planted(path: Path, ground: Path, plant: Callable[[Path, Path], object]) -> Iterator[None]:
    """Something in the place of a file or directory of a spool, for a while."""
    path.rename(ground / "kept")
    plant(path, ground)
    if IS_ROOT:
        hard_link = path.lstat().st_nlink > 1 and not path.is_dir()
        if not hard_link:
            os.lchown(path, VICTIM, VICTIM)
    yield
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (ground / "kept").rename(path)


#: What is as good as what should be there: an empty directory, a file whose beginning alone is read.
HARMLESS = {
    "a directory": ("spool", "birth", "destinations", "orders", "redirects", "refused", "set_aside", "writers", "v1"),
    "a terabyte": (".lock", ".log", ".json", "ledger.a", "ledger.b", "blackbox", "no spool", ".record"),
}


def is_told(path: Path, text: str) -> bool:
    return str(path) in text or (path.parent.name == "destinations" and f"destination {path.stem} cannot be" in text)


@promise(
    Section.PRIVATE,
    "A command that reads a planted spool ends, needs little memory, shows nothing from outside and names "
    "what it skipped",
    broken_by="`flusher.log` opened by its path; links followed; owners not compared; nothing reported",
)
@pytest.mark.parametrize("how", FILES)
def test_commands_that_read_a_planted_spool(ground: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With each kind of foreign file under each name that a spool has, one at a time."""
    monkeypatch.setattr("lastword.audit.findings._SECOND_SCAN_AFTER", 0.0)
    spool = ground / "spool"
    layout = whole_spool(spool, "booboo+http://token@127.0.0.1:1/a/b")
    roots = hold(ground / "roots", 3)
    if IS_ROOT:
        give(spool, VICTIM)
    whole, memory = in_a_child(lambda: run(LOOKS, spool))
    assert "not read:" not in whole
    paths = [spool, *(spool / name for name in names_of(layout))]

    def look() -> None:
        for path in paths:
            with planted(path, ground, FILES[how]):
                sys.stdout.write(f"\0{path}\n")
                run(LOOKS, spool)

    text, more = in_a_child(look)
    assert SECRET not in text
    assert [event_id for event_id in roots if event_id in text] == []
    assert more - memory < MOST_MEMORY
    told = dict(part.split("\n", 1) for part in text.split("\0")[1:])
    assert list(told) == [str(path) for path in paths]
    for path in [path for path in paths if path.parent in (Path(layout.set_aside), Path(layout.writers))]:
        if how not in HARMLESS:
            assert f"lastword ls: not read: {path} " in told[str(path)]
            assert f"lastword show: not read: {path} " in told[str(path)]
    unsaid = [path for path in paths if not is_told(path, told[str(path)])]
    assert [path for path in unsaid if not path.name.endswith(HARMLESS.get(how, ()))] == []


@promise(
    Section.PRIVATE,
    "A command that changes a planted spool touches nothing outside it",
    broken_by="`cli.lock` opened through a link",
)
@pytest.mark.parametrize("how", [how for how in FILES if how not in ("a hard link to a secret", "a device")])
def test_commands_that_change_a_planted_spool(ground: Path, how: str) -> None:
    """With many foreign names in the owner's spool: the commands end, and write and remove nothing elsewhere."""
    spool = ground / "spool"
    layout = whole_spool(spool, "booboo+http://token@127.0.0.1:1/a/b")
    for path in [spool / name for name in names_of(layout)]:
        if path.is_file() and path.suffix not in (".seg", ".lock") and path.parent.name != "destinations":
            path.unlink()
            FILES[how](path, ground)
    Path(layout.cli_lock).unlink()
    FILES[how](Path(layout.cli_lock), ground)
    before = sorted((path, path.lstat().st_mtime_ns, path.lstat().st_size) for path in elsewhere(ground))
    with impatient_flushers():
        text, _ = in_a_child(lambda: run(CHANGES, spool))
    assert SECRET not in text
    assert sorted((path, path.lstat().st_mtime_ns, path.lstat().st_size) for path in elsewhere(ground)) == before
    assert (how == "a terabyte") == (f"{layout.cli_lock} cannot be locked" not in text)


def elsewhere(ground: Path) -> list[Path]:
    return [ground, ground / "secret", *(ground / "elsewhere").rglob("*")]
