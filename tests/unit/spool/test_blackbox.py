"""The black box: the newest whole copy of the state counts, whatever became of the rest."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest

from lastword.spool import blackbox
from lastword.spool.blackbox import SIZE, WriterState
from tests.support.spools import store_state


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "v1").mkdir()
    blackbox.create(str(tmp_path / "v1/blackbox"))
    return tmp_path / "v1/blackbox"


def test_stored_state_is_loaded(path: Path) -> None:
    """The state comes back, the older copy is kept beside it, and the file keeps its size."""
    state = WriterState()
    for number in range(1, 4):
        state.sealed_upto, state.refused = number, {"sampled": number}
        store_state(path, state)
        assert vars(blackbox.load(str(path))) == vars(WriterState(number, number, {"sampled": number}))
    assert path.stat().st_size == SIZE
    assert blackbox.read(str(path)) is not None


def test_damaged_copy_gives_the_newest_state_or_the_one_before(path: Path) -> None:
    """Whatever byte is changed."""
    for number in (1, 2):
        state = WriterState(number - 1, number, {"flood": number})
        store_state(path, state)
    intact = path.read_bytes()
    seen = set()
    for start in (0, 4096):
        for place in range(start, start + 100):
            path.write_bytes(intact[:place] + bytes([intact[place] ^ 1]) + intact[place + 1 :])
            found = blackbox.load(str(path))
            assert (found.generation, found.sealed_upto) in ((1, 1), (2, 2))
            seen.add(found.generation)
            assert blackbox.read(str(path)) is not None
    assert seen == {1, 2}


@pytest.mark.parametrize(
    "text",
    [
        b'{"generation":1e999,"sealed_upto":1,"refused":{}}',
        b'{"generation":1,"sealed_upto":[],"refused":{}}',
        b'{"generation":1,"sealed_upto":1,"refused":[]}',
        b"[" * 4000,
        b"7",
        b"\xff",
    ],
)
def test_nonsense_with_a_right_checksum_says_nothing(path: Path, text: bytes) -> None:
    """And reading it raises nothing."""
    path.write_bytes(b"%08x %b\n" % (zlib.crc32(text), text))
    assert vars(blackbox.load(str(path))) == vars(WriterState())
    assert blackbox.read(str(path)) is None


@pytest.mark.parametrize("content", [b"", b"garbage", bytes(100)])
def test_damaged_black_box_differs_from_a_new_one(path: Path, content: bytes) -> None:
    """A new one is whole without a state; a cut one, garbage or a missing one is damaged."""
    assert blackbox.read(str(path)) is not None
    path.write_bytes(content)
    assert blackbox.read(str(path)) is None
    path.unlink()
    assert blackbox.read(str(path)) is None
    os.mkfifo(path)
    assert blackbox.read(str(path)) is None
    assert vars(blackbox.load(str(path))) == vars(WriterState())
