"""The detached process that sends: with which interpreter, path and environment it is started.

``python -I -c …`` with standard streams to /dev/null, no inherited descriptor, a new session, cwd ``/``, and an
environment by allow-list. Its first act is to fork and end with status 0, so a program that waits for all its children
does not wait for the flusher. The second is to lock ``helper.lock``: who looks can tell one that is slow to come, on a
machine that is busy, from one that has died.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Optional

from lastword.spool.layout import Layout

# Every exit status is 0: a program that is PID 1 inherits the flusher, and gunicorn 20.1 as PID 1 took the status of an
# orphan for one of its workers'. The path of `python -I` comes first, so that a requests.py lying about is not found.
# lastword itself is the program's own, also where another version is installed beside the interpreter.
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
    lock = None
    try:
        import fcntl
        lock = os.open(told["lock"], os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pass
    sys.path.extend(path for path in told["path"] if path not in sys.path)
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec
    ours = PathFinder.find_spec("lastword", told["path"][:1])
    sys.modules["lastword"] = module_from_spec(ours)
    ours.loader.exec_module(sys.modules["lastword"])
    from lastword.flusher.process import run_detached
    run_detached(told["spool"], lock)
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


def spawn(layout: Layout) -> int:
    """Start the helper; returns the pid of its first half. Raises OSError."""
    interpreter = find_interpreter()
    if interpreter is None:
        raise OSError(errno.ENOENT, f"no Python interpreter was found (sys.executable is {sys.executable!r})")
    told = json.dumps({"spool": layout.spool, "lock": layout.helper_lock, "path": flusher_path(sys.path)})
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
    found = [os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))]
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
