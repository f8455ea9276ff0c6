"""``lastword run``: a program with the drop-ins in place of the packages that it imports, in its children too.

The program takes the place of this process, and all of it is as without lastword, but for two environment variables:
PYTHONPATH names a directory whose ``sitecustomize`` every Python reads at its start, and LASTWORD_RUN_COMPAT the
packages.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence

from lastword import compat
from lastword.compat.aliases import PACKAGES
from lastword.errors import ConfigError

COMPAT = "LASTWORD_RUN_COMPAT"
_AT_START = os.path.join(os.path.dirname(os.path.abspath(compat.__file__)), "at_start")
_OPTIONS_OF_PYTHON = ("-m", "-c")


def run(arguments: Sequence[str], *, packages: str) -> int:
    """Become ``program.py args…``, ``-m module args…``, or a command such as ``gunicorn args…``.

    ``packages``: names of packages with a drop-in, separated by commas. Raises ConfigError where there is no such
    package or program.
    """
    wanted = [name.strip() for name in packages.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in PACKAGES]
    if unknown or not wanted:
        raise ConfigError(f"--compat takes {' and '.join(PACKAGES)}, separated by commas, not {packages!r}")
    command = _command(arguments[1:] if arguments[:1] == ["--"] else arguments)
    path = [_AT_START, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), COMPAT: ",".join(wanted)}
    sys.stdout.flush()
    os.execve(command[0], command, environment)


def _command(arguments: Sequence[str]) -> list[str]:
    if not arguments:
        raise ConfigError("say what to run: program.py args…, -m module args… or a command")
    program = arguments[0]
    if program in _OPTIONS_OF_PYTHON or os.path.exists(program):
        return [sys.executable, *arguments]
    beside = os.path.join(os.path.dirname(sys.executable), program)  # of the same environment, activated or not
    found = shutil.which(beside) or shutil.which(program)
    if found is None:
        raise ConfigError(f"there is no {program}, neither as a file nor as a command")
    return [found, *arguments[1:]]
