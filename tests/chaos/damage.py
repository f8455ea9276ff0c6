"""Spools whose segments and ledgers are damaged at random places, each drained by the flusher's own code.

A part of the records is delivered before the damage, so that there is something in the ledger; the rest by the flusher
that finds it. The random number generator's seed is told, and given again by ``SEED=…``.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

from lastword.audit.accounts import read_accounts
from lastword.flusher.loop import Flusher
from lastword.spool.layout import Layout
from lastword.testing import LoopbackTracker
from tests.support.damage import Victim
from tests.support.spools import Process, flush, impatient_flushers, messages

PROMISE = "damage costs the records that it touches: all others are delivered, and everything is accounted for"
SPOOLS = 150

#: Most processes of a spool, most records of each, most changes of each file.
PROCESSES, RECORDS, CHANGES = 4, 15, 6


@dataclass
class Toll:
    """What was damaged in one spool or more, and what that cost."""

    records: int = 0
    segments: int = 0
    copies: int = 0
    bytes_changed: int = 0
    touched: int = 0
    delivered: int = 0
    repeats: int = 0

    def add(self, other: Toll) -> None:
        for name, count in vars(other).items():
            setattr(self, name, getattr(self, name) + count)


def prove(directory: Path, spools: int = SPOOLS) -> str:
    seed = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
    chance, toll = random.Random(seed), Toll()
    try:
        with impatient_flushers():
            for number in range(spools):
                toll.add(_damage_one(directory / str(number), chance))
    except AssertionError as error:
        raise AssertionError(f"with SEED={seed}: {error}") from error
    return (
        f"{spools} spools, {toll.bytes_changed} bytes of {toll.segments} segments and {toll.copies} ledger copies "
        f"changed, {toll.touched} of {toll.records} records hit, {toll.delivered} delivered, "
        f"{toll.repeats} repeats; seed {seed}"
    )


def _damage_one(spool: Path, chance: random.Random) -> Toll:
    layout, toll, wanted = Layout(str(spool)), Toll(), set()
    layout.prepare()
    with LoopbackTracker() as tracker:
        processes = [Process(layout, tracker.dsn) for _ in range(chance.randint(1, PROCESSES))]
        early = _capture(processes, "early", chance)
        _deliver(layout)
        assert set(messages(tracker)) == early
        settled = [process.segment.stat().st_size for process in processes]
        late = _capture(processes, "late", chance)
        for process, begin in zip(processes, settled):
            process.ends()
            wanted |= _damage_segment(process, begin, chance, toll)
        copies = chance.randrange(3)
        for path in chance.sample(layout.ledger_copies, copies):
            _damage_copy(Path(path), chance, toll)
        flush(layout)
        found = messages(tracker)
    assert wanted <= set(found) <= early | late, (wanted - set(found), set(found) - early - late)
    assert max(found.values(), default=0) <= 1 + bool(copies), found
    accounts = read_accounts(layout.spool)
    assert (accounts.missing, accounts.held, accounts.writers) == (0, 0, []), accounts
    toll.records, toll.delivered = len(early | late), len(found)
    toll.repeats = sum(found.values()) - len(found)
    return toll


def _capture(processes: list[Process], when: str, chance: random.Random) -> set[str]:
    """Let each process capture; returns the messages."""
    told = set()
    for process in processes:
        for number in range(chance.randint(0, RECORDS)):
            message = f"{when} {process.writer.id} {number} " + "x" * chance.choice((0, 0, 500, 20_000))
            process.captures(message)
            told.add(message)
    return told


def _deliver(layout: Layout) -> None:
    """Let a flusher send what is there, although its writers live."""
    flusher = Flusher(layout)
    flusher.stop()
    flusher.run()


def _damage_segment(process: Process, begin: int, chance: random.Random, toll: Toll) -> set[str]:
    """Change what of its segment is not settled; returns the messages of the records that were not touched."""
    content = process.segment.read_bytes()
    head, lines = content[:begin], content[begin:].splitlines(keepends=True)
    victim = Victim(lines)
    for _ in range(chance.randint(0, CHANGES)):
        victim.change_at_random(chance)
    process.segment.write_bytes(head + bytes(victim.content))
    toll.segments += bool(victim.bytes_changed)
    toll.bytes_changed += victim.bytes_changed
    toll.touched += len(victim.touched)
    late = process.messages[len(process.messages) - len(lines) :]
    return {message for number, message in enumerate(late) if number not in victim.touched}


def _damage_copy(path: Path, chance: random.Random, toll: Toll) -> None:
    victim = Victim([path.read_bytes().rstrip(b"\0")])
    for _ in range(chance.randint(1, CHANGES)):
        victim.change_at_random(chance)
    path.write_bytes(victim.content)
    toll.copies += bool(victim.bytes_changed)
    toll.bytes_changed += victim.bytes_changed
