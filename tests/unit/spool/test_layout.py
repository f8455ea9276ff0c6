"""Where the spool is, and that it is ours alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lastword.errors import SpoolError
from lastword.spool.layout import (
    Layout,
    open_private,
    read_small_file,
    remove_directory,
    segment_name,
    segment_number,
)
from lastword.spool.places import Place, candidates, existing, find, first_usable
from tests.support import needs
from tests.support.promise import Section, promise
from tests.support.second_user import VICTIM, as_user, open_ground
from tests.support.spools import directory_of_a_writer

ROOT = needs.capability(hasattr(os, "geteuid") and os.geteuid() == 0, "root")


def test_order_of_the_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd's directory, then XDG's, then the home, then the temporary directory; each only where it is named."""
    monkeypatch.setenv("HOME", "/h")
    full = {"STATE_DIRECTORY": "/s:/other", "XDG_STATE_HOME": "/x", "TMPDIR": "/t"}
    places = ["/s/lastword", "/x/lastword", "/h/.local/state/lastword", "/t/lastword-7"]
    assert candidates(None, full, 7) == [Place(path, is_default=True) for path in places]
    places = ["/h/.local/state/lastword", "/tmp/lastword-7"]
    assert candidates(None, {"XDG_STATE_HOME": "relative"}, 7) == [Place(path, is_default=True) for path in places]


def test_a_configured_place_stands_alone() -> None:
    """It is used or is an error, never replaced by another."""
    assert candidates("/mine", {"STATE_DIRECTORY": "/s"}, 7) == [Place("/mine", is_default=False)]


def test_the_first_place_that_can_be_used(tmp_path: Path) -> None:
    """A place where nothing can be made is passed over, and what was made is found again."""
    (tmp_path / "file").touch()
    places = [Place(str(tmp_path / path)) for path in ("file/spool", "a/b/spool", "c")]
    assert existing(places) is None
    layout = first_usable(places)
    assert layout.spool == places[1].path
    found = existing(places)
    assert found is not None
    assert found.spool == places[1].path
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "a/b/spool").rglob("*")} == {0o700}


def test_every_trouble_is_named(tmp_path: Path) -> None:
    """Where no place can be used, the error names each with its trouble."""
    (tmp_path / "one").touch()
    (tmp_path / "two").symlink_to(tmp_path)
    with pytest.raises(SpoolError, match=r"one .*two .*symbolic link"):
        first_usable([Place(str(tmp_path / "one")), Place(str(tmp_path / "two"))])


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
    """A directory of another user is not used, whichever user runs the program."""
    Layout(str(tmp_path / "spool")).prepare()
    os.chown(tmp_path / "spool" / name, 12345, -1)
    with pytest.raises(SpoolError, match="belongs to uid 12345"):
        Layout(str(tmp_path / "spool")).prepare()


@ROOT
def test_root_leaves_nothing_in_another_users_home(tmp_path: Path) -> None:
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


def test_relative_and_linked_paths_are_one_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path and one through a link to a parent are the same spool, under the same names."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path / "real")
    assert {Layout(path).flusher_lock for path in ("spool", str(tmp_path / "link/spool"))} == {
        str(tmp_path / "real/spool/v1/flusher.lock")
    }


def test_command_line_finds_the_programs_spool(tmp_path: Path) -> None:
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


def test_only_writers_directories_are_writers(tmp_path: Path) -> None:
    """Other files among the writers and links in a writer's place are skipped; a link in place of all is refused."""
    layout = Layout(str(tmp_path / "spool"))
    layout.prepare()
    writers = Path(layout.writers)
    (writers / ("a" * 32)).mkdir()
    (writers / "backup").mkdir()
    (writers / ("b" * 32)).touch()
    (writers / ("c" * 32)).symlink_to(writers / ("a" * 32))
    assert layout.writer_ids() == {"a" * 32}
    writers.rename(tmp_path / "elsewhere")
    writers.symlink_to(tmp_path / "elsewhere")
    assert not layout.has_writers()
    with pytest.raises(NotADirectoryError):
        layout.writer_ids()


@pytest.mark.parametrize("name", ["v1", "v1/writers", "v1/birth", "v1/destinations", "v1/set_aside"])
def test_a_file_in_a_directorys_place_is_moved(tmp_path: Path, name: str) -> None:
    """It keeps its content under another name."""
    layout = Layout(str(tmp_path / "spool"))
    place = tmp_path / "spool" / name
    place.parent.mkdir(parents=True)
    place.write_text("mine")
    layout.prepare()
    assert place.is_dir()
    [moved] = place.parent.glob("*.moved")
    assert moved.read_text() == "mine"


def test_mending_makes_missing_directories_and_no_spool(tmp_path: Path) -> None:
    """Inside a spool that is there, every directory is there again; a spool that was removed stays removed."""
    layout = Layout(str(tmp_path / "spool"))
    with pytest.raises(SpoolError):
        layout.mend()
    assert not (tmp_path / "spool").exists()
    layout.prepare()
    Path(layout.set_aside).rmdir()
    Path(layout.birth).rmdir()
    Path(layout.birth).symlink_to(tmp_path)
    layout.mend()
    assert Path(layout.set_aside).is_dir()
    assert Path(layout.birth).is_symlink()


@promise(Section.DAMAGE, "A FIFO in the spool keeps nobody waiting", broken_by="no O_NONBLOCK")
def test_a_fifo_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Only regular files are opened."""
    v1 = tmp_path / "v1"
    v1.mkdir()
    os.mkfifo(v1 / "fifo")
    (v1 / "directory").mkdir()
    (v1 / "link").symlink_to("target")
    for name in ("fifo", "directory", "link"):
        for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREAT):
            with pytest.raises(OSError):
                open_private(str(v1 / name), flags)
        with pytest.raises(OSError):
            read_small_file(str(v1 / name))
    assert not (v1 / "target").exists()


@ROOT
def test_another_users_file_is_not_written_to(tmp_path: Path) -> None:
    """Nor read; in another user's own spool root may read."""
    file = tmp_path / "v1/file"
    file.parent.mkdir()
    file.write_text("theirs")
    os.chown(file, 12345, -1)
    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREAT):
        with pytest.raises(PermissionError):
            open_private(str(file), flags)
    for directory in (tmp_path, file.parent):
        os.chown(directory, 12345, -1)
    assert read_small_file(str(file)) == b"theirs"
    for flags in (os.O_WRONLY, os.O_RDWR | os.O_CREAT):
        with pytest.raises(PermissionError):
            open_private(str(file), flags)


@promise(Section.PLACE, "Another user's file in a spool is ignored", broken_by="the owner checked only before writing")
@ROOT
def test_another_users_file_is_not_read() -> None:
    """Even if its mode allows it."""
    with open_ground() as ground:
        file = ground / "v1/file"
        file.parent.mkdir()
        file.write_bytes(b"roots")
        file.chmod(0o644)

        def read() -> None:
            with pytest.raises(PermissionError, match="belongs to"):
                read_small_file(str(file))

        as_user(VICTIM, read)


def test_removing_a_writer_keeps_foreign_directories(tmp_path: Path) -> None:
    """A directory inside a writer's stays, and with it the writer's; all files go."""
    directory = directory_of_a_writer(tmp_path)
    (directory / "a-backup").mkdir()
    for name in ("000001.seg", "alive.lock", "notes~"):
        (directory / name).touch()
    assert not remove_directory(str(directory))
    assert [path.name for path in directory.iterdir()] == ["a-backup"]
    (directory / "a-backup").rmdir()
    assert remove_directory(str(directory))
    assert remove_directory(str(directory))


@pytest.mark.parametrize(("mode", "refused"), [(0o1777, False), (0o777, True), (0o755, False), (0o1757, False)])
def test_default_place_is_never_one_that_others_could_exchange(tmp_path: Path, mode: int, refused: bool) -> None:
    """Only a named place may be one that other users could exchange."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(mode)
    named = Layout(str(shared / "named"))
    named.prepare()
    named.check()
    unasked = [Place(str(shared / "below/unasked"))]
    if not refused:
        assert existing([Place(first_usable(unasked).spool)]) is not None
        return
    with pytest.raises(SpoolError, match=r"everybody may write to .*shared"):
        first_usable(unasked)
    assert sorted(path.name for path in shared.iterdir()) == ["named"]
    assert existing([Place(named.spool)]) is None
    assert existing([Place(named.spool, is_default=False)]) is not None


@ROOT
@pytest.mark.parametrize(("group", "refused"), [(0, False), (12345, True)])
def test_default_place_is_not_writable_by_a_foreign_group(tmp_path: Path, group: int, refused: bool) -> None:
    """Our own group may write above an unasked spool (with a umask of 002 it always may); another group may not."""
    shared = tmp_path / "shared"
    shared.mkdir()
    os.chown(shared, -1, group)
    shared.chmod(0o775)
    layout = Layout(str(shared / "spool"))
    if refused:
        with pytest.raises(SpoolError, match="group 12345 may write"):
            layout.prepare(is_default=True)
    else:
        layout.prepare(is_default=True)


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o077])
def test_directories_made_above_the_spool_are_writable_by_the_owner_only(tmp_path: Path, mask: int) -> None:
    """Whatever the umask."""
    before = os.umask(mask)
    try:
        Layout(str(tmp_path / "a/b/spool")).prepare(is_default=True)
    finally:
        os.umask(before)
    assert not (tmp_path / "a").stat().st_mode & 0o022
    assert not (tmp_path / "a/b").stat().st_mode & 0o022
