"""The role of a process in its program: a worker of gunicorn, a child of a Celery pool, a script …

Derived from the loaded modules and the way the process was started, without importing anything.
"""

from __future__ import annotations

import os
import signal
import sys
from types import MethodType, ModuleType
from typing import Any, Optional

from lastword.capture.safe_text import class_module, clean
from lastword.descriptors import beginning_of
from lastword.interruption import failures

MAX_ROLE = 200


def role() -> str:
    """Return this process's role, such as ``gunicorn worker`` or ``python -m shop.worker``; otherwise ``script``.

    Takes some microseconds; under gunicorn it may read /proc. Never raises an Exception.
    """
    for find in (_of_multiprocessing, _of_uwsgi, _of_gunicorn, _of_celery, _of_interactive, _of_main_module):
        try:
            found = find()
        except failures():  # a foreign module in an unexpected state
            continue
        if found:
            return found
    return "script"


def _module(name: str) -> Any:
    return sys.modules.get(name)


def _of_multiprocessing() -> Optional[str]:
    module = _module("multiprocessing.process")
    if module is None:
        return None
    if (class_module(type(module.current_process())) or "").startswith("billiard"):
        return "Celery pool child"
    return "multiprocessing child" if module.parent_process() is not None else None


def _of_uwsgi() -> Optional[str]:
    server = _module("uwsgi")  # made by the server itself
    if server is None:
        return None
    if server.worker_id():
        return "uWSGI worker"
    return "uWSGI mule" if server.mule_id() else "uWSGI master"


def _of_gunicorn() -> Optional[str]:
    if _module("gunicorn.arbiter") is None:
        return None
    return "gunicorn arbiter" if _handles_deaths_of_workers() or not _is_like_its_parent() else "gunicorn worker"


def _handles_deaths_of_workers() -> bool:
    handler: Any = signal.getsignal(signal.SIGCHLD)
    return type(handler) is MethodType and class_module(type(handler.__self__)) == "gunicorn.arbiter"


def _is_like_its_parent() -> bool:
    """Return whether the parent's command line shows gunicorn too; also true if it cannot be read.

    An arbiter that is still loading the application does not handle any signal yet.
    """
    parents, own = (beginning_of(f"/proc/{pid}/cmdline", 4096) for pid in (os.getppid(), os.getpid()))
    return parents == own or parents.startswith(b"gunicorn: master")


def _of_celery() -> Optional[str]:
    if _module("celery") is None or "celery" not in sys.argv[0]:
        return None
    for word in ("worker", "beat"):
        if word in sys.argv[1:]:
            return f"Celery {word}"
    return None


def _of_interactive() -> Optional[str]:
    if _module("ipykernel.kernelapp") is not None:
        return "notebook"
    return "interactive" if hasattr(sys, "ps1") else None


def _of_main_module() -> Optional[str]:
    main = _module("__main__")
    found = ModuleType.__getattribute__(main, "__dict__").get("__spec__")
    if found is not None:
        name = clean(found.name, MAX_ROLE - 20)
        return f"python -m {name[: -len('.__main__')] if name.endswith('.__main__') else name}"
    return "python -c" if sys.argv[:1] == ["-c"] else None
