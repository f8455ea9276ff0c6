"""A program: runs some statements and prints, as JSON, what they left in this process or did to the system.

Run as ``python -I -B footprint.py STATEMENTS``. The answer maps each kind of trace to a list of texts; a kind without
a trace is not in it. What is still there afterwards is found by looking before and after; what came and went (a child
that has ended, a file that was removed) by an audit hook.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import json
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path

#: Audit events of the interpreter, by what they are a trace of. ``open`` counts only for writing.
ACTIONS = {
    "process": ("os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen"),
    "socket": ("socket.",),
    "file": ("os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.truncate", "os.chmod"),
    "thread": ("_thread.start_new_thread",),
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class ActionLog:
    """Notes every action of ``ACTIONS`` from ``start`` to ``stop``."""

    def __init__(self) -> None:
        self.noted: dict[str, list[str]] = {}
        self._on = False
        sys.addaudithook(self._hear)

    def start(self) -> None:
        self._on = True

    def stop(self) -> None:
        self._on = False

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._on:
            return
        if event == "open":
            if _is_for_writing(*arguments[1:]):
                self._note("file", event, arguments)
            return
        for kind, prefixes in ACTIONS.items():
            if event.startswith(prefixes):
                self._note(kind, event, arguments)

    def _note(self, kind: str, event: str, arguments: tuple[object, ...]) -> None:
        self.noted.setdefault(kind, []).append(f"{event}{arguments!r}"[:200])


def _is_for_writing(mode: object, flags: object) -> bool:
    if isinstance(mode, str):  # where there is a mode, PyPy's flags are none
        return not set("wax+").isdisjoint(mode)
    return isinstance(flags, int) and bool(flags & WRITING)


def look() -> dict[str, set[str]]:
    """What can be seen of this process right now."""
    return {
        "module": set(_foreign_modules()),
        "thread": {f"{thread.name} {thread.ident}" for thread in threading.enumerate()} | set(_listing("task")),
        "descriptor": set(_descriptors()),
        "hook": {f"{name}: {value}" for name, value in _hooks().items()},
        "environment": {f"{name}={value}" for name, value in os.environ.items()},
    }


def _foreign_modules() -> list[str]:
    """Loaded modules that come neither with the interpreter nor with lastword."""
    return [name for name, module in sys.modules.items() if _is_foreign(name, getattr(module, "__file__", None))]


def _is_foreign(name: str, file: str | None) -> bool:
    if file is None or name.partition(".")[0] in ("lastword", "__main__"):
        return False
    library = Path(os.__file__).resolve().parent
    try:
        inside = Path(file).resolve().relative_to(library)
    except ValueError:
        return True
    return bool({"site-packages", "dist-packages"} & set(inside.parts))


def _hooks() -> Mapping[str, object]:
    handlers = {f"signal {number}": signal.getsignal(number) for number in signal.valid_signals()}
    return {
        "sys.excepthook": sys.excepthook,
        "sys.unraisablehook": sys.unraisablehook,
        "sys.displayhook": sys.displayhook,
        "threading.excepthook": threading.excepthook,
        "logging.Logger.filter": logging.Logger.filter,
        "logging.Logger.callHandlers": logging.Logger.callHandlers,
        "logging.handlers": logging.getLogger().handlers,
        "logging.factory": logging.getLogRecordFactory(),
        "warnings.showwarning": warnings.showwarning,
        "warnings._showwarnmsg_impl": getattr(warnings, "_showwarnmsg_impl", None),
        "sys.__excepthook__": sys.__excepthook__,
        "sys.__unraisablehook__": sys.__unraisablehook__,
        "sys.settrace": sys.gettrace(),
        "sys.setprofile": sys.getprofile(),
        "sys.path": sys.path,
        "sys.path_hooks": sys.path_hooks,
        "sys.meta_path": sys.meta_path,
        "atexit": getattr(atexit, "_ncallbacks", int)(),
        "faulthandler": faulthandler.is_enabled(),
        **handlers,
    }


def _listing(name: str) -> list[str]:
    try:
        return os.listdir(f"/proc/self/{name}")
    except OSError:
        return []


def _descriptors() -> list[str]:
    found = []
    for number in _listing("fd"):
        with contextlib.suppress(OSError):  # the one that the listing itself was read by is closed
            found.append(f"{number} → {os.readlink(f'/proc/self/fd/{number}')}")
    return found


def footprint(statements: str) -> dict[str, list[str]]:
    """Run ``statements`` and tell their traces by kind."""
    log = ActionLog()
    before = look()
    log.start()
    exec(compile(statements, "<statements>", "exec"), {"__name__": "__statements__"})
    log.stop()
    after = look()
    traces = {kind: sorted(after[kind] ^ before[kind]) + log.noted.pop(kind, []) for kind in after} | log.noted
    return {kind: found for kind, found in traces.items() if found}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(footprint(sys.argv[1])))
