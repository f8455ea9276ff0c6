"""The promise: the spool is its user's alone. Nobody else reads it, changes it, or lures us to another one."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Callable

import pytest

import lastword
from lastword import diagnostics, launch, sdk
from lastword.cli import status
from lastword.cli.diagnosis.place import check_owner
from lastword.config import Config
from lastword.dsn import Destination, Dsn
from lastword.errors import SpoolError
from lastword.flusher.daemon import run_detached
from lastword.recorder import Recorder
from lastword.spool.layout import Layout
from lastword.spool.record import encode_event
from lastword.spool.start import StartState, store
from lastword.spool.writer import Writer
from lastword.testing import LoopbackTracker
from tests.support.events import message_event
from tests.support.programs import run, wait_until_no_flusher
from tests.support.promise import Section, promise
from tests.support.second_user import ATTACKER, ROOT, VICTIM, Other, as_user, make_shared, open_ground, owned_by

SPOOL_NAME = f"lastword-{VICTIM}"
DSN = "booboo+http://victims-token@127.0.0.1:9/o/p"


@promise(
    Section.PRIVATE, "All files are private whatever the umask", broken_by="no fchmod of files; none of directories"
)
@pytest.mark.parametrize("mask", ["000", "777"])
def test_every_file_is_private_whatever_the_umask(tmp_path: Path, mask: str) -> None:
    """All that a program and its flusher make is 0600 and 0700: records, ledger, log, locks and what is set aside."""
    spool = tmp_path / "spool"
    body = f"""
os.umask(0o{mask})
for number in range(3): acked(lastword.capture_message(f"event {{number}}"))
"""
    with LoopbackTracker() as tracker:
        tracker.answer(400, times=1)
        run(body, spool=spool, dsn=tracker.dsn)
        tracker.wait_for(2)
        wait_until_no_flusher(spool)
    modes = {str(path.relative_to(spool)): path.lstat().st_mode for path in [spool, *spool.rglob("*")]}
    kinds = {name.rpartition(".")[2] for name in modes}
    assert {"json", "lock", "a", "b", "log", "record"} <= kinds, modes
    for name, mode in modes.items():
        assert stat.S_IMODE(mode) == (0o700 if stat.S_ISDIR(mode) else 0o600), name


@pytest.fixture
def ground() -> Iterator[Path]:
    with open_ground() as ground:
        yield ground


def has_home_nowhere(shared: Path) -> None:
    """Leave the victim nothing but the temporary directory that it shares with the attacker."""
    os.environ.update(HOME="/nonexistent", TMPDIR=str(shared))
    os.environ.pop("XDG_STATE_HOME", None)


def victim_captures(shared: Path, *, expect_refusal: bool) -> None:
    has_home_nowhere(shared)
    recorder = Recorder(Config(dsn=DSN))
    captured = recorder.record(message_event())
    assert (captured is None) == expect_refusal
    if expect_refusal:
        assert recorder.writer is None
        refusals = recorder._refusals.get()
        refusals.add_up()
        assert refusals._counts == {"no spool": 1}


def plant_spool(spool: Path, dsn: str) -> None:
    """What an attacker would like somebody else's flusher to find: an event, and a destination of the attacker's."""
    layout = Layout(str(spool))
    layout.prepare()
    writer = Writer.born(layout)
    destination = Destination(Dsn.parse(dsn), 5.0)
    writer.append(encode_event("ab" * 16, destination.key, message_event()), destination)
    writer.abandon()
    store(layout, StartState())
    for path in [spool, *spool.rglob("*")]:
        path.chmod(0o777)


def plant(kind: str, shared: Path, victims_own: Path) -> None:
    place, bait = shared / SPOOL_NAME, shared / "bait"
    if kind == "directory":
        plant_spool(place, DSN)
    elif kind == "link to a spool":
        plant_spool(bait, DSN)
        place.symlink_to(bait)
    elif kind == "link to the victim's own":
        place.symlink_to(victims_own)
    elif kind == "link to nowhere":
        place.symlink_to(shared / "nowhere")
    elif kind == "file":
        place.touch(mode=0o666)
    elif kind == "FIFO":
        os.mkfifo(place, 0o666)
    else:
        os.mkdir(place, 0o777)
        (place / "v1").symlink_to(victims_own)


KINDS = [
    "directory",
    "link to a spool",
    "link to the victim's own",
    "link to nowhere",
    "file",
    "FIFO",
    "directory with a link",
]


@promise(Section.PRIVATE, "A spool planted by another user is refused", broken_by="owner not checked; links followed")
@ROOT
@pytest.mark.parametrize("mode", [0o1777, 0o777], ids=["sticky", "not sticky"])
@pytest.mark.parametrize("kind", KINDS)
def test_spool_planted_by_another_user_is_refused(ground: Path, kind: str, mode: int) -> None:
    """It is not used, changed or followed; the event is refused and counted, and the program goes on."""
    shared = make_shared(ground / "tmp", mode)
    victims_own = ground / "own"
    victims_own.mkdir(mode=0o700)
    os.chown(victims_own, VICTIM, VICTIM)
    as_user(ATTACKER, lambda: plant(kind, shared, victims_own))
    before = sorted((path, path.lstat().st_mtime_ns) for path in shared.rglob("*"))
    as_user(VICTIM, lambda: victim_captures(shared, expect_refusal=True))
    assert sorted((path, path.lstat().st_mtime_ns) for path in shared.rglob("*")) == before
    assert owned_by(VICTIM, shared) == []
    assert list(victims_own.iterdir()) == []


@ROOT
def test_hard_link_in_the_spools_place_is_refused(ground: Path) -> None:
    """A file of the victim's own that was linked there is not taken for a spool, and keeps its content."""
    shared = make_shared(ground / "tmp", 0o1777)
    diary = ground / "diary"
    diary.write_text("dear diary")
    os.chown(diary, VICTIM, VICTIM)
    os.link(diary, shared / SPOOL_NAME)  # as root: kernels keep others from linking what they may not write to
    as_user(VICTIM, lambda: victim_captures(shared, expect_refusal=True))
    assert diary.read_text() == "dear diary"


@ROOT
def test_another_place_is_used_where_there_is_one(ground: Path) -> None:
    """A temporary directory that is a trap costs nothing where the home can be used."""
    shared = make_shared(ground / "tmp", 0o777)
    home = make_shared(ground / "home", 0o700)
    os.chown(home, VICTIM, VICTIM)

    def capture() -> None:
        has_home_nowhere(shared)
        os.environ["HOME"] = str(home)
        assert Recorder(Config(dsn=DSN)).record(message_event()) is not None

    as_user(VICTIM, capture)
    assert len(list((home / ".local/state/lastword/v1/writers").iterdir())) == 1


@promise(Section.PRIVATE, "No flusher starts on a planted spool", broken_by="anything there is accepted")
@ROOT
@pytest.mark.parametrize("mode", [0o1777, 0o777], ids=["sticky", "not sticky"])
def test_no_flusher_is_started_on_a_planted_spool(ground: Path, mode: int) -> None:
    """`init` checks for a spool with events; one that another user planted does not count."""
    shared = make_shared(ground / "tmp", mode)
    as_user(ATTACKER, lambda: plant("directory", shared, shared))

    def init() -> None:
        has_home_nowhere(shared)
        started: list[Layout] = []
        launch.spawn = lambda layout, *_, **__: started.append(layout)
        lastword.init(DSN)
        client = sdk.current_client()
        assert client is not None
        assert client.recorder.find_spool() is None
        assert lastword.capture_message("hello") is None
        assert started == []

    as_user(VICTIM, init)
    assert owned_by(VICTIM, shared) == []


@promise(Section.PRIVATE, "A flusher sends nothing from a planted spool", broken_by="the flusher does not check")
@ROOT
def test_a_flusher_sends_nothing_out_of_a_planted_spool(ground: Path) -> None:
    """Even a flusher that was started there, in the belief that it was ours, reads no DSN and leaves nothing behind."""
    shared = make_shared(ground / "tmp", 0o777)
    with LoopbackTracker() as tracker:
        as_user(ATTACKER, lambda: plant_spool(shared / SPOOL_NAME, tracker.dsn))
        as_user(VICTIM, lambda: run_detached(str(shared / SPOOL_NAME)))
        assert tracker.requests == []
    assert owned_by(VICTIM, shared) == []


@ROOT
def test_root_uses_no_spool_of_another_user(ground: Path) -> None:
    """Root neither writes to a spool of another user, named or not, nor makes one below another user's directory."""
    mine = make_shared(ground / "theirs", 0o755)
    os.chown(mine, ATTACKER, ATTACKER)
    as_user(ATTACKER, lambda: Layout(str(mine / "spool")).prepare())
    (mine / "roots").mkdir()
    for place in ("spool", "roots", "roots/below", "new"):
        for unasked in (True, False):
            with pytest.raises(SpoolError, match=f"belongs to uid {ATTACKER}"):
                Layout(str(mine / place)).prepare(is_default=unasked)
    assert list((mine / "roots").iterdir()) == []


@ROOT
def test_root_may_read_a_spool_of_another_user(ground: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`lastword status --spool` of another user's spool counts what is there, and changes nothing."""
    shared = make_shared(ground / "tmp", 0o1777)
    as_user(VICTIM, lambda: plant_spool(shared / "spool", DSN))
    before = sorted((path, path.lstat().st_mtime_ns) for path in shared.rglob("*"))
    status.run(spool=str(shared / "spool"))
    assert "1 recorded = 1 held" in capsys.readouterr().out
    assert sorted((path, path.lstat().st_mtime_ns) for path in shared.rglob("*")) == before


@promise(
    Section.PRIVATE,
    "The program, `status` and `doctor` say why a place cannot be used and what helps",
    broken_by="the message without a remedy",
)
@ROOT
def test_status_names_a_place_that_was_refused(ground: Path) -> None:
    """With the reason."""
    shared = make_shared(ground / "tmp", 0o1777)
    as_user(ATTACKER, lambda: plant("directory", shared, shared))

    def look() -> None:
        has_home_nowhere(shared)
        with pytest.raises(SpoolError, match=f"{SPOOL_NAME} belongs to uid {ATTACKER}.* LASTWORD_SPOOL"):
            status.run(spool=None)
        lastword.init(DSN)
        assert lastword.capture_message("hello") is None
        [said] = diagnostics.waiting()
        assert f"{SPOOL_NAME} belongs to uid {ATTACKER}" in said
        assert "LASTWORD_SPOOL" in said
        told = " ".join(one.text for one in check_owner(Layout(str(shared / "none")), None))
        assert f"{SPOOL_NAME} belongs to uid {ATTACKER}" in told

    as_user(VICTIM, look)


def attack(shared: Path, until: Path) -> None:
    """Put this and that in the spool's place, as fast as it goes, and move away what is there."""
    place, bait = shared / SPOOL_NAME, shared / "bait"
    plant_spool(bait, DSN)
    turns = count()
    steps: list[Callable[[], object]] = [
        lambda: os.rename(place, shared / f"taken-{next(turns)}"),
        lambda: os.symlink(bait, place),
        lambda: os.unlink(place),
        lambda: os.rename(bait, place),
        lambda: os.rename(place, bait),
        lambda: os.mkdir(place, 0o777),
        lambda: os.rmdir(place),
    ]
    while not until.exists():
        for step in steps:
            with suppress(OSError):
                step()


ATTEMPTS = 100


@promise(
    Section.PRIVATE,
    "In a race for the spool's place, only a spool of our own is used",
    broken_by="neither the directories above, nor the owner, nor links checked (any one suffices)",
)
@ROOT
@pytest.mark.parametrize("mode", [0o1777, 0o777], ids=["sticky", "not sticky"])
def test_race_for_the_spools_place_never_gives_a_foreign_spool(ground: Path, mode: int) -> None:
    """While another user exchanges what is in its place, the spool that is used is ours, or none is; in a directory
    that protects nobody's files, always none.
    """
    shared, over = make_shared(ground / "tmp", mode), ground / "over"

    def capture_again_and_again() -> None:
        has_home_nowhere(shared)
        kept = 0
        for _ in range(ATTEMPTS):
            recorder = Recorder(Config(dsn=DSN))
            if recorder.record(message_event()) is not None:
                writer = recorder.writer
                assert writer is not None
                found = os.lstat(shared / SPOOL_NAME)
                assert stat.S_ISDIR(found.st_mode) and found.st_uid == VICTIM
                assert owned_by(ATTACKER, shared / SPOOL_NAME) == []
                writer.abandon()
                shutil.rmtree(shared / SPOOL_NAME)
                kept += 1
        assert kept == 0 if mode == 0o777 else kept > 0
        if mode == 0o1777:  # where an event that was refused at the last moment is counted
            shutil.rmtree(shared / SPOOL_NAME, ignore_errors=True)

    attacker = Other(ATTACKER, lambda: attack(shared, over))
    try:
        deadline = time.monotonic() + 20
        while not (shared / "bait").exists() and not (shared / SPOOL_NAME).exists():
            assert time.monotonic() < deadline
        as_user(VICTIM, capture_again_and_again)
    finally:
        over.touch()
        attacker.end()
    assert owned_by(VICTIM, shared) == []


@promise(
    Section.PRIVATE,
    "No record is written into a spool that replaced the named one",
    broken_by="no check before a birth",
)
@ROOT
@pytest.mark.parametrize("when", ["before", "during"])
def test_named_spool_that_is_exchanged_gets_no_record(ground: Path, when: str) -> None:
    """A spool that was named may lie where nobody's files are protected. If it is exchanged, before a writer's birth or
    during it, no record is written into what took its place: the event is refused.
    """
    shared = make_shared(ground / "tmp", 0o777)
    place = shared / SPOOL_NAME
    (told, tell), (done, say_done) = os.pipe(), os.pipe()

    def exchange() -> None:
        assert os.read(told, 1)
        os.rename(place, shared / "taken")
        plant("directory", shared, shared)
        os.write(say_done, b"x")

    def let_it_be_exchanged() -> None:
        os.write(tell, b"x")
        os.read(done, 1)

    def capture() -> None:
        recorder = Recorder(Config(dsn=DSN, spool=str(place)))
        if when == "before":
            let_it_be_exchanged()
        else:
            rename = os.rename

            def rename_and_let_it_be_exchanged(source: str, target: str, **within: int) -> None:
                os.rename = rename
                rename(source, target, **within)
                let_it_be_exchanged()

            os.rename = rename_and_let_it_be_exchanged  # type: ignore[assignment]
        assert recorder.record(message_event()) is None

    as_user(VICTIM, lambda: Layout(str(place)).prepare())
    attacker = Other(ATTACKER, exchange)
    as_user(VICTIM, capture)
    attacker.end()
    for descriptor in (told, tell, done, say_done):
        os.close(descriptor)
    assert owned_by(VICTIM, place) == []
    assert [path.stat().st_size for path in (shared / "taken").rglob("*.seg")] in ([], [0])
