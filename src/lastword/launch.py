"""Starting a flusher: see that nobody leads, then start a detached process that is nobody's child.

Every process that has something to say probes ``flusher.lock`` after it has written (3 µs). If nobody holds it, the
holder of ``start.lock`` starts a helper: ``python -I -c …`` with standard streams to /dev/null, no inherited
descriptor, a new session, cwd ``/``, and an environment by allow-list. The helper's first act is to fork and end with
status 0, so a program that waits for all its children does not wait for the flusher; that first half is reaped here,
by its own pid, at a later capture.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Optional

from lastword import diagnostics
from lastword.spool import start
from lastword.spool.layout import Layout
from lastword.spool.lock import LifetimeLock, holder
from lastword.spool.start import StartState

# Every exit status is 0: a program that is PID 1 inherits the flusher, and gunicorn 20.1 as PID 1 took the status of an
# orphan for one of its workers'. The path of `python -I` comes first, so that a requests.py lying about is not found.
_HELPER = """\
import os
try:
    if os.fork():
        os._exit(0)
    import sys, json
    told = json.loads(sys.argv[1])
    os.setsid()
    os.chdir("/")
    try:
        open_ones = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        open_ones = range(3, 1024)
    for descriptor in open_ones:
        if descriptor > 2:
            try:
                os.close(descriptor)
            except OSError:
                pass
    sys.path.extend(path for path in told["path"] if path not in sys.path)
    from lastword.flusher.process import run_detached
    run_detached(told["spool"])
finally:
    os._exit(0)
"""

_KEPT_VARIABLES = frozenset(
    {
        "PATH",
        "HOME",
        "LANG",
        "TZ",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
    }
)

#: What the flusher imports beside lastword and the standard library, by the names of their installed distributions.
_DISTRIBUTIONS = ("requests", "urllib3", "idna", "certifi", "charset_normalizer", "chardet", "filelock", "psutil")

#: How long a capture waits for another thread that is starting a flusher, in seconds.
_THREAD_WAIT = 0.005

#: How long a process waits with its next start where it cannot write down that it made one, in seconds.
_UNTOLD_WAIT = 1.0


class Launcher:
    """Starts flushers for one spool. Safe to inherit over a fork."""

    def __init__(self) -> None:
        self._helpers: list[tuple[int, int]] = []  # (pid of the process that started it, its pid)
        self._not_before = 0.0  # where start.json cannot be written; by the monotonic clock

    def ensure_flusher(self, layout: Layout) -> None:
        """Start a flusher unless one leads, one is being started, or starting failed a moment ago. Never raises."""
        self._reap()
        try:
            if holder(layout.flusher_lock) is None:
                self._start(layout, time.time())
        except OSError as error:
            diagnostics.note("start", f"no process could be started to send events (they stay in the spool): {error}")

    def _start(self, layout: Layout, now: float) -> None:
        if not start.load(layout).allows(now):
            return
        lock = LifetimeLock.acquire(layout.start_lock)
        if lock is None:
            _wait_for_a_thread_of_ours(layout)
            return
        try:
            state = start.load(layout)
            if state.allows(now) and holder(layout.flusher_lock) is None:
                state = state.before_start(now)
                if self._may_start_after_telling(layout, state):
                    try:
                        self._helpers.append((os.getpid(), spawn(layout)))
                    finally:
                        _tell(layout, state.after_start())
        finally:
            lock.release()

    def _may_start_after_telling(self, layout: Layout, state: StartState) -> bool:
        """Say that a start is being made. On a full disk this process alone keeps count: only a flusher makes room."""
        if _tell(layout, state):
            return True
        now = time.monotonic()
        if now < self._not_before:
            return False
        self._not_before = now + _UNTOLD_WAIT
        return True

    def _reap(self) -> None:
        for helper in list(self._helpers):
            starter, pid = helper
            try:
                ended = starter != os.getpid() or os.waitpid(pid, os.WNOHANG)[0] == pid
            except ChildProcessError:  # somebody who waits for every child was faster
                ended = True
            if ended and helper in self._helpers:
                self._helpers.remove(helper)


def _tell(layout: Layout, state: StartState) -> bool:
    try:
        start.store(layout, state)
    except OSError:
        return False
    return True


def _wait_for_a_thread_of_ours(layout: Layout) -> None:
    """Give another thread of this process the time to start one, so that a kill after this capture comes too late.

    Not so for another process: a capture waits for none.
    """
    deadline = time.monotonic() + _THREAD_WAIT
    while holder(layout.start_lock) == os.getpid() and time.monotonic() < deadline:
        time.sleep(0.0005)


def spawn(layout: Layout) -> int:
    """Start the helper; returns the pid of its first half. Raises OSError."""
    interpreter = find_interpreter()
    if interpreter is None:
        raise OSError(errno.ENOENT, f"no Python interpreter was found (sys.executable is {sys.executable!r})")
    told = json.dumps({"spool": layout.spool, "path": flusher_path(sys.path)})
    arguments = [interpreter, "-I", "-c", _HELPER, told]
    environment = kept_environment(os.environ)
    if hasattr(os, "posix_spawn"):
        return _posix_spawn(arguments, environment)
    return _fork_and_exec(arguments, environment)


def find_interpreter() -> Optional[str]:
    """The Python that runs this program, as a file that can be executed (under uWSGI, ``sys.executable`` is uwsgi)."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    guesses = [
        sys.executable,
        getattr(sys, "_base_executable", None),
        os.path.join(sys.exec_prefix, "bin", version),
    ]
    for guess in guesses:
        if guess and os.path.basename(guess).startswith(("python", "pypy")) and os.access(guess, os.X_OK):
            return guess
    return None


def flusher_path(search_path: Iterable[str]) -> list[str]:
    """Where the flusher finds lastword and what it imports: lastword's own directory, then those entries of
    ``search_path`` that hold the metadata of an installed distribution it needs (a bare ``requests.py`` never counts).
    """
    found = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    for entry in search_path:
        try:
            names = os.listdir(entry)
        except OSError:
            continue
        if any(_is_metadata_we_need(name) for name in names):
            found.append(os.path.abspath(entry))
    return found


def _is_metadata_we_need(name: str) -> bool:
    distribution, dash, rest = name.lower().partition("-")
    return bool(dash) and rest.endswith((".dist-info", ".egg-info")) and distribution in _DISTRIBUTIONS


def kept_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What the flusher is given of the program's environment: nothing that could be a secret or change its Python."""
    return {name: value for name, value in environ.items() if name in _KEPT_VARIABLES or name.startswith("LC_")}


def _posix_spawn(arguments: list[str], environment: dict[str, str]) -> int:
    null = [(os.POSIX_SPAWN_OPEN, descriptor, os.devnull, os.O_RDWR, 0) for descriptor in (0, 1, 2)]
    catchable = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    # A group of its own from the first moment: whoever kills the program's process group does not mean the flusher.
    options: dict[str, Any] = {"file_actions": null, "setpgroup": 0, "setsigmask": [], "setsigdef": catchable}
    return os.posix_spawn(arguments[0], arguments, environment, **options)


def _fork_and_exec(arguments: list[str], environment: dict[str, str]) -> int:
    """For PyPy, which has no ``posix_spawn``."""
    pid = os.fork()
    if pid:
        with suppress(OSError):  # done here and there, since either may come first
            os.setpgid(pid, pid)
        return pid
    try:
        os.setpgid(0, 0)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execve(arguments[0], arguments, environment)
    finally:
        os._exit(0)
