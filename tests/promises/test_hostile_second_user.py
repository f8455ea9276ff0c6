"""The promise: another user who may write where the spool lies gets nothing read, written, removed or changed
elsewhere, and nothing that was acknowledged is lost, whoever the flusher runs as, and whatever command looks meanwhile.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Callable, Optional

import pytest

from lastword import diagnostics
from lastword.audit.accounts import read_accounts
from lastword.audit.strangers import strangers_above
from lastword.cli import main
from lastword.config import Config
from lastword.errors import SpoolError
from lastword.flusher import in_program
from lastword.flusher.loop import Flusher
from lastword.recorder import Recorder
from lastword.spool.layout import Layout
from lastword.testing import LoopbackTracker
from tests.support.events import message_event
from tests.support.filesystems import bound
from tests.support.programs import wait_until
from tests.support.promise import Section, promise
from tests.support.second_user import ROOT, as_user, make_shared, open_ground
from tests.support.spools import impatient_flushers, messages
from tests.support.stranger import FILES, INNER, NOBODY, Attack, all_of, at_work, exchange

pytestmark = ROOT

TOKEN, SECRET = "loopback-token", "nobodys-business"

#: Whom the programs and the flusher run as.
USERS = [0, 65_533]

#: Where the spool lies: its mode, and the way from there to the spool, of which a stranger exchanges the first part.
OPEN = {"an open directory": (0o777, "spool"), "an emptyDir": (0o2777, "own/spool"), "a sticky one": (0o1777, "spool")}

#: What an operator types meanwhile; each by itself takes no longer than its own patience.
COMMANDS = [
    ["status"],
    ["status", "--json"],
    ["doctor"],
    ["ls"],
    ["ls", "--set-aside"],
    ["show", "0"],
    ["flush", "--timeout", "0.1"],
    ["purge", "none-such"],
    ["replay", "--all"],
]


@pytest.fixture
def ground() -> Iterator[Path]:
    with open_ground() as ground:
        yield ground


@pytest.fixture(autouse=True)
def _patience_is_short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("lastword.cli.change.PATIENCE", 1.0)
    with impatient_flushers():
        yield


class Scene:
    """A directory that both may write to, and what is to be got at; the spool belongs to ``user``."""

    def __init__(self, ground: Path, where: str, user: int) -> None:
        mode, way = OPEN[where]
        self.user = user
        self.ground = ground
        self.shared = make_shared(ground / "shared", mode)
        self.shared.chmod(mode)
        self.spool = self.shared / way
        self.target = ground / "target"
        self._make_target()
        self.home = make_shared(ground / "home", 0o700)
        os.chown(self.home, user, user)
        self.attack = Attack(self.shared, way.partition("/")[0], self.target, (TOKEN, SECRET))
        self.over = ground / "over"
        if "/" in way:
            as_user(user, lambda: subprocess.run(["mkdir", "-p", "-m", "700", self.spool.parent], check=True))
        as_user(NOBODY, self.attack.prepare)

    def _make_target(self) -> None:
        """It is laid out as a spool is, and belongs to the victim, so that any way in would do."""
        for base in (self.target / "v1", self.target / "spool/v1"):
            for directory in ("", *INNER, "writers/" + "0" * 32):
                (base / directory).mkdir(parents=True, exist_ok=True)
                for name in ("id_rsa", "000001.seg", "x.record", "x.damaged", "y.json", *FILES):
                    (base / directory / name).write_text(SECRET)
        for path in (self.target, *self.target.rglob("*")):
            path.chmod(0o710 if path.is_dir() else 0o600)
            os.chown(path, self.user, self.user)

    def lives_here(self) -> None:
        """The victim has no home of the tests'."""
        os.environ.update(HOME=str(self.home), TMPDIR=str(self.home))
        os.environ.pop("XDG_STATE_HOME", None)

    def captures(self, dsn: str, count: int) -> list[str]:
        """As a program that has just started; what was kept. What was refused is said in words."""
        diagnostics.forget()
        recorder = Recorder(Config(dsn=dsn, spool=str(self.spool)))
        events = [message_event(f"{SECRET} {os.urandom(8).hex()}") for _ in range(count)]
        kept = [event["message"] for event in events if recorder.record(event) is not None]
        if len(kept) < count:
            assert any(str(self.shared) in said for said in diagnostics.waiting()), diagnostics.waiting()
        if recorder.writer is not None:
            recorder.writer.abandon()
        return [str(message) for message in kept]

    def leads(self) -> None:
        """As a flusher, until it notices that the spool was exchanged; not for long where it was not."""
        ends = time.monotonic() + 0.25
        in_program.lead(Layout(str(self.spool)), lambda: time.monotonic() > ends)

    def captures_and_leads(self, dsn: str) -> list[str]:
        kept = self.captures(dsn, 2)
        self.leads()
        return kept

    def commands(self) -> None:
        """Whatever each finds, it says so: there is no traceback."""
        for command in COMMANDS:
            out, err = io.StringIO(), io.StringIO()
            sys.stdout, sys.stderr = out, err
            code = main([*command, "--spool", str(self.spool)])
            told = out.getvalue() + err.getvalue()
            assert (command, code in (0, 1, 2), "Traceback" in told, TOKEN in told) == (command, True, False, False), (
                told
            )

    def spools(self) -> Iterator[Path]:
        """All of the victim's, wherever in ``shared`` they are by now."""
        for way in ("*/v1/writers", "*/spool/v1/writers"):
            for writers in self.shared.glob(way):
                base = writers.parent
                if base.lstat().st_uid == self.user and not any(
                    p.is_symlink() for p in (base, base.parent, base.parents[1])
                ):
                    yield base.parent

    def sends_all(self) -> None:
        """Whatever is held in any of them, once pauses are over: a destination could not be read for a moment."""

        def sends(spool: Path) -> bool:
            Flusher(Layout(str(spool))).run()
            return read_accounts(str(spool)).held == 0

        for spool in self.spools():
            wait_until(lambda spool=spool: sends(spool), f"all of {spool} to be sent")  # type: ignore[misc]


def as_victim(scene: Scene, body: Callable[[], Optional[list[str]]]) -> list[str]:
    """What ``body`` returns, or nothing."""
    reading, writing = os.pipe()

    def work() -> None:
        scene.lives_here()
        os.write(writing, json.dumps(body() or []).encode())

    try:
        as_user(scene.user, work)
        os.set_blocking(reading, False)
        told: list[str] = json.loads(os.read(reading, 1 << 20))
        return told
    finally:
        os.close(reading)
        os.close(writing)


@promise(
    Section.PRIVATE,
    "A user who can write where the spool lies (everybody's, sticky, an emptyDir) and exchanges it again "
    "and again cannot make root or the owner read, write, remove or change anything elsewhere or show a "
    "secret; acknowledged events arrive",
    broken_by="links followed above the spool; owner not compared; an OSError let through by a command",
)
@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("where", ["an open directory", "an emptyDir"])
def test_stranger_who_keeps_exchanging_the_spool_gains_nothing(ground: Path, where: str, user: int) -> None:
    """While events are captured and sent, and commands read the spool."""
    scene = Scene(ground, where, user)
    before = all_of(scene.target)
    with LoopbackTracker() as tracker:
        dsn = tracker.dsn

        def work() -> list[str]:
            kept = []
            for turn in range(10):
                kept += scene.captures_and_leads(dsn)
                if turn == 5:
                    scene.commands()
            return kept

        kept = as_victim(scene, lambda: scene.captures(dsn, 1))
        with at_work(lambda: scene.attack.go_on(scene.over)):
            try:
                kept += as_victim(scene, work)
            finally:
                scene.over.touch()
        as_user(NOBODY, lambda: scene.attack.read_what_can_be_read(ground))
        as_victim(scene, scene.sends_all)
        assert set(kept) <= set(messages(tracker))
        assert kept
    assert all_of(scene.target) == before


@promise(
    Section.PRIVATE,
    "A user who can write where the spool lies (everybody's, sticky, an emptyDir) and exchanges it again "
    "and again cannot make root or the owner read, write, remove or change anything elsewhere or show a "
    "secret; acknowledged events arrive",
)
@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("where", OPEN)
def test_stranger_who_exchanged_the_spool_before_gains_nothing(ground: Path, where: str, user: int) -> None:
    """With each kind of file in its place: nothing is done there, and earlier events arrive."""
    scene = Scene(ground, where, user)
    before = all_of(scene.target)
    with LoopbackTracker() as tracker:
        kept = as_victim(scene, lambda: scene.captures(tracker.dsn, 1))
        for bait in Attack.BAITS:
            as_user(NOBODY, lambda bait=bait: scene.attack.exchange_for_good(bait))  # type: ignore[misc]
            kept += as_victim(scene, lambda: scene.captures_and_leads(tracker.dsn))
            if bait == "theirs":
                as_victim(scene, scene.commands)
        as_user(NOBODY, lambda: scene.attack.read_what_can_be_read(ground))
        as_victim(scene, scene.sends_all)
        assert kept
        assert set(kept) == set(messages(tracker))
    assert all_of(scene.target) == before


@promise(
    Section.PRIVATE,
    "A user who can write where the spool lies (everybody's, sticky, an emptyDir) and exchanges it again "
    "and again cannot make root or the owner read, write, remove or change anything elsewhere or show a "
    "secret; acknowledged events arrive",
)
@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("where", OPEN)
def test_stranger_who_planted_a_spool_gains_nothing(ground: Path, where: str, user: int) -> None:
    """The same where there is no spool yet."""
    scene = Scene(ground, where, user)
    before = all_of(scene.target)
    place = scene.attack.place
    for bait in Attack.BAITS:
        if place.exists():
            place.rename(scene.shared / f"before-{bait}")
        as_user(NOBODY, lambda bait=bait: (scene.shared / bait).rename(place))  # type: ignore[misc]
        kept = as_victim(scene, lambda: scene.captures("booboo+http://t@127.0.0.1:9/o/p", 1))
        assert kept == [] or user  # who named the directory of a stranger's has a spool of their own in it
        in_program.lead(Layout(str(scene.spool)))
        os.rename(place, scene.shared / bait)
    as_user(NOBODY, lambda: scene.attack.read_what_can_be_read(ground))
    assert all_of(scene.target) == before


@promise(
    Section.PRIVATE,
    "In the documented pod nobody can exchange the mounted directory",
    broken_by="the spool reached by the volume",
)
@pytest.mark.parametrize("user", USERS)
def test_stranger_cannot_exchange_a_mounted_directory(ground: Path, user: int) -> None:
    """The documented pod: changes in the volume do not affect a program that mounts only a part of it."""
    scene = Scene(ground, "an emptyDir", user)
    mounted = make_shared(ground / "mounted", 0o755)
    before = all_of(scene.target)
    with bound(scene.spool.parent, mounted), LoopbackTracker() as tracker:
        scene.spool = mounted / "spool"
        with at_work(lambda: scene.attack.go_on(scene.over)):
            try:
                kept = [
                    message for _ in range(5) for message in as_victim(scene, lambda: scene.captures(tracker.dsn, 2))
                ]
                as_victim(scene, scene.commands)
                as_victim(scene, scene.leads)
            finally:
                scene.over.touch()
        assert len(kept) == 10
        assert set(kept) == set(messages(tracker))
        assert list(strangers_above(str(scene.spool), user)) == []
    assert all_of(scene.target) == before


@promise(
    Section.PRIVATE,
    "Another user's link on the way to the spool is not followed",
    broken_by="links of any user followed",
)
@pytest.mark.parametrize("user", USERS)
def test_link_of_a_stranger_on_the_way_is_not_followed(ground: Path, user: int) -> None:
    """No directory behind it becomes the spool or gets one, in a sticky directory neither."""
    shared, theirs = make_shared(ground / "shared", 0o1777), make_shared(ground / "mine", 0o755)
    make_shared(theirs / "spool", 0o755)
    for path in (theirs, theirs / "spool"):
        os.chown(path, user, user)
    before = all_of(theirs)
    as_user(NOBODY, lambda: (shared / "app").symlink_to(theirs))

    def refused() -> None:
        for unasked in (True, False):
            for name in ("spool", "new", "new/spool"):
                with pytest.raises(SpoolError, match=f"{shared}/app is a link of uid {NOBODY}, which is not followed"):
                    Layout(str(shared / "app" / name)).prepare(is_default=unasked)

    as_user(user, refused)
    assert all_of(theirs) == before


@pytest.mark.parametrize("whose", ["root", "the user", "the owner of the directory that it lies in"])
def test_deployment_link_of_another_user_is_followed(ground: Path, whose: str) -> None:
    """`current` of a deployment is followed."""
    user, mine = USERS[1], make_shared(ground / "mine", 0o755)
    owner = {"root": 0, "the user": user}.get(whose, NOBODY)
    above = make_shared(ground / "srv", 0o755)
    for path in (mine, above):
        os.chown(path, user if path == mine else owner, 0)
    (above / "current").symlink_to(mine)
    os.chown(above / "current", owner, 0, follow_symlinks=False)
    as_user(user, lambda: Layout(str(above / "current/spool")).prepare())
    assert (mine / "spool/v1/writers").is_dir()


@promise(Section.PRIVATE, "A directory exchanged while it is being made keeps its mode", broken_by="chmod by the path")
def test_directory_exchanged_while_it_is_made_keeps_its_mode(ground: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a umask took rights away, they are given back to the directory that was checked and to no other."""
    shared, secret = make_shared(ground / "shared", 0o777), ground / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    as_user(NOBODY, lambda: (shared / "link").symlink_to(secret))
    changed = []
    for name in ("chmod", "fchmod"):
        change = getattr(os, name)

        def exchanged_before(path: object, mode: int, change: Callable[..., None] = change, **more: object) -> None:
            as_user(NOBODY, lambda: exchange(shared / "link", shared / "app"))
            changed.append(path)
            change(path, mode, **more)

        monkeypatch.setattr(os, name, exchanged_before)
    before = os.umask(0o777)
    try:
        with pytest.raises(SpoolError, match="is not a directory"):
            Layout(str(shared / "app/spool")).prepare()
    finally:
        os.umask(before)
    assert changed
    assert secret.stat().st_mode & 0o777 == 0o600
