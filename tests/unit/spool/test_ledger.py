"""The ledger: what is checkpointed is read back, and one good copy is enough."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lastword.errors import SpoolError
from lastword.spool.layout import Layout
from lastword.spool.ledger import (
    DELIVERED,
    INITIAL_SIZE,
    DestinationHealth,
    Ledger,
    dropped,
    reasons_of_dropped,
    reasons_set_aside,
    set_aside,
)


def full_ledger() -> Ledger:
    ledger = Ledger()
    entry = ledger.entry("w1")
    entry.advance(2, 700, 9)
    entry.above.update({(2, 800), (3, 0)})
    entry.extras.add("x-a.seg")
    entry.extras_seen = 4
    entry.interrupted = 1
    entry.tally.update({DELIVERED: 8, set_aside("refused"): 2, dropped("age"): 3})
    ledger.destinations["d1"] = DestinationHealth(failures=3, not_before=12.5, misconfigured=True)
    ledger.destinations["d1"].last_error = "no"
    ledger.entry("w2").tally[DELIVERED] = 5
    ledger.entry("w2").seq = 5
    ledger.retire("w2", {"sampled": 2})
    return ledger


def figures(ledger: Ledger) -> list[object]:
    """All that it holds."""
    entries = [{name: vars(entry) for name, entry in kept.items()} for kept in (ledger.writers, ledger.destinations)]
    return [*entries, ledger.retired, vars(ledger.totals)]


def same(left: Ledger, right: Ledger) -> bool:
    return figures(left) == figures(right)


def test_stored_ledger_is_loaded(layout: Layout) -> None:
    """Every figure comes back; the files are preallocated and private."""
    ledger = full_ledger()
    ledger.store(layout)
    ledger.store(layout)
    assert same(Ledger.load(layout), ledger)
    assert Ledger.load(layout).generation == 2
    for copy in layout.ledger_copies:
        found = os.stat(copy)
        assert (found.st_size, found.st_mode & 0o777) == (INITIAL_SIZE, 0o600)


def test_no_ledger_is_an_empty_one(tmp_path: Path) -> None:
    """A new spool has no ledger, and reading one makes none."""
    assert same(Ledger.load(Layout(str(tmp_path / "none"))), Ledger())
    assert list(tmp_path.iterdir()) == [tmp_path / "home"]


def test_a_copy_cut_by_a_kill_leaves_the_one_before(layout: Layout) -> None:
    """Whatever part was written, the other copy still counts."""
    ledger = full_ledger()
    ledger.store(layout)
    with open(layout.ledger_copies[1], "rb") as copy:
        first = copy.read(4096)
    older = Ledger.load(layout)
    ledger.entry("w1").tally[DELIVERED] = 1000
    ledger.store(layout)
    with open(layout.ledger_copies[0], "rb") as copy:
        second = copy.read(4096)
    for written in range(0, len(second), 7):
        with open(layout.ledger_copies[0], "r+b") as copy:
            copy.write((second[:written] + first[written:])[: len(second)])
        loaded = Ledger.load(layout)
        assert same(loaded, older) or same(loaded, ledger)


@pytest.mark.parametrize("garbage", [b"", b"\0" * 100, b"lastword ledger x y z\n", bytes(range(256)) * 8, b"{" * 5000])
def test_garbage_is_no_ledger(layout: Layout, garbage: bytes) -> None:
    """A copy that is garbage is passed over."""
    ledger = full_ledger()
    ledger.store(layout)
    with open(layout.ledger_copies[0], "wb") as copy:
        copy.write(garbage)
    assert same(Ledger.load(layout), ledger)
    with open(layout.ledger_copies[1], "wb") as copy:
        copy.write(garbage)
    assert same(Ledger.load(layout), Ledger())


def test_without_room_the_places_above_low_are_forgotten(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that cannot grow keeps `low`: records above it are sent again, none is lost."""
    without_above = full_ledger()
    without_above.writers["w1"].above.clear()
    without_above.store(layout)
    small = int(Path(layout.ledger_copies[1]).read_bytes().split()[3]) + 60  # the length that its header says
    ledger, write = full_ledger(), os.pwrite

    def full_disk(descriptor: int, content: bytes, offset: int) -> int:
        if len(content) > small:
            raise OSError(28, "No space left on device")
        return write(descriptor, content, offset)

    monkeypatch.setattr(os, "pwrite", full_disk)
    ledger.store(layout)
    loaded = Ledger.load(layout).writers["w1"]
    assert (loaded.segment, loaded.offset, loaded.seq, loaded.above) == (2, 700, 9, set())
    assert loaded.tally == ledger.writers["w1"].tally
    small = 0
    with pytest.raises(SpoolError, match=r"ledger\.[ab]"):
        ledger.store(layout)


def test_a_missing_number_is_a_damaged_record() -> None:
    """Where `low` passes a gap, the numbers in it are counted as dropped; nothing is counted twice."""
    entry = Ledger().entry("w")
    entry.advance(1, 10, 1)
    entry.advance(1, 50, 4)
    entry.advance(1, 60, None)
    entry.advance(1, 70, 5)
    assert entry.tally == {dropped("damaged"): 2}
    assert (entry.seq, entry.offset) == (5, 70)


def test_retiring_folds_the_figures_once() -> None:
    """A retired writer's figures are in the totals, and its id is kept until its files are gone."""
    ledger = full_ledger()
    assert ledger.retired == {"w2"}
    assert ledger.totals.recorded == ledger.totals.tally[DELIVERED] == 5
    assert ledger.totals.refused == {"sampled": 2}
    assert "w2" not in ledger.writers


def test_outcomes_have_their_reason() -> None:
    """Outcomes carry their reason."""
    tally = full_ledger().writers["w1"].tally
    assert reasons_set_aside(tally) == {"refused": 2}
    assert reasons_of_dropped(tally) == {"age": 3, "damaged": 8}
