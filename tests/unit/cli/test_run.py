"""What ``lastword run`` runs: a bare name is a command, not a file of the working directory, which may be anybody's."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lastword.cli import run
from lastword.errors import ConfigError
from tests.support.promise import Section, promise


@pytest.fixture(autouse=True)
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory in which somebody has put programs by the names of commands."""
    directory = tmp_path / "planted"
    directory.mkdir()
    for name in ("gunicorn", "env", "python", "here"):
        executable(directory / name)
    monkeypatch.chdir(directory)
    return directory


def executable(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\necho planted\n")
    path.chmod(0o755)
    return path


def becomes(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[str]:
    """What ``lastword run -- arguments`` becomes."""
    seen: list[list[str]] = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "execve", lambda path, command, environment: seen.append([path, *command]))
        run.run(["--", *arguments], packages="booboo")
    [[path, *command]] = seen
    assert path == command[0]
    return command


#: PATHs that lead to the working directory, by an entry that is empty, relative, or both.
@promise(
    Section.PRIVATE,
    "`lastword run NAME` never takes a file of the working directory for the command",
    broken_by="an existing file taken; relative entries of PATH count",
)
@pytest.mark.parametrize(
    "path", ["", ":", ".", "{dir}:", ":{dir}", "{dir}::{dir}", ".:{dir}", "./:{dir}", "../planted"]
)
def test_a_bare_name_is_no_file_of_the_working_directory(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only absolute entries of PATH count, in their order."""
    there = executable(tmp_path / "bin" / "gunicorn")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", path.format(dir=there.parent))
    if "{dir}" in path:
        assert becomes(monkeypatch, "gunicorn", "shop:app") == [str(there), "shop:app"]
    else:
        with pytest.raises(ConfigError, match=r"there is no command 'gunicorn' .* the file .* name \./gunicorn"):
            becomes(monkeypatch, "gunicorn", "shop:app")
    with pytest.raises(ConfigError, match="there is no command 'here'"):
        becomes(monkeypatch, "here")


def test_command_is_searched_beside_this_python_then_in_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside this Python, then along PATH, as ``execvp`` does; without a PATH where the system looks."""
    executable(tmp_path / "venv" / "gunicorn")
    executable(tmp_path / "bin" / "gunicorn")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))
    assert becomes(monkeypatch, "gunicorn") == [str(tmp_path / "venv" / "gunicorn")]
    (tmp_path / "venv" / "gunicorn").chmod(0o644)  # none that may be run
    assert becomes(monkeypatch, "gunicorn") == [str(tmp_path / "bin" / "gunicorn")]
    monkeypatch.delenv("PATH")
    assert becomes(monkeypatch, "env")[0] in ("/bin/env", "/usr/bin/env")
    monkeypatch.setattr(sys, "executable", "")  # of an interpreter that does not know where it is
    assert becomes(monkeypatch, "env")[0] in ("/bin/env", "/usr/bin/env")


def test_a_path_has_a_slash_or_ends_in_py(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is run by this Python; ``-m`` and ``-c`` are Python's own."""
    (planted / "manage.py").touch()
    for path in ("manage.py", "./gunicorn", "../planted/gunicorn", str(planted / "gunicorn")):
        assert becomes(monkeypatch, path, "-x") == [sys.executable, path, "-x"]
    for option in ("-m", "-c"):
        assert becomes(monkeypatch, option, "gunicorn") == [sys.executable, option, "gunicorn"]


@pytest.mark.parametrize("name", ["missing.py", "./missing", "missing/", "", ".", "..", "-x", "missing"])
def test_name_that_is_neither_file_nor_command_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"there is no (file|command)"):
        becomes(monkeypatch, name)


def test_a_command_that_cannot_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said, in one line."""
    script = executable(tmp_path / "bin" / "shop")
    script.write_bytes(b"\0garbage")
    monkeypatch.setenv("PATH", str(script.parent))
    with pytest.raises(ConfigError, match=f"{script} cannot be run"):
        run.run(["shop"], packages="booboo")
