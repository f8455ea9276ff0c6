"""``lastword run``: run a program with drop-ins for the packages that it imports, in its children too.

The program replaces this process and runs as without lastword, except for two environment variables: PYTHONPATH also
names a directory whose ``sitecustomize`` every Python loads at its start, and LASTWORD_RUN_COMPAT names the packages.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence

from lastword import compat
from lastword.cli import output
from lastword.compat.aliases import PACKAGES
from lastword.errors import ConfigError

COMPAT = "LASTWORD_RUN_COMPAT"
_AT_START = os.path.join(os.path.dirname(os.path.abspath(compat.__file__)), "at_start")
_OPTIONS_OF_PYTHON = ("-m", "-c")


def run(arguments: Sequence[str], *, packages: str) -> int:
    """Replace this process by ``program.py args…``, ``-m module args…``, or a command such as ``gunicorn args…``.

    A name with a slash or ending in ``.py`` is a path, which this Python runs; any other name is a command.
    ``packages``: names of packages with a drop-in, separated by commas. Raises ConfigError for an unknown package or
    program.
    """
    wanted = [name.strip() for name in packages.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in PACKAGES]
    if unknown or not wanted:
        raise ConfigError(f"--compat takes one or more of {', '.join(PACKAGES)}, separated by commas, not {packages!r}")
    command = _command(arguments[1:] if arguments[:1] == ["--"] else arguments)
    path = [_AT_START, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), COMPAT: ",".join(wanted)}
    output.flush()
    try:
        os.execve(command[0], command, environment)
    except OSError as error:  # for instance, a script without a #! line
        raise ConfigError(f"{command[0]} cannot be run: {error}") from None


def _command(arguments: Sequence[str]) -> list[str]:
    if not arguments:
        raise ConfigError("no program is given: name program.py args…, -m module args… or a command")
    program = arguments[0]
    if program in _OPTIONS_OF_PYTHON:
        return [sys.executable, *arguments]
    if os.sep in program or program.endswith(".py"):
        if not os.path.exists(program):
            raise ConfigError(f"there is no file {program}")
        return [sys.executable, *arguments]
    return [_found(program), *arguments[1:]]


def _found(name: str) -> str:
    """Return the file of a command, found as ``execvp`` does, but first beside this Python.

    So the command comes from this Python's environment, activated or not. Raises ConfigError if there is none. Entries
    of PATH that mean the working directory (empty ones, ``.``) are ignored, because it may belong to another user.
    """
    beside = os.path.dirname(sys.executable)
    places = [place for place in (beside, *os.get_exec_path()) if os.path.isabs(place)]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        here = f"; to run the file in the working directory, name ./{name}" if name and os.path.exists(name) else ""
        raise ConfigError(f"there is no command {name!r} beside {sys.executable} or on PATH{here}")
    return found
