"""Start the detached process that sends: choose its interpreter, its import path and its environment.

It is ``python -I -c …`` with stdin and stdout on /dev/null, stderr on ``flusher.log``, no inherited descriptors, a new
session, cwd ``/``, and an environment by allow-list. It first checks that it finds the modules it has to import, and
reports that. Then it forks, and the parent ends with status 0, so that it is not a child of the program if there is no
shell (``child``). Next it locks ``helper.lock``, which distinguishes a helper that has died from one that is slow on a
busy machine or waits for a pause to end.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Optional

from lastword.interruption import failures, suppressed
from lastword.launch.child import Children
from lastword.launch.packages import places_of_packages
from lastword.spool.layout import Layout, open_private

_OWN_PLACE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Every exit status is 0: a program that is PID 1 inherits the flusher, and gunicorn 20.1 as PID 1 mistook the status of
# an orphan for that of a worker. The path of `python -I` comes first and is not changed: only the listed packages are
# imported from the program's directories. lastword itself is always the program's own, even if another version is
# installed beside the interpreter. Modules that take long to import come after the fork.
_HELPER = """\
import os, sys
try:
    spool, place, interpreter, not_before, own_place, *packages = sys.argv[1:]
    places = {}
    for package, where in (one.split("=", 1) for one in packages):
        places.setdefault(package, []).append(where)
    from importlib.machinery import PathFinder
    class OfTheProgram:
        @staticmethod
        def find_spec(name, path=None, target=None):
            package = "charset_normalizer" if name.endswith("__mypyc") else name
            return PathFinder.find_spec(name, places[package]) if path is None and package in places else None
    sys.meta_path.append(OfTheProgram)
    ours = PathFinder.find_spec("lastword", [own_place])
    if ours is None or not any(finder.find_spec("requests", None) for finder in sys.meta_path):
        raise ImportError(
            f"{sys.executable} finds no lastword in {own_place}, or no requests in {sys.path}, and no directory of the"
            " program's path has an installed one that other users cannot change"
        )
    try:
        os.write(1, b"!")
    except OSError:  # nobody waits for it any more: the machine is busy
        pass
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    os.dup2(0, 1)
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
        lock = os.open(place, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pass
    if hasattr(ours.loader, "exec_module"):
        from importlib.util import module_from_spec
        sys.modules["lastword"] = module_from_spec(ours)
        ours.loader.exec_module(sys.modules["lastword"])
    else:  # that of archives before Python 3.10
        ours.loader.load_module("lastword")
    from lastword.flusher.daemon import run_detached
    run_detached(spool, lock, interpreter, float(not_before))
except BaseException:
    import traceback
    traceback.print_exc()
finally:
    os._exit(0)
"""

_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_KEPT_VARIABLES = frozenset(
    ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", *_CERTIFICATES, *_PROXIES, *map(str.lower, _PROXIES))
)


def spawn(
    layout: Layout, children: Children, interpreter: str, *, not_before: float = 0.0, answer_within: float = 0.0
) -> None:
    """Start the helper, which waits until ``not_before`` (Unix seconds) if that is in the future.

    Wait ``answer_within`` seconds for its report that it begins well. Raises OSError, see ``Children.start``.
    """
    identity, imports = interpreter_id(interpreter), import_arguments(sys.path)
    try:
        log = open_private(layout.flusher_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except failures(OSError):  # no room, or not a regular file
        log = None
    try:
        arguments = [interpreter, "-I", "-c", _HELPER, layout.spool, layout.helper_lock, identity, repr(not_before)]
        children.start([*arguments, *imports], kept_environment(os.environ), log=log, answer_within=answer_within)
    finally:
        if log is not None:
            os.close(log)


def require_interpreter() -> str:
    """Return ``find_interpreter()``; raises OSError if there is none."""
    found = find_interpreter()
    if found is None:
        raise OSError(errno.ENOENT, f"no Python interpreter was found (sys.executable is {sys.executable!r})")
    return found


def interpreter_id(interpreter: str) -> str:
    """Return an id of the interpreter that changes if it, or the directory where lastword is installed, is changed."""
    times = []
    for path in (interpreter, _OWN_PLACE):
        with suppressed(OSError):
            times.append(str(os.stat(path).st_mtime_ns))
    return " ".join((interpreter, *times))


def find_interpreter() -> Optional[str]:
    """Return the path of the Python that runs this program (under uWSGI, ``sys.executable`` is uwsgi), or None."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    guesses = [sys.executable, getattr(sys, "_base_executable", None), os.path.join(sys.exec_prefix, "bin", version)]
    for guess in guesses:
        if guess and os.path.basename(guess).startswith(("python", "pypy")) and os.access(guess, os.X_OK):
            return guess
    return None


def import_arguments(search_path: Iterable[object]) -> list[str]:
    """Return the helper's arguments for imports: lastword's own place, then ``PACKAGE=PLACE`` for each package."""
    return [_OWN_PLACE, *(f"{package}={place}" for package, place in places_of_packages(search_path, _OWN_PLACE))]


def kept_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the part of the environment for the flusher: nothing that could be secret or change its Python."""
    return {name: value for name, value in environ.items() if name in _KEPT_VARIABLES or name.startswith("LC_")}
