"""The release of a program that does not say it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Optional

import pytest

from lastword.capture import release
from lastword.capture.release import MAX_LEVELS, VARIABLES, checked_out_commit, guessed_release
from tests.support import needs

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40


def repository(place: Path, head: str, **files: str) -> Path:
    """A made-up ``.git`` in ``place``, with ``head`` and more files (``__`` for a slash)."""
    git = place / ".git"
    git.mkdir(parents=True)
    (git / "HEAD").write_text(head)
    for name, content in files.items():
        path = git / name.replace("__", "/").replace("packed_refs", "packed-refs")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return place


@pytest.mark.parametrize("variable", VARIABLES)
def test_release_of_the_platform_goes_before_git(variable: str) -> None:
    """The platform that built the program knows better than a directory."""
    assert guessed_release({variable: " abc123 \n", "HOME": "/"}) == "abc123"


def test_a_variable_is_bounded_and_an_empty_one_counts_as_none() -> None:
    """An event has room for 200 characters."""
    assert len(guessed_release({"GITHUB_SHA": " ", "CI_COMMIT_SHA": "x" * 5000})) == 200


@pytest.mark.parametrize(
    ("head", "files", "expected"),
    [
        (f"{COMMIT}\n", {}, COMMIT),
        ("a" * 64, {}, "a" * 64),
        ("ref: refs/heads/main\n", {"refs__heads__main": f"{COMMIT}\n"}, COMMIT),
        (
            "ref: refs/heads/main\n",
            {"packed_refs": f"# pack-refs\n{OTHER} refs/heads/main2\n{COMMIT} refs/heads/main\n"},
            COMMIT,
        ),
        ("ref: refs/heads/main\n", {"packed_refs": f"{OTHER} refs/heads/main2\n"}, None),
        pytest.param(
            "ref: refs/heads/fix/ü-1\n",
            {"refs__heads__fix__ü-1": COMMIT},
            COMMIT,
            marks=needs.capability(sys.getfilesystemencoding() != "ascii", "file name beyond ASCII"),  # PyPy, no locale
        ),
        ("ref: refs/heads/.invalid\n", {}, None),
        ("ref: refs/../../secret\n", {"refs__x": "", "..__secret": COMMIT}, None),
        ("ref: /etc/hostname\n", {}, None),
        ("ref: refs/heads/main\n", {"refs__heads__main": "no commit\n"}, None),
        ("", {}, None),
        ("\x00\xff", {}, None),
    ],
)
def test_the_commit_that_is_checked_out(
    head: str, files: dict[str, str], expected: Optional[str], tmp_path: Path
) -> None:
    """Detached, on a branch, on a packed one; an invalid commit is ignored."""
    assert checked_out_commit(str(repository(tmp_path, head, **files))) == expected


@needs.capability(subprocess.call(["git", "--version"], stdout=subprocess.DEVNULL) == 0, "git")
def test_a_real_repository_and_a_real_worktree(tmp_path: Path) -> None:
    """Loose and packed."""

    def git(*arguments: str, cwd: Path) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        return subprocess.run(
            ["git", *identity, *arguments], cwd=cwd, stdout=subprocess.PIPE, check=True, timeout=60, text=True
        ).stdout.strip()

    (tmp_path / "main").mkdir()
    git("init", "-q", cwd=tmp_path / "main")
    git("commit", "-q", "--allow-empty", "-m", "first", cwd=tmp_path / "main")
    git("worktree", "add", "-q", "../other", "-b", "other", cwd=tmp_path / "main")
    git("commit", "-q", "--allow-empty", "-m", "second", cwd=tmp_path / "other")
    for _ in ("loose", "packed"):
        for name in ("main", "other"):
            assert checked_out_commit(str(tmp_path / name)) == git("rev-parse", "HEAD", cwd=tmp_path / name)
        git("pack-refs", "--all", cwd=tmp_path / "main")


def test_a_repository_is_found_a_few_levels_up(tmp_path: Path) -> None:
    """And no farther."""
    place = repository(tmp_path, COMMIT)
    for _ in range(MAX_LEVELS - 1):
        place /= "x"
    assert checked_out_commit(str(place)) == COMMIT
    assert checked_out_commit(str(place / "x")) is None


def test_the_repository_of_another_user_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in git: a user who can write above us could name our release."""
    repository(tmp_path, COMMIT)
    own = os.lstat(tmp_path / ".git").st_uid
    found = os.lstat

    def strangers(path: str) -> os.stat_result:
        return os.stat_result([*found(path)[:4], own + 4711, *found(path)[5:10]])

    monkeypatch.setattr(os, "lstat", strangers)
    assert checked_out_commit(str(tmp_path)) is None


@needs.capability(hasattr(os, "mkfifo"), "os.mkfifo")
def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """Reading a pipe would wait for ever."""
    (tmp_path / ".git").mkdir()
    os.mkfifo(tmp_path / ".git" / "HEAD")
    assert checked_out_commit(str(tmp_path)) is None


def test_repository_is_searched_from_the_main_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed command such as gunicorn's says nothing about what it runs."""
    script, here = repository(tmp_path / "script", COMMIT), repository(tmp_path / "here", OTHER)
    monkeypatch.chdir(here)
    for file, expected in (
        (str(script / "app.py"), COMMIT),
        (os.path.join(os.path.dirname(sys.executable), "gunicorn"), OTHER),
        ("/venv/lib/python3.11/site-packages/celery/__main__.py", OTHER),
        (None, OTHER),
    ):
        monkeypatch.setitem(sys.modules, "__main__", SimpleNamespace(__file__=file))
        assert guessed_release({}) == expected


def test_no_working_directory_and_no_repository_are_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the release is not known."""
    monkeypatch.setitem(sys.modules, "__main__", SimpleNamespace())
    monkeypatch.setattr(release, "MAX_LEVELS", 1)
    monkeypatch.chdir(tmp_path)
    assert guessed_release({}) == ""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert guessed_release({}) == ""
