"""The promise: damage to the spool costs what it touches. Everything else is delivered, once, and the accounts balance;
nothing crashes, waits or runs in circles over it.
"""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lastword.audit.accounts import read_accounts
from lastword.audit.findings import findings
from lastword.flusher.leadership import Leadership
from lastword.flusher.loop import Flusher
from lastword.spool import start
from lastword.spool.layout import Layout
from lastword.spool.ledger import Ledger
from lastword.spool.reader import read_lines_of
from lastword.spool.record import Record, body_of, encode_event, frame
from lastword.testing import LoopbackTracker
from tests.chaos import damage
from tests.support.damage import CHANGES, Victim, spoil
from tests.support.events import message_event
from tests.support.programs import wait_until
from tests.support.promise import Section, promise
from tests.support.spools import Process, flush, impatient_flushers, messages, set_aside


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    with impatient_flushers():
        yield


@promise(
    Section.DAMAGE,
    "A segment changed anywhere costs only the records hit",
    broken_by="records not searched for within a damaged line",
)
@pytest.mark.parametrize("change", CHANGES)
def test_a_segment_changed_anywhere(layout: Layout, change: str) -> None:
    """Wherever a segment is changed, every record that is whole is delivered once, the rest is set aside byte for byte,
    and the accounts balance. (Every single byte: tests/unit/spool/test_reader.py.)
    """
    taken, apply = CHANGES[change]
    changed: dict[str, bytes] = {}
    with LoopbackTracker() as tracker:
        model = Process(layout, tracker.dsn, "model 1", "model 2", "model 3").ends()
        bounds = model.bounds()
        near_bounds = {bound + step for bound in bounds for step in (-1, 0, 1)}
        places = sorted({*range(0, bounds[-1], 401), *(place for place in near_bounds if 0 <= place < bounds[-1])})
        wanted = {"model 1", "model 2", "model 3"}
        allowed = set(wanted)
        for place in places:
            names = [f"{place:05d} {seq}" for seq in (1, 2, 3)]
            process = Process(layout, tracker.dsn, *names).ends()
            at = process.bounds()
            assert len(at) == 4
            content = apply(process.segment.read_bytes(), place)
            process.segment.write_bytes(content)
            changed[process.writer.id] = content
            allowed.update(names)
            hit = range(place, place + taken) if taken else None
            for name, first, last in zip(names, at, at[1:]):
                inside = first < place < last if hit is None else hit.start < last and first < hit.stop
                wanted.update([] if inside else [name])
        flush(layout)
        found = messages(tracker)
    assert wanted <= set(found) <= allowed
    assert max(found.values()) == 1
    accounts = read_accounts(layout.spool)
    assert (accounts.missing, accounts.held, accounts.delivered) == (0, 0, len(found))
    assert os.listdir(layout.writers) == []
    for head, content in set_aside(layout):
        writer, offset, length = head["writer"], head["offset"], head["length"]
        assert isinstance(writer, str) and isinstance(offset, int) and isinstance(length, int)
        assert content == changed[writer][offset : offset + length]
        assert content.strip(b"\n")


@promise(Section.DAMAGE, "A record damaged while it waits is set aside", broken_by="left alone; its number kept")
@pytest.mark.parametrize("how", ["a byte is another", "it was never JSON"])
def test_a_record_that_is_damaged_while_it_waits(layout: Layout, how: str) -> None:
    """A record that was whole when the flusher saw it, and is not when its turn comes, is set aside like any other that
    is damaged, and the one behind it is delivered.
    """
    with LoopbackTracker() as tracker:
        process = Process(layout, tracker.dsn, "before", "hit", "behind").ends()
        leadership = Leadership(layout)
        _, first, last, _ = process.bounds()
        content = process.segment.read_bytes()
        if how == "a byte is another":
            spoilt = content[first:last].replace(b'"hit"', b'"h-t"')
        else:
            spoilt = frame(body_of(content[first:last].replace(b'"hit"', b'"hit')), 2)
            process.segment.write_bytes(content[:first] + spoilt + content[last:])
        leadership.look()
        process.segment.write_bytes(content[:first] + spoilt + content[last:])
        wait_until(lambda: leadership.work() is False and not leadership.holds_anything, "an end")
        leadership.finish()
        assert messages(tracker) == {"before": 1, "behind": 1}
    accounts = read_accounts(layout.spool)
    assert (accounts.missing, accounts.held, accounts.delivered, accounts.dropped) == (0, 0, 2, {"damaged": 1})
    assert [content for _, content in set_aside(layout)] == [spoilt]


SIZES = st.lists(st.sampled_from([0, 10, 500, 70_000, 260_000, 700_000]), min_size=1, max_size=8)


@settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(sizes=SIZES, changes=st.integers(0, 6), chance=st.randoms(use_true_random=True), finished=st.booleans())
def test_a_segment_changed_in_many_ways(sizes: list[int], changes: int, chance: Random, finished: bool) -> None:
    """However a segment of any size was changed, reading it comes to an end, gives each whole record once, in order,
    and covers every byte once.
    """
    lines = [frame(encode_event(f"{seq:032x}", None, {"x": "y" * size}), seq) for seq, size in enumerate(sizes, 1)]
    victim = Victim(lines)
    for _ in range(changes):
        victim.change_at_random(chance)
    content = bytes(victim.content)
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        found = list(read_lines_of(file.fileno(), 0, finished=finished))
    end = 0
    for line in found:
        assert end <= line.start < line.end <= len(content)
        assert not content[end : line.start].strip(b"\n")
        end = line.end
    if finished:
        assert not content[end:].strip(b"\n")
    seqs = [line.found.seq or 0 for line in found if isinstance(line.found, Record)]
    assert seqs == sorted(set(seqs))
    assert set(range(1, len(lines) + 1)) - {number + 1 for number in victim.touched} <= set(seqs)


@promise(
    Section.DAMAGE, "Spools damaged at random places lose only the records hit", broken_by="missing numbers not counted"
)
def test_spools_damaged_at_random(tmp_path: Path) -> None:
    """Segments and both copies of the ledger, changed at random places, cost the records that were hit and no other."""
    damage.prove(tmp_path, spools=5)


def many_changes(content: bytes) -> Iterator[bytes]:
    """Every change at each place of the head and of the end, and at every fourth in between."""
    for place in {*range(70), *range(70, len(content), 4), *range(len(content) - 20, len(content))}:
        for _, apply in CHANGES.values():
            yield apply(content, place)
        yield content[:place] + bytes([content[place] ^ 0x80]) + content[place + 1 :]


@promise(
    Section.DAMAGE,
    "A ledger with one copy changed anywhere loads as the newest or the one before",
    broken_by="generation not in the checksum",
)
@pytest.mark.parametrize("hit", [0, 1])
def test_a_ledger_copy_changed_anywhere(layout: Layout, hit: int) -> None:
    """The ledger is the newest that was written, or the one before; never anything else."""
    ledger = Ledger()
    for tally in (3, 4):
        ledger.entry("a" * 32).advance(1, 100 * tally, tally)
        ledger.entry("a" * 32).tally["delivered"] = tally
        ledger.store(layout)
    path = Path(layout.ledger_copies[hit])
    intact = path.read_bytes()
    used = len(intact.rstrip(b"\0"))
    newest = ledger.generation % 2 == hit
    for content in many_changes(intact[:used]):
        with path.open("r+b") as file:
            file.write(content)
            file.truncate()
        loaded = Ledger.load(layout)
        tally = loaded.entry("a" * 32).tally["delivered"]
        assert (loaded.generation, tally) in (((1, 3), (2, 4)) if newest else ((2, 4),))
        assert loaded.entry("a" * 32).seq == tally


@promise(Section.DAMAGE, "Lost ledger copies lose no event", broken_by="the file in a copy's place not moved")
@pytest.mark.parametrize("lost", ["the newest copy", "both copies"])
@pytest.mark.parametrize("how", ["garbage", "empty", "removed", "a directory", "a FIFO", "a link", "a terabyte"])
def test_lost_ledger_copies_lose_no_event(layout: Layout, lost: str, how: str) -> None:
    """A lost copy costs repeats of what only it knew, two lost copies those of everything that is still there. No event
    is lost, the accounts balance, and the next flusher has two good copies again.
    """
    with LoopbackTracker() as tracker:
        process = Process(layout, tracker.dsn, "1", "2", "3")
        flusher = Flusher(layout)
        flusher.stop()
        flusher.run()
        assert messages(tracker) == {"1": 1, "2": 1, "3": 1}
        process.captures("4")
        newest = Ledger.load(layout).generation % 2
        for copy in layout.ledger_copies if lost == "both copies" else [layout.ledger_copies[newest]]:
            spoil(Path(copy), how)
        process.ends()
        flush(layout)
        found = messages(tracker)
    assert set(found) == {"1", "2", "3", "4"}
    assert found["4"] == 1 and max(found.values()) <= 2
    accounts = read_accounts(layout.spool)
    assert (accounts.missing, accounts.held) == (0, 0)
    assert not [one for one in findings(layout) if "ledger" in one.text and ".moved" not in one.text]


def test_copied_segment_is_sent_again_and_accounts_balance(layout: Layout) -> None:
    """A segment that was copied back beside itself."""
    with LoopbackTracker() as tracker:
        process = Process(layout, tracker.dsn, "1", "2").ends()
        (process.directory / "000009.seg").write_bytes(process.segment.read_bytes())
        assert read_accounts(layout.spool).missing == 0
        flush(layout)
        assert set(messages(tracker)) == {"1", "2"}
    accounts = read_accounts(layout.spool)
    assert (accounts.missing, accounts.held) == (0, 0)


def test_segment_that_cannot_be_removed_is_sent_once(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be removed is sent once, and the flusher neither tries all the time nor stays for it."""
    unlink = os.unlink

    def may_not(path: str, **more: int) -> None:
        if path.endswith(".seg"):
            raise PermissionError(errno.EPERM, "Operation not permitted", path)
        unlink(path, **more)

    with LoopbackTracker() as tracker:
        process = Process(layout, tracker.dsn, "1", "2").ends()
        with monkeypatch.context() as immutable:
            immutable.setattr(os, "unlink", may_not)
            flush(layout)
            flush(layout)
        assert process.segment.exists()
        assert (read_accounts(layout.spool).delivered, read_accounts(layout.spool).missing) == (2, 0)
        flush(layout)
        assert messages(tracker) == {"1": 1, "2": 1}
    assert not process.directory.exists()


@promise(
    Section.DAMAGE,
    "Garbage around a record of an x- segment is set aside and the record is delivered",
    broken_by="garbage counted as a record; torn records not set aside",
)
def test_damage_within_an_extra_segment(layout: Layout) -> None:
    """Garbage around the record of an x- segment is set aside, and the record delivered."""
    with LoopbackTracker() as tracker:
        process = Process(layout, tracker.dsn, "1").ends()
        assert process.destination is not None
        event = message_event("2")
        line = frame(encode_event(event["id"], process.destination.key, event), None)
        (process.directory / "x-1.seg").write_bytes(b"garbage\n" + line + b"more garbage")
        flush(layout)
        assert messages(tracker) == {"1": 1, "2": 1}
    assert sorted(content for _, content in set_aside(layout)) == [b"garbage\n", b"more garbage"]
    accounts = read_accounts(layout.spool)
    assert (accounts.delivered, accounts.missing, accounts.held) == (2, 0, 0)


NOT_A_NUMBER = '{"failures": 3, "not_before": NaN, "unfinished": false}'


@promise(Section.DAMAGE, "A nonsense `start.json` lets a flusher start", broken_by="NaN accepted")
@pytest.mark.parametrize("text", [NOT_A_NUMBER, '{"failures": 1e999, "not_before": 1e999, "unfinished": 1}', "[1]"])
def test_flusher_starts_despite_a_nonsense_start_json(layout: Layout, text: str) -> None:
    """A start.json that makes no sense lets a flusher be started."""
    Path(layout.start_state).write_text(text + "\n")
    assert start.load(layout).allows(time.time())
