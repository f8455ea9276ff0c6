"""The accounts: counted from what lies there, and they balance at every moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lastword.audit.accounts import read_accounts
from lastword.spool.layout import Layout
from lastword.spool.ledger import DELIVERED, Ledger, dropped, set_aside
from lastword.spool.record import Damage, Parser, Record, encode_event, pieces
from lastword.spool.writer import Writer
from tests.support.planted import record, writer_of

DSN = "backtrace+http://127.0.0.1:9?token=aa11"


def records(layout: Layout, count: int) -> Writer:
    writer = Writer.born(layout)
    for _ in range(count):
        writer.append(encode_event("ab" * 16, None, {}), None)
    return writer


def test_no_spool_has_empty_accounts(tmp_path: Path) -> None:
    """Nothing there, nothing counted, nothing made."""
    accounts = read_accounts(tmp_path / "none")
    assert (accounts.recorded, accounts.held, accounts.missing, accounts.writers) == (0, 0, 0, [])
    assert not (tmp_path / "none").exists()


def test_unsettled_records_are_held(layout: Layout) -> None:
    """Those without a DSN are counted separately."""
    writer = records(layout, 3)
    writer.refuse("sampled")
    accounts = read_accounts(layout.spool)
    assert (accounts.recorded, accounts.held, accounts.held_without_dsn, accounts.missing) == (3, 3, 3, 0)
    assert accounts.refused == {"sampled": 1}
    [account] = accounts.writers
    assert (account.id, account.alive, account.recorded, account.held) == (writer.id, True, 3, 3)
    writer.abandon()


def test_the_oldest_that_can_be_sent(layout: Layout) -> None:
    """Over all writers; events without a DSN or without a time do not count."""
    assert read_accounts(layout.spool).oldest_sendable is None
    with writer_of(Path(layout.spool)) as first, writer_of(Path(layout.spool)) as second:
        for at, to in ((0.0, DSN), (5.0, None), (30.0, DSN), (20.0, DSN)):
            record(first, 1, dsn=to, timestamp=at)
            record(second, 1, dsn=to, timestamp=at + 1 if at else 0.0)
        assert read_accounts(layout.spool).oldest_sendable == 20.0


def test_outcomes_are_summed_over_all_writers_by_reason(layout: Layout) -> None:
    """Outcomes are summed over the living and the dead, by reason."""
    writer = records(layout, 4)
    segment = Path(layout.writer(writer.id)) / "000001.seg"
    lines = segment.read_bytes().splitlines(keepends=True)
    ledger = Ledger()
    for seq in (1, 2, 3):
        ledger.entry(writer.id).advance(1, sum(map(len, lines[:seq])), seq)
    ledger.entry(writer.id).tally.update({DELIVERED: 1, set_aside("refused"): 1, dropped("too old"): 1})
    ledger.entry("f" * 32).tally[DELIVERED] = 5
    ledger.entry("f" * 32).seq = 5
    ledger.retire("f" * 32, {"flood": 7})
    ledger.store(layout)
    accounts = read_accounts(layout.spool)
    assert (accounts.recorded, accounts.held, accounts.delivered, accounts.missing) == (9, 1, 6, 0)
    assert (accounts.set_aside, accounts.dropped, accounts.refused) == ({"refused": 1}, {"too old": 1}, {"flood": 7})
    writer.abandon()


def test_a_damaged_record_is_missed_until_it_is_settled(layout: Layout) -> None:
    """A gap in the numbers says that there was one more; the flusher will count it as dropped."""
    writer = records(layout, 3)
    segment = Path(layout.writer(writer.id)) / "000001.seg"
    first, second, third = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(first + second.replace(b"event", b"evont") + third)
    accounts = read_accounts(layout.spool)
    assert (accounts.recorded, accounts.held, accounts.missing) == (3, 2, 1)
    writer.abandon()


def test_repeated_number_counts_as_another_record(layout: Layout) -> None:
    """A copied segment's records are counted like records without a number, before they are settled and after."""
    writer = records(layout, 2)
    directory = Path(layout.writer(writer.id))
    (directory / "000005.seg").write_bytes((directory / "000001.seg").read_bytes())
    accounts = read_accounts(layout.spool)
    assert (accounts.recorded, accounts.held, accounts.missing) == (4, 4, 0)
    writer.abandon()
    entry = Ledger().entry("w")
    for place, seq in enumerate((1, 2, 1, 2)):
        entry.advance(1, place, seq)
        entry.tally[DELIVERED] += 1
    assert entry.seq + entry.extras_seen == entry.recorded == entry.settled == 4


def test_settled_records_of_a_removed_writer_count_as_recorded(layout: Layout) -> None:
    """Its figures are known from the ledger alone; those beyond `low` count too."""
    ledger = Ledger()
    entry = ledger.entry("e" * 32)
    entry.advance(1, 100, 1)
    entry.above.update({(1, 300), (1, 400)})
    entry.tally[DELIVERED] = 3
    ledger.store(layout)
    accounts = read_accounts(layout.spool)
    assert (accounts.recorded, accounts.delivered, accounts.held, accounts.missing) == (3, 3, 0, 0)
    ledger.retire("e" * 32, {})
    assert ledger.totals.recorded == 3


def test_unreadable_files_are_passed_over(layout: Layout) -> None:
    """Locks, segments and writers that are something else are passed over; the rest is counted."""
    writer = records(layout, 2)
    Path(layout.flusher_lock).mkdir()
    (Path(layout.writer(writer.id)) / "000002.seg").mkdir()
    (Path(layout.writers) / "file").touch()
    (Path(layout.writers) / ("c" * 32)).symlink_to(layout.writer(writer.id))
    accounts = read_accounts(layout.spool)
    assert (accounts.recorded, accounts.held, accounts.missing, accounts.flusher) == (2, 2, 0, None)
    writer.abandon()


def test_nothing_is_read_twice(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the ledger changes under it, the accounts are taken again, and only what has come since is read."""
    writer = records(layout, 3)
    seen: list[int] = []
    generations = iter([1, 2, 3, 3])

    def load(_: object) -> Ledger:
        ledger = Ledger()
        ledger.generation = next(generations)
        if ledger.generation == 2:
            writer.append(encode_event("ab" * 16, None, {}), None)
        return ledger

    def watched(line: bytes, parse: Parser) -> Iterator[tuple[int, int, Record | Damage]]:
        seen.append(len(line))
        return pieces(line, parse)

    monkeypatch.setattr("lastword.audit.accounts.Ledger.load", load)
    monkeypatch.setattr("lastword.spool.reader.pieces", watched)
    assert read_accounts(layout.spool).held == 4
    assert len(seen) == 4
    writer.abandon()


def test_held_events_are_counted_for_each_destination(layout: Layout) -> None:
    """Held events are told apart by where they go."""
    with writer_of(Path(layout.spool)) as writer:
        record(writer, 2)
        record(writer, 3, dsn="booboo+http://t@127.0.0.1:9/o/p")
    accounts = read_accounts(layout.spool)
    assert (accounts.held, accounts.held_without_dsn, accounts.sendable) == (5, 2, 3)
    assert sorted(accounts.held_for.values()) == [2, 3]
