"""The promise: an event says what its process is to the program, under real servers."""

from __future__ import annotations

import http.client
import socket
import sys
from pathlib import Path

import pytest

from lastword.cli.demo.servers import Server, server_environment, start_celery
from tests.support import needs
from tests.support.programs import wait_until
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.EVENTS,
    "A process reports its role, under real servers",
    broken_by="the arbiter's signal handler not checked",
)

APPLICATION = """\
from lastword.capture.role import role
at_import = role()

def application(environ, start_response):
    start_response("200 OK", [])
    return [f"{at_import}, {role()}".encode()]
"""

TASKS = """\
import os, signal
from pathlib import Path
from celery import Celery
from celery.signals import worker_process_init, worker_ready
from lastword.capture.role import role

app = Celery("tasks", broker="memory://")

@worker_process_init.connect
def say_in_child(**_):
    Path("child").write_text(role())

@worker_ready.connect
def say_in_worker(**_):
    Path("worker").write_text(role())
"""


def answer(folder: Path, *command: str) -> str:
    """What the application says, served by ``command``, which takes a listening socket as its ``{fd}``."""
    (folder / "application.py").write_text(APPLICATION)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        filled = [word.format(fd=listener.fileno()) for word in command]
        server = Server("server", filled, folder, server_environment(folder), keep=[listener.fileno()])
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/")
        said = connection.getresponse().read().decode()
        connection.close()
        return said
    finally:
        server.ask_to_stop()
        server.end(patience=20)


@needs.installed("gunicorn", "gevent")
@pytest.mark.parametrize("worker_class", ["sync", "gthread", "gevent"])
@pytest.mark.parametrize("preload", [True, False])
def test_gunicorn(worker_class: str, preload: bool, tmp_path: Path) -> None:
    """Workers of each class; an application that is loaded before the fork is loaded by the arbiter."""
    command = [sys.executable, "-m", "gunicorn", "--worker-class", worker_class, "--bind", "fd://{fd}"]
    said = answer(tmp_path, *command, *(["--preload"] if preload else []), "application:application")
    assert said == f"gunicorn {'arbiter' if preload else 'worker'}, gunicorn worker"


@needs.installed("pyuwsgi")
def test_uwsgi(tmp_path: Path) -> None:
    """Forked in C."""
    command = [sys.executable, "-c", "import pyuwsgi; pyuwsgi.run()", "--http-socket", "fd://{fd}", "--master"]
    said = answer(tmp_path, *command, "--processes", "2", "--die-on-term", "--wsgi-file", "application.py")
    assert said == "uWSGI master, uWSGI worker"


@needs.installed("celery")
def test_celery(tmp_path: Path) -> None:
    """The worker and the children of its pool."""
    (tmp_path / "tasks.py").write_text(TASKS)
    server = start_celery(tmp_path, server_environment(tmp_path), "tasks", workers=1)
    try:
        for name, role in (("child", "Celery pool child"), ("worker", "Celery worker")):
            said = tmp_path / name
            wait_until(lambda said=said, role=role: said.exists() and said.read_text() == role, role)  # type: ignore[misc]
    finally:
        server.end(patience=0)
