"""What a process is to its program, told from what is loaded. Real servers: tests/servers/test_roles.py."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from lastword.capture import role as roles
from lastword.capture.role import role
from tests.support import needs
from tests.support.promise import Section, promise

pytestmark = promise(Section.EVENTS, "A process reports its role, under real servers")

SAY = "from lastword.capture.role import role; print(role())"


def loaded(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    module = ModuleType(name)
    vars(module).update(content)
    monkeypatch.setitem(sys.modules, name, module)


def run(*arguments: str, cwd: Path) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, check=True, timeout=60, text=True).stdout.strip()


def test_a_program_is_known_by_how_it_was_started(tmp_path: Path) -> None:
    """A script, a module, a package, a command, a console."""
    (tmp_path / "app.py").write_text(SAY)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__main__.py").write_text(SAY)
    assert run("app.py", cwd=tmp_path) == "script"
    assert run("-m", "app", cwd=tmp_path) == "python -m app"
    assert run("-m", "shop", cwd=tmp_path) == "python -m shop"
    assert run("-c", SAY, cwd=tmp_path) == "python -c"
    assert run("-c", f"import sys; sys.ps1 = ''; {SAY}", cwd=tmp_path) == "interactive"


def say_role(answer: Any) -> None:
    answer.send(role())


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_child_of_multiprocessing(method: str) -> None:
    """However it is started; also below a server, whose worker its parent may be."""
    context: Any = multiprocessing.get_context(method)
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=say_role, args=(sending,))
    child.start()
    assert receiving.poll(60)
    assert receiving.recv() == "multiprocessing child"
    child.join(60)


@pytest.mark.parametrize(("worker", "mule", "told"), [(2, 0, "worker"), (0, 1, "mule"), (0, 0, "master")])
def test_role_under_uwsgi_is_read_from_its_own_module(
    worker: int, mule: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module exists only inside uWSGI."""
    loaded(monkeypatch, "uwsgi", worker_id=lambda: worker, mule_id=lambda: mule)
    assert role() == f"uWSGI {told}"


@pytest.mark.parametrize(
    ("parent", "own", "told"),
    [
        (b"gunicorn\0app", b"gunicorn\0app", "worker"),
        (b"gunicorn: master [app]", b"gunicorn: worker [app]", "worker"),
        (b"", b"", "worker"),
        (b"-bash", b"gunicorn\0app", "arbiter"),
    ],
)
def test_a_worker_of_gunicorn_has_a_parent_like_itself(
    parent: bytes, own: bytes, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arbiter's parent is a shell or a supervisor; where nothing can be seen, most are workers."""
    loaded(monkeypatch, "gunicorn.arbiter")
    own_file = f"/proc/{os.getpid()}/cmdline"
    monkeypatch.setattr(roles, "beginning_of", lambda path, limit: own if path == own_file else parent)
    assert role() == f"gunicorn {told}"


@needs.capability(hasattr(signal, "SIGCHLD"), "SIGCHLD")
def test_the_arbiter_of_gunicorn_is_known_by_its_signal_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arbiter that was started again by another one has a parent like itself."""

    class Arbiter:
        __module__ = "gunicorn.arbiter"

        def signal(self, *_: Any) -> None: ...

    loaded(monkeypatch, "gunicorn.arbiter")
    monkeypatch.setattr(roles, "beginning_of", lambda path, limit: b"gunicorn\0app")
    handler = signal.signal(signal.SIGCHLD, Arbiter().signal)
    try:
        assert role() == "gunicorn arbiter"
    finally:
        signal.signal(signal.SIGCHLD, handler)


@pytest.mark.parametrize("word", ["worker", "beat"])
def test_celery_is_known_by_its_command(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that only sends tasks has Celery loaded too."""
    loaded(monkeypatch, "celery")
    monkeypatch.setattr(sys, "argv", ["/venv/bin/celery", "-A", "shop", word])
    assert role() == f"Celery {word}"
    monkeypatch.setattr(sys, "argv", ["/srv/shop/manage.py", word])
    assert "Celery" not in role()


def test_a_notebook_is_known_by_its_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """However that was started."""
    loaded(monkeypatch, "ipykernel.kernelapp")
    assert role() == "notebook"


@pytest.mark.parametrize("argv", [[], [5], None])
def test_odd_states_are_no_obstacle(argv: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules that are not what their name says, an embedded interpreter."""
    monkeypatch.setattr(sys, "argv", argv)
    for name in ("uwsgi", "celery", "gunicorn.arbiter", "multiprocessing.process", "__main__"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace())
    assert role()
