"""The ledger for those who wait: always as it is on the disk, and read only when that has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lastword.spool.layout import Layout
from lastword.spool.ledger import Ledger, LedgerView


def test_every_checkpoint_is_shown_and_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often one looks: what was not checkpointed since is not read again."""
    layout = Layout(str(tmp_path / "spool"))
    layout.prepare()
    reads, load = [], Ledger.load

    def counted(layout: Layout) -> Ledger:
        reads.append(layout)
        return load(layout)

    monkeypatch.setattr(Ledger, "load", counted)
    view, ledger = LedgerView(layout), Ledger()
    assert view.look().generation == 0
    for count in (1, 2, 3):
        ledger.health("destination").delivered = count
        ledger.store(layout)
        for _ in range(3):
            assert view.look().health("destination").delivered == count
    assert len(reads) == 3


def test_a_copy_that_was_torn_in_the_middle_of_a_write_hides_nothing(tmp_path: Path) -> None:
    """Its header promises more than it holds: the older copy counts, until the newer one is whole."""
    layout = Layout(str(tmp_path / "spool"))
    layout.prepare()
    view, ledger = LedgerView(layout), Ledger()
    for count in (1, 2):
        ledger.health("destination").delivered = count
        ledger.store(layout)
    newest = Path(layout.ledger_copies[ledger.generation % 2])
    whole = newest.read_bytes()
    newest.write_bytes(whole[:80] + b"\0" + whole[81:])
    assert view.look().health("destination").delivered == 1
    newest.write_bytes(whole)
    assert view.look().health("destination").delivered == 2
