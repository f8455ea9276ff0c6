"""Sixty-four processes in an outage, each with a flood of one error and, now and then, a rare one."""

from __future__ import annotations

from pathlib import Path

from lastword.audit.accounts import read_accounts
from lastword.testing import LoopbackTracker
from tests.support.programs import Program, wait_for_accounts, wait_until_no_flusher, wait_while

PROMISE = "a flood that goes on through a whole outage pushes out nothing rarer, with default options"
PROCESSES, LIMIT, SECONDS = 64, 64 << 20, 90.0

#: Seconds between rare ones. In a spool that is nearly full nothing more frequent is sure to be kept.
EVERY = 60.0

FLOOD = f"""
lastword.init(os.environ["TEST_DSN"], spool=os.environ["TEST_SPOOL"], max_spool={LIMIT})
for _ in range({PROCESSES}):
    if os.fork() == 0:
        end, rare_at, kept, others = time.monotonic() + {SECONDS}, 0.0, 0, 0
        while time.monotonic() < end:
            if time.monotonic() >= rare_at:
                rare_at = time.monotonic() + {EVERY}
                acked(lastword.capture_message("rare" + "x" * 8000))
            if lastword.capture_message("flood" + "x" * 8000) is None:
                others += 1
            else:
                kept += 1
            time.sleep(0.05)
        os.write(1, b"flood:%d:%d\\n" % (kept, others))
        os._exit(0)
for _ in range({PROCESSES}):
    os.wait()
"""


def prove(directory: Path) -> str:
    spool = directory / "spool"
    with LoopbackTracker("backtrace") as tracker:
        tracker.go_down()
        with Program(FLOOD, spool=spool, dsn=tracker.dsn) as program:
            told = program.end(patience=SECONDS * 3)
        floods = [line.split(":") for line in told if line.startswith("flood:")]
        rare = {line for line in told if not line.startswith("flood:")}
        kept, others = (sum(int(flood[place]) for flood in floods) for place in (1, 2))
        assert len(floods) == PROCESSES
        assert len(rare) > PROCESSES * SECONDS / EVERY / 2
        accounts = wait_for_accounts(spool, lambda seen: seen.missing == 0, "the balance")
        assert not accounts.dropped, accounts.dropped
        assert others > kept, "there was no flood"
        assert accounts.refused == {"flood": others}, (accounts.refused, others)
        tracker.come_up()
        wait_while(lambda: len(tracker.events), lambda: not read_accounts(spool).held, "the last one", patience=120)
        arrived = {(event.id or "").replace("-", "") for event in tracker.events}
        assert rare <= arrived, f"{len(rare - arrived)} of {len(rare)} are lost"
        wait_until_no_flusher(spool, timeout=120)
    return f"{len(rare)} rare ones all arrived; of the flood {kept}, and {others} were left out and counted"
