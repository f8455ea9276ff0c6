"""The detached process: with which interpreter, path and environment it is started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import lastword
from lastword.launch.detached import find_interpreter, import_arguments, kept_environment


def test_helper_runs_on_the_programs_own_python() -> None:
    """In an ordinary program the flusher runs on the program's own Python."""
    assert find_interpreter() == sys.executable


def test_base_interpreter_is_used_under_uwsgi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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


def test_path_of_lastword_comes_first() -> None:
    """Then paths of packages that the helper finds nowhere else."""
    own, *packages = import_arguments(sys.path)
    assert own == str(Path(lastword.__file__).parent.parent)
    assert any(one.startswith("requests=") for one in packages)


def test_the_environment_is_an_allow_list() -> None:
    """Locale, paths, proxies and CA bundles go along; secrets and what changes a Python do not."""
    kept = {"PATH": "/bin", "LC_ALL": "C", "https_proxy": "http://p", "REQUESTS_CA_BUNDLE": "/ca", "HOME": "/h"}
    left = {"SECRET_KEY": "x", "PYTHONPATH": "/evil", "PYTHONHOME": "/evil", "LD_PRELOAD": "x", "LASTWORD_DSN": "x"}
    assert kept_environment({**kept, **left}) == kept
