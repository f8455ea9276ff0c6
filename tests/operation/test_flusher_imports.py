"""Where the interpreter has no ``requests`` by itself the flusher takes it from where the program has it, and nothing
else from there: an installation by ``--target``, a user's own, an archive.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

import pytest

import lastword
from lastword.testing import LoopbackTracker
from tests.support.programs import wait_until_no_flusher
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.FLUSHER_MODES,
    "The flusher imports nothing else from those directories: no `brotli.py` beside the script, no `sitecustomize`",
    broken_by="the directories on the flusher's path; no archive",
)

NEEDED = ("requests", "urllib3", "idna", "certifi", "charset_normalizer")

#: What packages import if it happens to be there, and what Python itself runs.
OPTIONAL = (
    *("brotli", "brotlicffi", "_brotli", "zstandard", "backports", "h2", "chardet", "simplejson", "socks", "OpenSSL"),
    *("cryptography", "sitecustomize", "usercustomize", "psutil", "filelock", "typing_extensions", "netrc", "six"),
)

PROGRAM = """
import os
import lastword
lastword.init(os.environ["TEST_DSN"], spool=os.environ["TEST_SPOOL"], shutdown_timeout=30)
print(lastword.capture_message("x"))
"""


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with nothing installed."""
    place = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--symlinks", place], check=True, timeout=120)
    return str(place / "bin" / "python")


def install(place: Path, packages: Iterable[str] = NEEDED) -> None:
    """As ``pip install --target`` does: a copy with its metadata."""
    place.mkdir(exist_ok=True)
    for package in packages:
        found = distribution(package)
        for file in found.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = place / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(found.locate_file(file)), target)


def plant(place: Path, executed: Path) -> None:
    """Modules that say so where an isolated interpreter, such as a flusher's, runs them."""
    place.mkdir(exist_ok=True)
    for name in OPTIONAL:
        told = f"import sys\nif sys.flags.isolated: open({str(executed)!r}, 'a').write('{name} ')\n"
        (place / f"{name}.py").write_text(told)
    (place / "evil.pth").write_text(f"import sys; sys.flags.isolated and open({str(executed)!r}, 'a')\n")


def run(python: str, script: Path, spool: Path, dsn: str, *path: Path) -> None:
    own = str(Path(lastword.__file__).parent.parent)
    environment = {**os.environ, "TEST_SPOOL": str(spool), "TEST_DSN": dsn, "PYTHONDONTWRITEBYTECODE": "1"}
    environment["PYTHONPATH"] = os.pathsep.join((own, *map(str, path)))
    done = subprocess.run([python, script], env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_target_installation_gives_nothing_but_the_packages(tmp_path: Path, bare_python: str) -> None:
    """Planted modules and metadata beside the script or the packages are not imported."""
    executed, target, script = tmp_path / "executed", tmp_path / "target", tmp_path / "script"
    install(target)
    plant(target, executed)
    plant(script, executed)
    (script / "requests-99.0.dist-info").mkdir()
    (script / "main.py").write_text(PROGRAM)
    with LoopbackTracker() as tracker:
        run(bare_python, script / "main.py", tmp_path / "spool", tracker.dsn, target)
        tracker.wait_for(1)
        wait_until_no_flusher(tmp_path / "spool")
    assert not executed.exists(), executed.read_text()


def test_requests_installed_beside_the_script_is_used(tmp_path: Path, bare_python: str) -> None:
    executed, script = tmp_path / "executed", tmp_path / "script"
    install(script)
    plant(script, executed)
    (script / "main.py").write_text(PROGRAM)
    with LoopbackTracker() as tracker:
        run(bare_python, script / "main.py", tmp_path / "spool", tracker.dsn)
        tracker.wait_for(1)
        wait_until_no_flusher(tmp_path / "spool")
    assert not executed.exists(), executed.read_text()


def test_packages_of_several_directories(tmp_path: Path, bare_python: str) -> None:
    """As Debian has them, and a user's own beside the system's."""
    first, second = tmp_path / "first", tmp_path / "second"
    install(first, ["requests", "idna"])
    install(second, [name for name in NEEDED if name != "idna"])
    (tmp_path / "main.py").write_text(PROGRAM)
    with LoopbackTracker() as tracker:
        run(bare_python, tmp_path / "main.py", tmp_path / "spool", tracker.dsn, first, second)
        tracker.wait_for(1)
        wait_until_no_flusher(tmp_path / "spool")


def test_all_packages_are_taken_from_a_zipapp(tmp_path: Path, bare_python: str) -> None:
    """A zipapp. (Modules of C cannot be in one: charset_normalizer has a form without.)"""
    target, archive = tmp_path / "target", tmp_path / "app.pyz"
    install(target)
    for compiled in target.rglob("*.so"):
        compiled.unlink()
    own = find_spec("lastword")
    assert own is not None and own.origin is not None
    shutil.copytree(Path(own.origin).parent, target / "lastword", ignore=shutil.ignore_patterns("__pycache__"))
    (target / "__main__.py").write_text(PROGRAM)
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(target.rglob("*")):
            if not path.is_dir():
                file.write(path, path.relative_to(target))
    environment = {**os.environ, "TEST_SPOOL": str(tmp_path / "spool")}
    environment.pop("PYTHONPATH", None)
    with LoopbackTracker() as tracker:
        environment["TEST_DSN"] = tracker.dsn
        done = subprocess.run(
            [bare_python, archive.name], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert (done.returncode, done.stderr) == (0, "")
        tracker.wait_for(1)
        wait_until_no_flusher(tmp_path / "spool")
