"""What is installed beside a program: names and versions, at a bounded cost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lastword.spool import installed
from lastword.spool.installed import MAX_DISTRIBUTIONS, installed_distributions


def place(directory: Path, *names: str) -> str:
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        (directory / name).mkdir()
    return str(directory)


def test_names_and_versions_are_those_of_the_directories(tmp_path: Path) -> None:
    """As pip, Debian and setuptools write them; anything else there is none."""
    here = place(
        tmp_path / "site-packages",
        "requests-2.32.3.dist-info",
        "ruamel.yaml-0.18.6.dist-info",
        "PyYAML-6.0-py3.11.egg-info",
        "shop.egg-info",
        "requests",
        "readme-1.txt",
    )
    assert installed_distributions([here]) == {
        "requests": "2.32.3",
        "ruamel.yaml": "0.18.6",
        "PyYAML": "6.0",
        "shop": "",
    }


def test_the_first_on_the_path_counts(tmp_path: Path) -> None:
    """It is the one that is imported."""
    first, second = place(tmp_path / "a", "x-1.dist-info"), place(tmp_path / "b", "x-2.dist-info", "y-3.dist-info")
    assert installed_distributions([first, second]) == {"x": "1", "y": "3"}


def test_odd_entries_of_the_path_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Archives, what is not there, no texts at all; an empty one is the working directory."""
    (tmp_path / "archive.zip").write_bytes(b"PK")
    monkeypatch.chdir(place(tmp_path / "here", "x-1.dist-info"))
    odd = [str(tmp_path / "archive.zip"), str(tmp_path / "none"), "\0", 5, None, tmp_path, ""]
    assert installed_distributions(odd) == {"x": "1"}


def test_so_many_are_told_and_no_more(tmp_path: Path) -> None:
    """``who.json`` is small."""
    here = place(tmp_path, *(f"x{number}-1.dist-info" for number in range(MAX_DISTRIBUTIONS + 50)))
    assert len(installed_distributions([here])) == MAX_DISTRIBUTIONS


def test_a_directory_full_of_other_things_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script may lie among a million files, and each process asks once."""
    place(tmp_path, *map(str, range(30)))
    monkeypatch.setattr(installed, "MAX_ENTRIES", 10)
    seen: list[str] = []
    scan = os.scandir

    class Counted:
        def __init__(self, directory: str) -> None:
            self._entries = scan(directory)

        def __enter__(self) -> Counted:
            return self

        def __exit__(self, *_: object) -> None:
            self._entries.close()

        def __iter__(self) -> Counted:
            return self

        def __next__(self) -> os.DirEntry[str]:
            entry = next(self._entries)
            seen.append(entry.name)
            return entry

    monkeypatch.setattr(os, "scandir", Counted)
    assert installed_distributions([str(tmp_path)]) == {}
    assert len(seen) <= 10
