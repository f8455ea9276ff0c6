"""``lastword.compat.install`` and ``lastword run``: programs that nobody can edit import the drop-ins."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lastword import cli, compat
from lastword.errors import ConfigError
from tests.compat import stand_in

PACKAGE = "booboo"


def remove(prefix: str) -> dict[str, Any]:
    return {name: sys.modules.pop(name) for name in [*sys.modules] if name == prefix or name.startswith(prefix + ".")}


@pytest.fixture(autouse=True)
def dropins(tmp_path: Path) -> Iterator[None]:
    """Stand-ins, and everything as it was afterwards."""
    before = {**remove(f"lastword.compat.{PACKAGE}"), **remove(PACKAGE)}
    stand_in.make(tmp_path / "dropins", "booboo", "backtracepython")
    compat.__path__.insert(0, str(tmp_path / "dropins"))
    importlib.invalidate_caches()
    yield
    compat.uninstall()
    compat.__path__.remove(str(tmp_path / "dropins"))
    remove(f"lastword.compat.{PACKAGE}")
    remove(PACKAGE)
    sys.modules.update(before)


def imported(name: str = PACKAGE) -> Any:
    return importlib.import_module(name)


def test_an_import_gives_the_drop_in() -> None:
    """The same object by either name, of its own kind: reload, pickle and relative imports go by that."""
    compat.install(PACKAGE)
    dropin: Any = imported()
    assert dropin is sys.modules[f"lastword.compat.{PACKAGE}"]
    spec: Any = dropin.__spec__
    assert dropin.__name__ == spec.name == f"lastword.compat.{PACKAGE}"
    assert imported(f"{PACKAGE}._lazy") is sys.modules[f"lastword.compat.{PACKAGE}._lazy"]


def test_a_variable_keeps_its_value_when_a_module_of_its_name_is_imported() -> None:
    """``booboo._client`` is the client, and ``from booboo._client import BoobooClient`` works beside it."""
    compat.install(PACKAGE)
    dropin = imported()
    dropin.init("dsn")
    client = imported(f"{PACKAGE}._client").Client
    assert type(dropin._client) is client
    assert dropin._client.dsn == "dsn"


def test_uninstall_restores_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules imported before come back as the same objects."""
    (tmp_path / "original" / PACKAGE).mkdir(parents=True)
    (tmp_path / "original" / PACKAGE / "__init__.py").write_text("ORIGINAL = True\n")
    monkeypatch.syspath_prepend(str(tmp_path / "original"))
    original = imported()
    assert original.ORIGINAL
    compat.install()
    compat.install()
    assert not hasattr(imported(), "ORIGINAL")
    compat.uninstall()
    assert imported() is original
    compat.uninstall()


def test_only_what_was_asked_for_is_replaced() -> None:
    """And what has no drop-in cannot be."""
    compat.install("backtracepython")
    assert imported("backtracepython").__name__ == "lastword.compat.backtracepython"
    with pytest.raises(ConfigError, match="no drop-in for 'sentry_sdk', only for backtracepython and booboo"):
        compat.install("sentry_sdk")


# --- lastword run

#: In one write, since several processes write at a time.
SAY = """\
import builtins, os
builtins.say = lambda *words: os.write(1, (" ".join(map(str, words)) + "\\n").encode())
say("the next sitecustomize")
"""

PROGRAM = """\
import subprocess, sys, os
import {package}
say(sys.argv[1:], __name__, {package}.__name__)
if sys.argv[1:] == ["parent"]:
    if os.fork() == 0:
        import {package}._lazy
        say("forked", {package}._lazy.__name__)
        os._exit(0)
    os.wait()
    subprocess.run([sys.executable, __file__, "child"])
    import multiprocessing
    body = "import {package}; say({package}.__name__)"
    for method in ("spawn", "forkserver"):
        process = multiprocessing.get_context(method).Process(target=exec, args=(body,))
        process.start()
        process.join()
sys.exit(3)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that nobody edits; where it finds stand-ins is told by a ``usercustomize``-like module of its own."""
    beside = tmp_path / "program"
    beside.mkdir()
    find = stand_in.make(tmp_path / "more", "booboo", "backtracepython")
    (beside / "sitecustomize.py").write_text(SAY + find)
    path = beside / "program.py"
    body = textwrap.indent(PROGRAM.format(package=PACKAGE), "    ")
    path.write_text(f"if __name__ == '__main__':\n{body}")
    return path


def lastword_run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(program.parent)}
    return subprocess.run(
        [sys.executable, "-m", "lastword", "run", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=program.parent,
    )


def test_run_gives_a_program_and_its_children_the_drop_ins(program: Path) -> None:
    """Forked, spawned, from a fork server, Pythons of their own; each reads the sitecustomize that was there before."""
    done = lastword_run(program, "--compat", PACKAGE, "--", str(program), "parent")
    name = f"lastword.compat.{PACKAGE}"
    told = [line for line in done.stdout.splitlines() if line != "the next sitecustomize"]
    assert told == [
        f"['parent'] __main__ {name}",
        f"forked {name}._lazy",
        f"['child'] __main__ {name}",
        name,
        name,
    ], done.stderr
    assert done.stdout.count("the next sitecustomize") >= 4


INSTALLS = """\
import multiprocessing
from lastword import compat

def child():
    import {package}
    say({package}.__name__)

if __name__ == "__main__":
    compat.install()
    for method in ("fork", "spawn", "forkserver"):
        process = multiprocessing.get_context(method).Process(target=child)
        process.start()
        process.join()
"""


def test_install_holds_in_children(program: Path) -> None:
    """Forked ones and those that multiprocessing starts anew."""
    program.write_text(INSTALLS.format(package=PACKAGE))
    environment = {**os.environ, "PYTHONPATH": str(program.parent)}
    done = subprocess.run([sys.executable, str(program)], env=environment, capture_output=True, text=True, timeout=60)
    told = [line for line in done.stdout.splitlines() if line != "the next sitecustomize"]
    assert told == [f"lastword.compat.{PACKAGE}"] * 3, done.stderr


def test_the_program_takes_the_place_of_the_command(program: Path) -> None:
    """Its arguments, its exit status, a module or a command instead of a file."""
    assert lastword_run(program, "--compat", PACKAGE, "--", str(program), "--help").returncode == 3
    told = lastword_run(program, "--compat", f"{PACKAGE},backtracepython", "--", "-m", "program", "-x").stdout
    assert f"['-x'] __main__ lastword.compat.{PACKAGE}" in told
    told = lastword_run(program, "--compat", PACKAGE, "--", "env").stdout
    assert f"LASTWORD_RUN_COMPAT={PACKAGE}" in told


def test_command_that_cannot_be_run_is_an_error_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    """As any command that cannot be done as it was asked for."""
    assert cli.main(["run", "--compat", "sentry_sdk", "--", "x.py"]) == 2
    assert cli.main(["run", "--compat", PACKAGE, "--", "no-such-program"]) == 2
    assert cli.main(["run", "--compat", PACKAGE]) == 2
    told = capsys.readouterr().err
    assert "--compat takes one or more of backtracepython, booboo" in told
    assert "there is no command 'no-such-program'" in told
    assert "no program is given" in told


def test_python_without_lastword_imports_what_is_installed_there(program: Path) -> None:
    """A child of another environment: it imports the package that is installed there, or none."""
    at_start = Path(compat.__file__).parent / "at_start"
    (program.parent / "sitecustomize.py").unlink()
    script = f"try:\n    import {PACKAGE}\nexcept ImportError as error:\n    print(error.name)\n"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(at_start), "LASTWORD_RUN_COMPAT": PACKAGE}
    base = Path(sys.base_prefix) / "bin" / os.path.basename(os.path.realpath(sys.executable))
    done = subprocess.run(
        [str(base), "-c", f"import sys; sys.modules['lastword'] = None\n{script}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout.strip(), done.stderr) == (PACKAGE, "")
