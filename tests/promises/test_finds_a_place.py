"""The promise: events are kept in the first place that can be used by this very user; where there is none, each refusal
is counted where `lastword status` sees it, and nothing is left behind.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest

import lastword
from lastword.audit.accounts import read_accounts
from lastword.cli import doctor, status
from lastword.config import Config
from lastword.errors import SpoolError
from lastword.recorder import Recorder
from lastword.spool import places, refused
from lastword.spool.layout import Layout
from lastword.spool.lock import LifetimeLock
from tests.support.events import message_event
from tests.support.promise import Section, promise
from tests.support.second_user import ATTACKER, ROOT, VICTIM, as_user, make_shared, open_ground

pytestmark = promise(
    Section.PLACE,
    "Refusals of a process without a writer are counted in `status`, each once",
    broken_by="losses not counted on disk; the rest not counted at the end",
)

DSN = "booboo+http://t@127.0.0.1:9/o/p"


@pytest.fixture(autouse=True)
def _no_tracker_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "check_tracker", lambda *_, **__: ())


@pytest.fixture
def ground() -> Iterator[Path]:
    with open_ground() as ground:
        yield ground


def told(command: str, spool: Path | None) -> tuple[int, str]:
    """Exit status and output of `status` or `doctor`."""
    output, path = io.StringIO(), None if spool is None else str(spool)
    with redirect_stdout(output):
        done = status.run(spool=path) if command == "status" else doctor.run(None, spool=path, send=False)
    return done, output.getvalue()


def lives_in(home: Path | str, temporary: Path) -> None:
    """Have no other places than these two."""
    os.environ.update(HOME=str(home), TMPDIR=str(temporary))
    for name in ("XDG_STATE_HOME", "STATE_DIRECTORY", "LASTWORD_SPOOL"):
        os.environ.pop(name, None)


def records(spool: Path | None, *, where: Path | None) -> None:
    """Capture as the user that this process is now: in the spool ``where``, or refused, for None."""
    recorder = Recorder(Config(dsn=DSN, spool=None if spool is None else str(spool)))
    kept = recorder.record(message_event())
    assert (kept is not None) == (where is not None)
    assert (recorder.writer and Path(recorder.writer.layout.spool)) == where
    if where is not None:
        found = places.find(None if spool is None else str(spool))
        assert found is not None
        assert Path(found.spool) == where


@promise(
    Section.PLACE,
    "Workers of a server whose master began the spool as root get a spool of their own, which `status` and "
    "`doctor` name",
    broken_by="only the named place tried",
)
@ROOT
@pytest.mark.parametrize("kind", ["beside", "below", "the next place"])
def test_workers_get_their_own_spool_where_root_has_begun_one(
    ground: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`gunicorn --preload -u`: the master captures as root; `status` and `doctor` name the workers' spool."""
    shared = make_shared(ground / "shared", 0o755 if kind == "the next place" else 0o777)
    temporary = make_shared(ground / "tmp", 0o1777)
    monkeypatch.setenv("TMPDIR", str(temporary))
    spool = shared / "spool"
    if kind == "below":  # the mount point of a volume, of which nothing was made
        spool = make_shared(ground / "volume", 0o777)
        own = spool / f"lastword-{VICTIM}"
    else:
        records(spool, where=spool)
        own = shared / f"spool-{VICTIM}" if kind == "beside" else temporary / f"lastword-{VICTIM}"

    def worker() -> None:
        lives_in("/nonexistent", temporary)
        records(spool, where=own)
        text = told("doctor", spool)[1]
        assert f"{spool} belongs to root: the events of" in text
        assert str(own) in text
        assert "1 recorded = 1 held" in told("status", spool)[1]

    as_user(VICTIM, worker)
    if kind != "below":
        done, text = told("status", spool)
        assert (done, f"lastword status --spool {own}`" in text) == (0, True)
        assert f"lastword status --spool {own}`" in told("doctor", spool)[1]


@promise(
    Section.PLACE,
    "`status` does not name spools of users who have one for another reason",
    broken_by="the directory for temporary files searched for every spool",
)
@ROOT
def test_status_ignores_spools_of_users_with_another_reason(ground: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other users' spools in the directory for temporary files do not concern a spool that is not root's."""
    temporary = make_shared(ground / "tmp", 0o1777)
    monkeypatch.setenv("TMPDIR", str(temporary))
    as_user(ATTACKER, lambda: Layout(str(temporary / f"lastword-{ATTACKER}")).prepare())
    home = make_shared(ground / "home", 0o700)
    os.chown(home, VICTIM, VICTIM)

    def owner() -> None:
        lives_in(home, temporary)
        records(None, where=home / ".local/state/lastword")
        assert str(temporary) not in told("status", None)[1]

    as_user(VICTIM, owner)


@ROOT
def test_spool_of_another_user_is_refused_and_refusals_are_counted(ground: Path) -> None:
    """A spool of a user other than root, named by mistake: refusals are counted in a place of this user's own."""
    shared = make_shared(ground / "shared", 0o777)
    home = make_shared(ground / "home", 0o700)
    os.chown(home, VICTIM, VICTIM)
    spool = shared / "spool"
    as_user(ATTACKER, lambda: Layout(str(spool)).prepare())

    def worker() -> None:
        lives_in(home, shared)
        records(spool, where=None)
        records(spool, where=None)
        with pytest.raises(SpoolError, match="2 events were refused because no spool could be used"):
            told("status", spool)
        done, text = told("doctor", spool)
        assert done == 1
        assert "2 events were refused" in text
        assert told("status", None)[0] == 1

    as_user(VICTIM, worker)
    assert read_accounts(home / ".local/state/lastword").refused == {"no spool": 2}
    assert sorted(os.listdir(shared)) == ["spool"]


@promise(
    Section.PLACE,
    "A user without a name can use an empty volume on /tmp",
    broken_by="the sticky bit required; other users' files not checked",
)
@ROOT
@pytest.mark.parametrize("theirs", [False, True], ids=["nobody else there", "others there"])
def test_user_without_a_name_uses_an_empty_volume_on_tmp(ground: Path, theirs: bool) -> None:
    """OpenShift: a user without a name, whose home is /, and a volume on /tmp that everybody may write to, without a
    sticky bit. It is good enough as long as nobody else has left anything there.
    """
    temporary = make_shared(ground / "tmp", 0o777)
    if theirs:
        as_user(ATTACKER, lambda: (temporary / "theirs").mkdir())

    def program() -> None:
        lives_in("/", temporary)
        records(None, where=None if theirs else temporary / f"lastword-{VICTIM}")

    as_user(VICTIM, program)
    assert len(os.listdir(temporary)) == 1
    if not theirs:
        assert (temporary / f"lastword-{VICTIM}").stat().st_mode & 0o777 == 0o700


@promise(
    Section.PLACE,
    "A place without file locks is passed over and left as it was",
    broken_by="no lock tried; the files made there left; the cradle left",
)
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.EIO])
@pytest.mark.parametrize("lockable", ["nowhere", "the next place"])
def test_place_without_locks_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, lockable: str
) -> None:
    """Whatever error locking gives; no file is left there, neither of the place nor of a birth."""
    home, temporary = make_shared(tmp_path / "first", 0o700), make_shared(tmp_path / "next", 0o700)
    for name, value in {"HOME": home, "TMPDIR": temporary}.items():
        monkeypatch.setenv(name, str(value))
    for name in ("XDG_STATE_HOME", "STATE_DIRECTORY", "LASTWORD_SPOOL"):
        monkeypatch.delenv(name, raising=False)
    lockf = fcntl.lockf

    def on_a_file_system_without(descriptor: int, *arguments: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if lockable == "nowhere" or path.startswith(str(home)):
            raise OSError(number, os.strerror(number))
        lockf(descriptor, *arguments)

    monkeypatch.setattr(fcntl, "lockf", on_a_file_system_without)
    recorder = Recorder(Config(dsn=DSN))
    kept = [recorder.record(message_event()) is not None for _ in range(20)]
    state = home / ".local/state/lastword"
    if lockable == "the next place":
        assert kept == [True] * 20
        assert list(state.iterdir()) == []
        assert (temporary / f"lastword-{os.geteuid()}/v1/writers").exists()
        return
    assert kept == [False] * 20
    assert [path.name for path in state.rglob("*") if not path.is_dir()] == ["no spool"]
    assert list(temporary.rglob("v1")) == []
    done, text = told("status", None)
    assert (done, "refused      20 (no spool 20)" in text) == (1, True)
    done, text = told("doctor", None)
    assert (done, "locks do not work in" in text) == (1, True)
    monkeypatch.setattr(fcntl, "lockf", lockf)
    assert recorder.record(message_event()) is not None
    assert read_accounts(state).refused == {"no spool": 20}


@promise(Section.PLACE, "A place without file locks is passed over and left as it was")
def test_birth_that_fails_for_locks_leaves_nothing(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the error is, the cradle is removed."""
    with monkeypatch.context() as patch:
        patch.setattr(places, "try_a_lock", lambda _layout: None)
        patch.setattr(fcntl, "lockf", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOLCK, "no locks")))
        records(Path(layout.spool), where=None)
    assert os.listdir(layout.birth) == os.listdir(layout.writers) == []


@promise(Section.PLACE, "A full disk does not count as a place without locks", broken_by="any error counts")
def test_full_disk_does_not_count_as_a_place_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place stays the same, and refusals are counted there."""

    def full(_path: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LifetimeLock, "acquire", full)
    two = [places.Place(str(tmp_path / name)) for name in ("first", "second")]
    assert places.first_usable(two).spool == two[0].path


def test_ignored_events_of_a_process_without_a_writer_are_counted(tmp_path: Path) -> None:
    """At its end at the latest, though it has never recorded anything."""
    lastword.init(spool=tmp_path / "spool", ignore_errors=[KeyError])
    for _ in range(3):
        assert lastword.capture_exception(KeyError("x")) is None
    lastword.close(0)
    accounts = read_accounts(tmp_path / "spool")
    assert (accounts.refused, accounts.writers) == ({"ignored": 3}, [])


def test_concurrent_refusals_are_counted_once_each(layout: Layout) -> None:
    """Without a lock, and each once; what a writer counts from then on is taken off."""
    place = [places.Place(layout.spool, is_default=False)]
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            for _ in range(50):
                refused.count(place, "no spool", 2)
            os._exit(0)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
    assert refused.counted(layout) == {"no spool": 400}
    assert refused.move_away(layout.refused, "no spool", 400)
    assert refused.counted(layout) == {}
    shutil.rmtree(layout.refused)
    assert not refused.move_away(layout.refused, "no spool", 1)
