"""Destination files: written once, mended where they are damaged, and never taken for what they are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lastword.errors import ConfigError
from lastword.spool import destination as files
from lastword.spool.layout import Layout
from tests.support.events import destination

TO = destination()


def test_stored_destination_is_loaded(layout: Layout) -> None:
    """It comes back under its key, is private, and nothing else is left in the directory."""
    files.store(layout, TO)
    assert files.load(layout, TO.key) == TO
    assert os.listdir(layout.destinations) == [f"{TO.key}.json"]
    assert os.stat(layout.destination(TO.key)).st_mode & 0o777 == 0o600


def test_a_whole_file_is_left_alone(layout: Layout) -> None:
    """A second process writes nothing."""
    files.store(layout, TO)
    before = os.stat(layout.destination(TO.key))
    files.store(layout, TO)
    assert os.stat(layout.destination(TO.key)).st_ino == before.st_ino


@pytest.mark.parametrize("how", ["garbage", "cut", "a directory", "a link", "a FIFO"])
def test_damaged_destination_is_written_again(layout: Layout, how: str) -> None:
    """Whoever has the destination in hand mends its file; a link is replaced, not followed."""
    path = Path(layout.destination(TO.key))
    target = Path(layout.base) / "target"
    if how == "garbage":
        path.write_bytes(b"\xff{" * 50)
    elif how == "cut":
        path.write_bytes(TO.encode()[:-1])
    elif how == "a directory":
        (path / "mine").mkdir(parents=True)
    elif how == "a link":
        path.symlink_to(target)
    else:
        os.mkfifo(path)
    with pytest.raises(ConfigError, match=TO.key):
        files.load(layout, TO.key)
    files.store(layout, TO)
    assert files.load(layout, TO.key) == TO
    assert not target.exists()
    assert len(list(Path(layout.destinations).rglob("mine"))) == (how == "a directory")


@pytest.mark.parametrize("content", [b"", b"[]", b"7", b"[" * 100_000, b'{"dsn":{},"timeout":1}', b"\xff"])
def test_garbage_is_no_destination(layout: Layout, content: bytes) -> None:
    """It is a ConfigError and stops nothing else."""
    Path(layout.destination(TO.key)).write_bytes(content)
    with pytest.raises(ConfigError):
        files.load(layout, TO.key)


def test_impossible_number_is_garbage(layout: Layout) -> None:
    """A timeout that is no number a computer has is garbage too."""
    content = TO.encode().replace(b"10.0", b"1" + b"0" * 400)
    Path(layout.destination(TO.key)).write_bytes(content)
    with pytest.raises(ConfigError):
        files.load(layout, TO.key)


def test_file_under_another_name_is_not_used(layout: Layout) -> None:
    """A destination is only what its name says: a DSN that was exchanged sends nothing anywhere."""
    other = destination("booboo+http://OTHER@127.0.0.1:1/o/p")
    Path(layout.destination(TO.key)).write_bytes(other.encode())
    with pytest.raises(ConfigError, match="changed"):
        files.load(layout, TO.key)
    for key in ("../ledger", "..", "", "x" * 300):
        with pytest.raises(ConfigError):
            files.load(layout, key)
