"""Starting a flusher: with which interpreter, path and environment, and when not."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from pathlib import Path

import pytest

import lastword
from lastword import diagnostics, launch
from lastword.launch import Launcher, find_interpreter, flusher_path, kept_environment
from lastword.spool import identity, start
from lastword.spool.layout import Layout
from lastword.spool.lock import LifetimeLock
from tests.support.programs import wait_until


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(str(tmp_path / "spool"))
    layout.prepare()
    return layout


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[Layout]:
    """Starts that were made, without making them."""
    starts: list[Layout] = []

    def spawn(layout: Layout) -> int:
        starts.append(layout)
        return 2**22 + 1

    monkeypatch.setattr(launch, "spawn", spawn)
    return starts


def test_the_interpreter_is_this_one() -> None:
    """In an ordinary program the flusher runs on the program's own Python."""
    assert find_interpreter() == sys.executable


def test_an_embedding_program_is_no_interpreter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Under uWSGI sys.executable is uwsgi: the base interpreter is taken, or the one beside the standard library."""
    uwsgi = tmp_path / "uwsgi"
    uwsgi.touch(mode=0o755)
    base = find_interpreter()
    monkeypatch.setattr(sys, "_base_executable", base, raising=False)
    monkeypatch.setattr(sys, "executable", str(uwsgi))
    assert find_interpreter() == base
    monkeypatch.setattr(sys, "_base_executable", str(uwsgi), raising=False)
    python = tmp_path / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    python.parent.mkdir()
    monkeypatch.setattr(sys, "exec_prefix", str(tmp_path))
    assert find_interpreter() is None
    python.touch(mode=0o755)
    assert find_interpreter() == str(python)


def test_the_path_has_what_was_installed_and_nothing_that_lies_about(tmp_path: Path) -> None:
    """A directory counts by the metadata of an installed distribution, never by a module of that name."""
    stray, installed, other = tmp_path / "stray", tmp_path / "installed", tmp_path / "other"
    for directory in (stray, installed, other):
        directory.mkdir()
    (stray / "requests.py").touch()
    (installed / "requests-2.32.0.dist-info").mkdir()
    (other / "flask-3.0.0.dist-info").mkdir()
    own = str(Path(lastword.__file__).parent.parent)
    searched = [str(stray), str(other), "", str(tmp_path / "missing"), str(installed)]
    assert flusher_path(searched) == [own, str(installed)]


def test_the_environment_is_an_allow_list() -> None:
    """Locale, paths, proxies and CA bundles go along; secrets and what changes a Python do not."""
    kept = {"PATH": "/bin", "LC_ALL": "C", "https_proxy": "http://p", "REQUESTS_CA_BUNDLE": "/ca", "HOME": "/h"}
    left = {"SECRET_KEY": "x", "PYTHONPATH": "/evil", "PYTHONHOME": "/evil", "LD_PRELOAD": "x", "LASTWORD_DSN": "x"}
    assert kept_environment({**kept, **left}) == kept


def test_one_start_at_a_time(layout: Layout, spawned: list[Layout]) -> None:
    """After a start nobody starts another one until it can be said to have failed."""
    for _ in range(3):
        Launcher().ensure_flusher(layout)
    assert len(spawned) == 1
    assert start.load(layout).failures == 1


@pytest.mark.parametrize("name", ["flusher_lock", "start_lock"])
def test_no_start_while_one_leads_or_is_started(layout: Layout, spawned: list[Layout], name: str) -> None:
    """Whoever finds a leader, or somebody who is starting one, does nothing."""
    lock = LifetimeLock.acquire(getattr(layout, name))
    assert lock is not None
    Launcher().ensure_flusher(layout)
    assert spawned == []
    lock.release()
    Launcher().ensure_flusher(layout)
    assert len(spawned) == 1


def test_a_start_is_made_known_before_and_after(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the helper is being started the state says so; a starter that is killed then leaves it so."""
    seen = []

    def spawn(layout: Layout) -> int:
        seen.append(start.load(layout))
        return 2**22 + 1

    monkeypatch.setattr(launch, "spawn", spawn)
    Launcher().ensure_flusher(layout)
    seen.append(start.load(layout))
    assert [(state.failures, state.unfinished) for state in seen] == [(1, True), (1, False)]
    start.store(layout, seen[0])
    Launcher().ensure_flusher(layout)
    assert len(seen) == 3


def test_a_thread_waits_for_the_start_that_another_one_makes(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A capture does not return while another thread is about to start the flusher that it relies on."""
    monkeypatch.setattr(launch, "_THREAD_WAIT", 30.0)
    order = []
    begun = threading.Event()

    def spawn(_: Layout) -> int:
        begun.set()
        time.sleep(0.05)  # the other thread comes while this one is here, or the test proves nothing
        order.append("started")
        return 2**22 + 1

    monkeypatch.setattr(launch, "spawn", spawn)
    starter = threading.Thread(target=Launcher().ensure_flusher, args=(layout,))
    starter.start()
    begun.wait()
    Launcher().ensure_flusher(layout)
    order.append("returned")
    starter.join()
    assert order == ["started", "returned"]


def test_a_start_that_cannot_be_made_is_told_not_raised(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that forbids processes costs one note, and the next try comes later."""

    def forbidden(_: Layout) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(launch, "spawn", forbidden)
    diagnostics.forget()
    Launcher().ensure_flusher(layout)
    assert ["Operation not permitted" in text for text in diagnostics.waiting()] == [True]
    assert start.load(layout).failures == 1
    diagnostics.forget()


def test_the_helper_is_reaped_by_its_own_pid(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first half of a helper leaves no zombie, and no child of the program is waited for in its place."""
    ends, mine = os.pipe()
    programs_own_child = os.fork()
    if programs_own_child == 0:
        os._exit(7)

    def spawn(_: Layout) -> int:
        pid = os.fork()
        if pid == 0:
            os.close(mine)
            os.read(ends, 1)
            os._exit(0)
        return pid

    monkeypatch.setattr(launch, "spawn", spawn)
    launcher = Launcher()
    launcher.ensure_flusher(layout)
    [(_, helper)] = launcher._helpers
    launcher.ensure_flusher(layout)
    assert launcher._helpers != []
    os.close(mine)
    wait_until(lambda: identity.start_time(helper) is None, "the helper's end, of which a zombie is left")
    launcher.ensure_flusher(layout)
    assert launcher._helpers == []
    with pytest.raises(ChildProcessError):
        os.waitpid(helper, os.WNOHANG)
    assert os.waitstatus_to_exitcode(os.waitpid(programs_own_child, 0)[1]) == 7
    os.close(ends)


def test_a_start_on_a_full_disk(layout: Layout, spawned: list[Layout], monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a flusher makes room: it is started although that cannot be written down, but not at every capture."""

    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(start, "store", no_room)
    launcher = Launcher()
    for _ in range(3):
        launcher.ensure_flusher(layout)
    assert len(spawned) == 1
    monkeypatch.setattr(launch, "_UNTOLD_WAIT", 0.0)
    launcher = Launcher()
    for _ in range(2):
        launcher.ensure_flusher(layout)
    assert len(spawned) == 3
