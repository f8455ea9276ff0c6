"""The detached process that sends: with which interpreter, path and environment it is started.

``python -I -c …`` with input and output to /dev/null, its errors to ``flusher.log``, no inherited descriptor, a new
session, cwd ``/``, and an environment by allow-list. It first looks whether it finds what it has to import, and says
so. Then it forks and its first half ends with status 0, so that it is no child of the program where there is no shell
(``child``). Next it locks ``helper.lock``: who looks can tell one that is slow to come, on a machine that is busy, or
that waits for a pause to end, from one that has died.
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

# Every exit status is 0: a program that is PID 1 inherits the flusher, and gunicorn 20.1 as PID 1 took the status of an
# orphan for one of its workers'. The path of `python -I` comes first, and stays as it is: what else lies in directories
# of the program's, beside the packages that are taken from there, is not found. lastword itself is the program's own,
# also where another version is installed beside the interpreter. What takes long to import comes after the fork.
_HELPER = """\
import os, sys
try:
    spool, place, interpreter, not_before, own_place, *told = sys.argv[1:]
    places = {}
    for package, where in (one.split("=", 1) for one in told):
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
            " program's path has one that is installed there and that nobody else may change"
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


def spawn(
    layout: Layout, children: Children, interpreter: str, *, not_before: float = 0.0, answer_within: float = 0.0
) -> None:
    """Start the helper, which waits until ``not_before`` (Unix seconds), if that is still to come.

    Whether it begins well is waited for ``answer_within`` seconds. Raises OSError, see ``Children.start``.
    """
    told = [layout.spool, layout.helper_lock, as_it_is(interpreter), repr(not_before), *what_to_import(sys.path)]
    try:
        log = open_private(layout.flusher_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except failures(OSError):  # no room, or no file
        log = None
    try:
        arguments = [interpreter, "-I", "-c", _HELPER, *told]
        children.start(arguments, kept_environment(os.environ), log=log, answer_within=answer_within)
    finally:
        if log is not None:
            os.close(log)


def the_interpreter() -> str:
    """``find_interpreter``; raises OSError where there is none."""
    found = find_interpreter()
    if found is None:
        raise OSError(errno.ENOENT, f"no Python interpreter was found (sys.executable is {sys.executable!r})")
    return found


def as_it_is(interpreter: str) -> str:
    """This interpreter, told from the same one after it, or what is installed beside lastword, was changed."""
    times = []
    for path in (interpreter, _OWN_PLACE):
        with suppressed(OSError):
            times.append(str(os.stat(path).st_mtime_ns))
    return " ".join((interpreter, *times))


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


def what_to_import(search_path: Iterable[object]) -> list[str]:
    """What the helper is told of that: lastword's own place, then ``PACKAGE=PLACE`` for each package of others."""
    return [_OWN_PLACE, *(f"{package}={place}" for package, place in places_of_packages(search_path, _OWN_PLACE))]


def kept_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What the flusher is given of the program's environment: nothing that could be a secret or change its Python."""
    return {name: value for name, value in environ.items() if name in _KEPT_VARIABLES or name.startswith("LC_")}
