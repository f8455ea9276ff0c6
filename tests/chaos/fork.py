"""A program whose threads capture all the time forks again and again, with Python's hooks and without any.

The hookless fork is libc's, called by ctypes: as uWSGI's and any C library's, it runs nothing of Python's in the child.
That can break the interpreter itself, if another thread is handing over the GIL at that instant: of 300 such children
28 never ran a line. So each child first says that its interpreter works; one that does not is no witness against
lastword, and is counted apart.
"""

from __future__ import annotations

from pathlib import Path

from lastword.spool.layout import Layout
from lastword.spool.ledger import Ledger
from tests.support.programs import PROGRAMS, run, wait_for_accounts, wait_until_no_flusher
from tests.support.witness import WitnessTracker

PROMISE = "a forked child reports as itself, whatever its parent's threads were doing, and never hangs"
FORKS = 2000

#: The largest share of the children that may be lost to the interpreter.
MOST_SPOILT = 0.2


def prove(directory: Path, forks: int = FORKS, has_libc_fork: bool = True) -> str:
    spool, program = directory / "spool", PROGRAMS / "forking.py"
    with WitnessTracker() as tracker:
        told = run(program, forks, "libc" if has_libc_fork else "none", spool=spool, dsn=tracker.dsn, patience=900)
        lines = [line.split(":") for line in told]
        captured = {event_id: int(pid) for pid, event_id in lines if event_id}
        troubles = [trouble for trouble, event_id in lines if not event_id]
        tracker.wait_for_all(captured.keys())
        wait_until_no_flusher(spool)
        tracker.assert_one_sender_at_a_time()
    accounts = wait_for_accounts(spool, lambda seen: not seen.writers, "every writer's retirement")
    children = len(set(captured.values())) - 1
    spoilt = troubles.count("spoilt")
    assert troubles.count("hung") == 0, f"{troubles.count('hung')} of {forks} children hung in lastword"
    assert spoilt <= forks * MOST_SPOILT, f"{spoilt} children were lost to the interpreter"
    assert children == forks - spoilt, f"{children} of {forks} children reported"
    assert tracker.pids == captured, "an event names another process than the one that captured it"
    assert Ledger.load(Layout(str(spool))).totals.writers >= children + 1, "processes shared a writer"
    assert tracker.repeats() == 0
    assert accounts.recorded == accounts.delivered == len(captured), accounts
    assert (accounts.held, accounts.missing) == (0, 0), accounts
    return f"{forks} forks under load, half of them without hooks, {len(captured)} events, each under its own pid" + (
        f"; {spoilt} children lost to the interpreter" if spoilt else ""
    )
