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
from lastword.cli import output
from lastword.compat.aliases import PACKAGES
from lastword.errors import ConfigError

COMPAT = "LASTWORD_RUN_COMPAT"
_AT_START = os.path.join(os.path.dirname(os.path.abspath(compat.__file__)), "at_start")
_OPTIONS_OF_PYTHON = ("-m", "-c")


def run(arguments: Sequence[str], *, packages: str) -> int:
    """Become ``program.py args…``, ``-m module args…``, or a command such as ``gunicorn args…``. A path has a slash or
    ends in ``.py``, and is run by this Python; any other name is a command.

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
    output.flush()
    try:
        os.execve(command[0], command, environment)
    except OSError as error:  # a script without a first line that says what runs it
        raise ConfigError(f"{command[0]} cannot be run: {error}") from None


def _command(arguments: Sequence[str]) -> list[str]:
    if not arguments:
        raise ConfigError("say what to run: program.py args…, -m module args… or a command")
    program = arguments[0]
    if program in _OPTIONS_OF_PYTHON:
        return [sys.executable, *arguments]
    if os.sep in program or program.endswith(".py"):
        if not os.path.exists(program):
            raise ConfigError(f"there is no file {program}")
        return [sys.executable, *arguments]
    return [_found(program), *arguments[1:]]


def _found(name: str) -> str:
    """The file of a command, looked for as ``execvp`` does, but first beside this Python: in the same environment,
    activated or not. Raises ConfigError where there is none.

    The working directory may be anybody's: entries of PATH that lead there (empty ones, ``.``) are passed over.
    """
    beside = os.path.dirname(sys.executable)
    places = [place for place in (beside, *os.get_exec_path()) if os.path.isabs(place)]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        here = f"; the file of the working directory is ./{name}" if name and os.path.exists(name) else ""
        raise ConfigError(f"there is no command {name!r} beside {sys.executable} or on PATH{here}")
    return found
