"""Acts in a spool: each is done there, or not at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from lastword.errors import SpoolError
from lastword.event import new_id
from lastword.spool import inside
from lastword.spool.layout import Layout, move_away, open_in_place, read_small_file, remove_directory, write_whole_file
from lastword.spool.reader import list_segments
from tests.support.promise import Section, promise
from tests.support.second_user import ROOT

pytestmark = promise(
    Section.PRIVATE,
    "Nothing is read, written or removed through a link, in another user's file or under a foreign name",
    broken_by="O_NOFOLLOW left out; owner not compared; names not checked",
)

WRITER = "0" * 32
STRANGER = 12345

Act = Callable[[str], object]

#: Everything that can be done to the file or the directory at a path.
ACTS: dict[str, Act] = {
    "read": lambda path: os.close(inside.open_private(path, os.O_RDONLY)),
    "write": lambda path: os.close(inside.open_private(path, os.O_WRONLY | os.O_TRUNC)),
    "make": lambda path: os.close(inside.open_private(path, os.O_RDWR | os.O_CREAT)),
    "in place": lambda path: os.close(open_in_place(path, os.O_WRONLY | os.O_CREAT)),
    "whole": lambda path: write_whole_file(path, b"ours"),
    "move away": move_away,
    "look": inside.lstat,
    "unlink": inside.unlink,
    "rmdir": inside.rmdir,
    "mkdir": inside.make_directory,
    "rename": lambda path: inside.rename(path, path + "x"),
    "touch": lambda path: inside.touch(path, (1.0, 1.0)),
    "rights": lambda path: inside.take_back(path, 0o777),
    "small file": read_small_file,
}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(str(tmp_path / "spool"))
    layout.prepare(inner=(layout.orders, layout.redirects, layout.refused))
    return layout


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Looks like a spool, and is none of this one's business."""
    target = tmp_path / "target"
    for directory in ("writers/" + WRITER, "set_aside", "birth", "v1"):
        (target / directory).mkdir(parents=True)
        (target / directory / "file").write_text("theirs")
    (target / "file").write_text("theirs")
    return target


def seen(directory: Path) -> dict[str, tuple[int, float, bytes]]:
    """All that is in there, links not followed, with mode, time and content."""
    return {
        str(path.relative_to(directory)): (
            path.lstat().st_mode,
            path.lstat().st_mtime,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in [directory, *directory.rglob("*")]
    }


def refuses(act: Act, path: str) -> None:
    with pytest.raises((OSError, SpoolError)):
        act(path)


@pytest.mark.parametrize(
    "where",
    ["", "v1", "v1/writers", "v1/set_aside", "v1/birth", f"v1/writers/{WRITER}"],
    ids=lambda where: where or ".",
)
def test_nothing_is_done_behind_a_linked_directory(layout: Layout, target: Path, where: str) -> None:
    """Wherever on the way it is, nothing is done behind it, nor looked at there."""
    place = Path(layout.spool, where)
    if place.exists():
        place.rename(target.parent / "away")
    behind = {"": target, "v1": target, f"v1/writers/{WRITER}": target / "writers" / WRITER}
    place.symlink_to(behind.get(where, target / place.name), target_is_directory=True)
    before = seen(target)
    directories = {"": "v1", "v1": "v1/set_aside"}
    directory = os.path.join(layout.spool, directories.get(where, where))
    for act in ACTS.values():
        refuses(act, os.path.join(directory, "file"))
    for act in (inside.listdir, list_segments, lambda path: inside.open_directory(path)):
        if not (act is list_segments and where == ""):
            refuses(act, directory)
    if where.startswith("v1/"):
        assert not remove_directory(directory)
    assert seen(target) == before


@pytest.mark.parametrize("where", ["v1/file", "v1/set_aside/file", f"v1/writers/{WRITER}/file"])
def test_link_in_place_of_a_file_is_not_followed(layout: Layout, target: Path, where: str) -> None:
    """The link itself is removed, moved or replaced."""
    place = Path(layout.spool, where)
    place.parent.mkdir(exist_ok=True)
    before = seen(target)
    for name in ("read", "write", "make", "small file"):
        place.symlink_to(target / "file")
        refuses(ACTS[name], str(place))
        place.unlink()
    for name in ("in place", "whole", "move away", "unlink", "touch", "rights"):
        place.symlink_to(target / "file")
        ACTS[name](str(place))
        for left in place.parent.glob("file*"):
            left.unlink()
    assert seen(target) == before


@pytest.mark.parametrize(
    "writer_id", ["../set_aside", "..", ".", "", "../..", f"{WRITER}/..", "0" * 31, "/", "\0", "*", WRITER + "\n", "{}"]
)
def test_invalid_id_does_not_leave_the_writers_directory(layout: Layout, target: Path, writer_id: str) -> None:
    """Wherever the id comes from."""
    Path(layout.set_aside, "kept.record").write_text("ours")
    Path(layout.writer(WRITER)).mkdir()
    outside = target.parent
    before = seen(outside)
    for given in (writer_id, writer_id.format(target)):
        assert not remove_directory(layout.writer(given))
        for act in ACTS.values():
            with pytest.raises((OSError, SpoolError, ValueError)):
                act(os.path.join(layout.writer(given), "file"))
    assert seen(outside) == before


@pytest.mark.parametrize(
    "path",
    ["{target}/file", "{target}/v1/x/file", "{v1}/nothing/file", "{v1}/orders/x/file", "{v1}/writers/file", "file"],
)
def test_path_outside_the_spool_is_refused(layout: Layout, target: Path, path: str) -> None:
    """Only what a spool has is opened, below its own directory."""
    before = seen(target)
    for act in ACTS.values():
        refuses(act, path.format(target=target, v1=layout.base))
    assert seen(target) == before


@ROOT
@pytest.mark.parametrize("whose", ["the spool", "v1", "writers", WRITER])
def test_root_reads_another_users_spool_only_as_a_whole(layout: Layout, whose: str) -> None:
    """Root looks at a spool that is another user's as a whole, changes nothing there, and trusts no mixture."""
    directory = Path(layout.writer(WRITER))
    directory.mkdir()
    file = directory / "file"
    file.write_text("theirs")
    way = {"the spool": layout.spool, "v1": layout.base, "writers": layout.writers, WRITER: str(directory)}
    os.chown(way[whose], STRANGER, -1)
    before = seen(Path(layout.spool))
    for act in ACTS.values():
        refuses(act, str(file))
    assert not remove_directory(str(directory))
    for path in (*way.values(), str(file)):
        os.chown(path, STRANGER, -1)
    for name, act in ACTS.items():
        if name in ("read", "look", "small file"):
            act(str(file))
        else:
            refuses(act, str(file))
    assert not remove_directory(str(directory))
    assert seen(Path(layout.spool)) == before


@promise(Section.PRIVATE, "A leader works only in the spool it began with", broken_by="no descriptor kept")
def test_leader_works_in_the_spool_it_began_with(layout: Layout, tmp_path: Path) -> None:
    """A directory put in the place of the spool is not touched, even a spool of the same user."""
    other = Layout(str(tmp_path / "other"))
    other.prepare()
    with inside.kept(layout.base):
        os.rename(layout.spool, tmp_path / "away")
        os.rename(other.spool, layout.spool)
        before = seen(Path(layout.spool))
        write_whole_file(layout.leader, b"mine")
        inside.touch(layout.writers, (1.0, 1.0))
        assert inside.lstat(layout.writers).st_mtime == 1.0
        assert inside.listdir(layout.base) == os.listdir(tmp_path / "away/v1")
        assert seen(Path(layout.spool)) == before
    assert (tmp_path / "away/v1/flusher.json").read_bytes() == b"mine"
    write_whole_file(layout.leader, b"other")
    assert Path(layout.leader).read_bytes() == b"other"


@promise(
    Section.PRIVATE,
    "A command that reads a directory keeps reading the same one when it is exchanged",
    broken_by="nothing kept",
)
@pytest.mark.parametrize("path", ["", "writers", f"writers/{WRITER}"])
def test_reader_stays_in_one_directory(layout: Layout, path: str) -> None:
    """A directory put in its place meanwhile is not read, and is another one afterwards."""
    os.mkdir(layout.writer(WRITER))
    kept, file = os.path.join(layout.base, path).rstrip("/"), os.path.join(layout.writer(WRITER), "who.json")
    write_whole_file(file, b"mine")
    before = os.listdir("/proc/self/fd")
    with inside.kept_to_look(layout.base), inside.kept_to_look(kept):
        os.rename(kept, f"{layout.spool}.away")
        Path(file).parent.mkdir(parents=True)
        Path(file).write_bytes(b"other")
        assert read_small_file(file) == b"mine"
        assert inside.listdir(os.path.dirname(file)) == ["who.json"]
    assert read_small_file(file) == b"other"
    assert os.listdir("/proc/self/fd") == before


@promise(
    Section.PRIVATE,
    "A spool inside another spool is kept apart from it",
    broken_by="only the beginning of the path compared",
)
def test_spool_inside_a_spool_is_kept_apart(layout: Layout) -> None:
    """The kept descriptor of the outer one is not used for the inner one."""
    inner = Layout(layout.base)
    inner.prepare()
    write_whole_file(inner.leader, b"inner")
    write_whole_file(layout.leader, b"outer")
    with inside.kept(layout.base), inside.kept_to_look(inner.writers):
        assert read_small_file(inner.leader) == b"inner"
        assert read_small_file(layout.leader) == b"outer"
        assert sorted(inside.listdir(inner.base)) == sorted(os.listdir(inner.base))


def test_directory_that_cannot_be_kept_is_reached_by_path(layout: Layout, target: Path) -> None:
    """Each act reports what is wrong; acts elsewhere are done."""
    Path(layout.writer(WRITER)).symlink_to(target / "v1")
    for path in (layout.writer(WRITER), layout.writer("1" * 32), str(target)):
        with inside.kept_to_look(path):
            refuses(read_small_file, os.path.join(path, "file"))
            assert inside.listdir(layout.writers) == [WRITER]


@promise(
    Section.PRIVATE,
    "Nothing is changed below a directory that root only reads",
    broken_by="the owner not compared below the kept directory",
)
@ROOT
def test_nothing_is_changed_where_root_only_reads(layout: Layout) -> None:
    """Below what is kept to look at the spool of another user, too."""
    os.mkdir(layout.writer(WRITER))
    file = os.path.join(layout.writer(WRITER), "file")
    write_whole_file(file, b"theirs")
    for path in (layout.spool, layout.base, layout.writers, os.path.dirname(file), file):
        os.chown(path, STRANGER, -1)
    before = seen(Path(layout.spool))
    with (
        inside.kept_to_look(layout.base),
        inside.kept_to_look(layout.writers),
        inside.kept_to_look(layout.writer(WRITER)),
    ):
        for name, act in ACTS.items():
            if name in ("read", "look", "small file"):
                act(file)
            else:
                refuses(act, file)
    assert seen(Path(layout.spool)) == before


def test_other_threads_and_children_use_the_path(layout: Layout, tmp_path: Path) -> None:
    """A spool that was removed and made anew is theirs at once: another thread, and a child, keep nothing."""
    there: list[bool] = []

    def look() -> None:
        there.append(inside.lexists(layout.leader))

    with inside.kept(layout.base):
        os.rename(layout.spool, tmp_path / "away")
        layout.prepare()
        Path(layout.leader).write_text("new")
        look()
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        child = os.fork()
        if child == 0:
            os._exit(inside.lexists(layout.leader))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert there == [False, True]


def test_descriptor_closed_by_the_program_is_not_used(layout: Layout, tmp_path: Path) -> None:
    """A program that becomes a daemon closes all of them: what has the number now is neither used nor closed."""
    write_whole_file(layout.leader, b"mine")
    with inside.kept(layout.base):
        number = inside._kept.directories[0].descriptor
        other = os.open(tmp_path, os.O_RDONLY)
        os.dup2(other, number)
        refuses(read_small_file, layout.leader)
        refuses(inside.listdir, layout.base)
    assert os.fstat(number).st_ino == tmp_path.stat().st_ino
    os.close(number)
    os.close(other)
    assert read_small_file(layout.leader) == b"mine"


def test_no_descriptor_is_left_open(layout: Layout, target: Path) -> None:
    """Neither by what is done nor by what is refused."""
    Path(layout.writer(WRITER)).symlink_to(target)
    before = os.listdir("/proc/self/fd")
    for path in (
        layout.leader,
        f"{layout.writer(WRITER)}/file",
        f"{layout.set_aside}/x",
        f"{layout.writers}/{new_id()}/x",
    ):
        for act in ACTS.values():
            with suppress(OSError, SpoolError):
                act(path)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_errors_name_the_whole_path(layout: Layout) -> None:
    """Not the name in a directory that was opened before: people read them."""
    layout.prepare()
    os.rmdir(layout.orders)
    Path(layout.orders).write_text("no directory")
    for path, act in (
        (layout.leader, inside.lstat),
        (layout.leader, inside.unlink),
        (layout.leader, lambda path: inside.open_private(path, os.O_RDONLY)),
        (os.path.join(layout.orders, "x.json"), inside.lstat),
        (layout.orders, inside.listdir),
    ):
        with pytest.raises(OSError) as raised:
            act(path)
        assert raised.value.filename in (path, os.path.dirname(path)), act
