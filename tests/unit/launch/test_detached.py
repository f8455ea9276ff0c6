"""The detached process: with which interpreter, path and environment it is started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import lastword
from lastword.launch.detached import find_interpreter, flusher_path, kept_environment


def test_the_interpreter_is_this_one() -> None:
    """In an ordinary program the flusher runs on the program's own Python."""
    assert find_interpreter() == sys.executable


def test_an_embedding_program_is_no_interpreter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Under uWSGI sys.executable is uwsgi: the base interpreter is taken, or the one beside the standard library."""
    uwsgi = tmp_path / "uwsgi"
    uwsgi.touch(mode=0o755)
    base = find_interpreter()
    monkeypatch.setattr(sys, "_base_executable", base, raising=False)
    monkeypatch.setattr(sys, "executable", str(uwsgi))
    assert find_interpreter() == base
    monkeypatch.setattr(sys, "_base_executable", str(uwsgi), raising=False)
    python = tmp_path / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    python.parent.mkdir()
    monkeypatch.setattr(sys, "exec_prefix", str(tmp_path))
    assert find_interpreter() is None
    python.touch(mode=0o755)
    assert find_interpreter() == str(python)


def test_the_path_has_what_was_installed_and_nothing_that_lies_about(tmp_path: Path) -> None:
    """A directory counts by the metadata of an installed distribution, never by a module of that name."""
    stray, installed, other = tmp_path / "stray", tmp_path / "installed", tmp_path / "other"
    for directory in (stray, installed, other):
        directory.mkdir()
    (stray / "requests.py").touch()
    (installed / "requests-2.32.0.dist-info").mkdir()
    (other / "flask-3.0.0.dist-info").mkdir()
    own = str(Path(lastword.__file__).parent.parent)
    searched = [str(stray), str(other), "", str(tmp_path / "missing"), str(installed)]
    assert flusher_path(searched) == [own, str(installed)]


def test_the_environment_is_an_allow_list() -> None:
    """Locale, paths, proxies and CA bundles go along; secrets and what changes a Python do not."""
    kept = {"PATH": "/bin", "LC_ALL": "C", "https_proxy": "http://p", "REQUESTS_CA_BUNDLE": "/ca", "HOME": "/h"}
    left = {"SECRET_KEY": "x", "PYTHONPATH": "/evil", "PYTHONHOME": "/evil", "LD_PRELOAD": "x", "LASTWORD_DSN": "x"}
    assert kept_environment({**kept, **left}) == kept
