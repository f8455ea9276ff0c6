"""The demo's two servers: start, watch and reliably stop a real gunicorn and a real Celery worker."""

from __future__ import annotations

import os
import signal
import site
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import lastword

GUNICORN_WORKERS = 4
CELERY_WORKERS = 2


class ServerError(Exception):
    """A server did not start, or ended on its own; the message quotes its log."""


class Server:
    """One server with all its processes, in a session of its own."""

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str], keep: Sequence[int] = ()
    ) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=keep,
            )

    def check(self) -> None:
        """Raise ServerError if the server has ended."""
        status = self._process.poll()
        if status is not None:
            raise ServerError(f"{self.name} ended with status {status}. The end of its log:\n{self.log_tail()}")

    def log_tail(self, lines: int = 20) -> str:
        text = self._log.read_text(errors="replace").rstrip()
        return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (nothing)"

    def kill_worker(self, pid: int) -> bool:
        """SIGKILL a worker; return False if ``pid`` is not a process of this server any more."""
        try:
            if os.getsid(pid) != self._process.pid or pid == self._process.pid:
                return False
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def ask_to_stop(self) -> None:
        with suppress(ProcessLookupError):
            self._process.terminate()

    def end(self, patience: float) -> None:
        """Give the server ``patience`` seconds to end, then kill it with all processes that it started."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # no child escapes: fork() fails while SIGKILL is pending
        self._process.wait()


def start_gunicorn(
    folder: Path,
    environment: Mapping[str, str],
    app: str = "lastword.cli.demo.wsgi_app:application",
    workers: int = GUNICORN_WORKERS,
    python: Sequence[str] = (sys.executable,),
) -> tuple[Server, int]:
    """Start gunicorn with ``app`` preloaded on a free port of 127.0.0.1; return it and the port. ``python`` runs it."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        port: int = listener.getsockname()[1]
        command = [*python, "-m", "gunicorn", "--preload", "--workers", str(workers)]
        command += ["--worker-class", "sync", "--bind", f"fd://{listener.fileno()}", "--graceful-timeout", "5"]
        command += ["--log-level", "warning", app]
        return Server("gunicorn", command, folder, environment, keep=[listener.fileno()]), port


def start_celery(
    folder: Path,
    environment: Mapping[str, str],
    app: str = "lastword.cli.demo.celery_app",
    workers: int = CELERY_WORKERS,
) -> Server:
    """Start a Celery worker for ``app`` with a pool of forked processes."""
    command = [sys.executable, "-m", "celery", "--quiet", "-A", app, "worker", "--pool", "prefork"]
    command += ["--concurrency", str(workers), "--loglevel", "WARNING"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return Server("celery", command, folder, environment)


def server_environment(folder: Path, **more: str) -> dict[str, str]:
    """Return this process's environment with HOME in ``folder`` and without variables that configure the servers."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LASTWORD_", "CELERY_", "GUNICORN_")) and name not in ("STATE_DIRECTORY", "PORT")
    }
    environment.update(HOME=str(folder), XDG_STATE_HOME=str(folder / "state"), TMPDIR=str(folder), **more)
    if site.ENABLE_USER_SITE and site.USER_BASE:
        environment["PYTHONUSERBASE"] = site.USER_BASE  # otherwise derived from HOME
    if _found_through_the_current_directory():
        inherited = os.environ.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([str(Path.cwd()), *([inherited] if inherited else [])])
    if os.geteuid() == 0:
        environment["C_FORCE_ROOT"] = "1"  # otherwise Celery refuses to run
    return environment


def _found_through_the_current_directory() -> bool:
    return Path(lastword.__file__).resolve().parent.parent == Path.cwd().resolve()
