"""Where the spool is, and that it is ours alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lastword.errors import SpoolError
from lastword.spool.layout import Layout, candidates, existing, find, first_usable, segment_name, segment_number
from tests.support import needs

ROOT = needs.capability(hasattr(os, "geteuid") and os.geteuid() == 0, "root")


def test_the_order_of_the_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd's directory, then XDG's, then the home, then the temporary directory; each only where it is named."""
    monkeypatch.setenv("HOME", "/h")
    full = {"STATE_DIRECTORY": "/s:/other", "XDG_STATE_HOME": "/x", "TMPDIR": "/t"}
    assert candidates(None, full, 7) == ["/s/lastword", "/x/lastword", "/h/.local/state/lastword", "/t/lastword-7"]
    assert candidates(None, {"XDG_STATE_HOME": "relative"}, 7) == ["/h/.local/state/lastword", "/tmp/lastword-7"]


def test_a_configured_place_stands_alone() -> None:
    """Who names a directory gets that one or an error, never another."""
    assert candidates("/mine", {"STATE_DIRECTORY": "/s"}, 7) == ["/mine"]


def test_the_first_place_that_can_be_used(tmp_path: Path) -> None:
    """A place where nothing can be made is passed over, and what was made is found again."""
    (tmp_path / "file").touch()
    paths = [str(tmp_path / "file/spool"), str(tmp_path / "a/b/spool"), str(tmp_path / "c")]
    assert existing(paths) is None
    layout = first_usable(paths)
    assert layout.spool == paths[1]
    found = existing(paths)
    assert found is not None
    assert found.spool == paths[1]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "a/b/spool").rglob("*")} == {0o700}


def test_every_trouble_is_named(tmp_path: Path) -> None:
    """Where no place can be used, the error names each with its trouble."""
    (tmp_path / "one").touch()
    (tmp_path / "two").symlink_to(tmp_path)
    with pytest.raises(SpoolError, match=r"one .*two .*symbolic link"):
        first_usable([str(tmp_path / "one"), str(tmp_path / "two")])


@pytest.mark.parametrize("name", ["", "v1", "v1/writers", "v1/birth", "v1/destinations", "v1/set_aside"])
def test_a_symbolic_link_is_refused(tmp_path: Path, name: str) -> None:
    """A directory of the spool that is a link leads nowhere."""
    Layout(str(tmp_path / "spool")).prepare()
    planted = tmp_path / "spool" / name
    planted.rename(tmp_path / "elsewhere")
    planted.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SpoolError, match="symbolic link"):
        Layout(str(tmp_path / "spool")).prepare()


@ROOT
@pytest.mark.parametrize("name", ["", "v1", "v1/writers"])
def test_a_foreign_directory_is_refused(tmp_path: Path, name: str) -> None:
    """A directory that belongs to somebody else is not used, whoever runs the program."""
    Layout(str(tmp_path / "spool")).prepare()
    os.chown(tmp_path / "spool" / name, 12345, -1)
    with pytest.raises(SpoolError, match="belongs to uid 12345"):
        Layout(str(tmp_path / "spool")).prepare()


@ROOT
def test_root_leaves_nothing_in_a_home_of_somebody_else(tmp_path: Path) -> None:
    """`sudo` keeps HOME: root makes no directories there that their owner could not use later."""
    home = tmp_path / "somebody"
    home.mkdir()
    os.chown(home, 12345, -1)
    with pytest.raises(SpoolError, match="belongs to uid 12345"):
        Layout(str(home / ".local/state/lastword")).prepare()
    assert list(home.iterdir()) == []


def test_open_directories_are_closed_to_others(tmp_path: Path) -> None:
    """A spool directory that was made by hand with the usual mode becomes private."""
    (tmp_path / "spool").mkdir(mode=0o755)
    Layout(str(tmp_path / "spool")).prepare()
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700


def test_one_path_whatever_leads_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path and one through a link to a parent are the same spool, under the same names."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path / "real")
    assert {Layout(path).flusher_lock for path in ("spool", str(tmp_path / "link/spool"))} == {
        str(tmp_path / "real/spool/v1/flusher.lock")
    }


def test_finding_by_configuration(tmp_path: Path) -> None:
    """The command line finds the spool that a program with the same settings makes."""
    assert find(str(tmp_path / "spool")) is None
    Layout(str(tmp_path / "spool")).prepare()
    assert find(str(tmp_path / "spool")) is not None


@pytest.mark.parametrize(("number", "name"), [(1, "000001.seg"), (999_999, "999999.seg"), (1_000_000, "1000000.seg")])
def test_segment_names(number: int, name: str) -> None:
    """Segments have six digits, and more when they need more."""
    assert segment_name(number) == name
    assert segment_number(name) == number


@pytest.mark.parametrize("name", ["x-1.seg", "who.json", "1.txt", ".seg", "-1.seg", "٣.seg", "1_0.seg"])
def test_other_names_are_no_segments(name: str) -> None:
    """A foreign file is not taken for a segment."""
    assert segment_number(name) is None
