"""Setting aside: the bytes as they were, with the reason, and room for them wherever that can be made."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lastword.spool import aside
from lastword.spool.layout import Layout
from lastword.spool.record import MAX_RECORD
from tests.support.promise import Section, promise

WRITER = "a" * 32
SEGMENT = b"first\nsecond\nthird\n"


@pytest.fixture
def layout(layout: Layout) -> Layout:
    os.mkdir(layout.writer(WRITER))
    (Path(layout.writer(WRITER)) / "000001.seg").write_bytes(SEGMENT)
    return layout


def put(layout: Layout, name: str = "x.record", start: int = 6, end: int = 13) -> None:
    aside.put(layout, name, aside.Head("refused", "no", 1.5), WRITER, "000001.seg", start, end)


def test_set_aside_file_has_a_header_and_the_bytes(layout: Layout) -> None:
    """The header line says why and where from; the file is private; setting aside again replaces it."""
    put(layout)
    put(layout)
    [path] = Path(layout.set_aside).iterdir()
    head, _, content = path.read_bytes().partition(b"\n")
    place = {"writer": WRITER, "segment": "000001.seg", "offset": 6, "length": 7}
    assert json.loads(head) == {"why": "refused", "reason": "no", "at": 1.5, "to": None, **place}
    assert content == b"second\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_large_damage_is_set_aside_by_its_beginning(layout: Layout) -> None:
    """A damage of a terabyte is set aside as its first megabyte, and says how much it was."""
    os.truncate(Path(layout.writer(WRITER)) / "000001.seg", 1 << 40)
    put(layout, start=0, end=1 << 40)
    head, _, content = (Path(layout.set_aside) / "x.record").read_bytes().partition(b"\n")
    assert json.loads(head)["length"] == 1 << 40
    assert content == SEGMENT + bytes(MAX_RECORD - len(SEGMENT))


@promise(
    Section.NOT_LOST,
    "A flusher killed while it sets something aside leaves no half-written file that stays or blocks another",
    broken_by="the unfinished file left in place; a new file that must not exist yet",
)
def test_unfinished_file_of_a_kill_is_replaced(layout: Layout) -> None:
    """By the same file or another one; it stays nowhere."""
    left = [Path(layout.set_aside) / name for name in ("x.record.aside", "y.damaged.aside")]
    for path in left:
        path.write_bytes(b"{")
    put(layout)
    aside.sweep(layout)
    assert os.listdir(layout.set_aside) == ["x.record"]
    (Path(layout.set_aside) / "x.record.aside").write_bytes(b"{")
    put(layout)
    assert os.listdir(layout.set_aside) == ["x.record"]


@pytest.mark.parametrize("how", ["removed", "a file"])
def test_the_directory_is_made_again(layout: Layout, how: str) -> None:
    """A removed directory comes back with the next file."""
    Path(layout.set_aside).rmdir()
    if how == "a file":
        Path(layout.set_aside).touch()
    put(layout)
    assert os.listdir(layout.set_aside) == ["x.record"]


def test_name_taken_by_a_directory_leads_to_another_name(layout: Layout) -> None:
    """It is set aside under another name of the same kind."""
    (Path(layout.set_aside) / "x.record").mkdir()
    put(layout)
    names = sorted(os.listdir(layout.set_aside))
    assert len(names) == 2
    assert all(name.startswith("x.") and name.endswith(".record") for name in names)


def test_nothing_is_made_where_the_spool_is_gone(layout: Layout) -> None:
    """A spool that was removed stays removed; the caller hears of it."""
    os.rename(layout.spool, layout.spool + "-gone")
    with pytest.raises(OSError):
        put(layout)
    assert not os.path.exists(layout.spool)
