"""The promise: every captured event is accounted for, with a reason where it was not delivered."""

from __future__ import annotations

from pathlib import Path

from lastword.audit.accounts import read_accounts
from lastword.spool.layout import Layout
from lastword.spool.ledger import Ledger
from lastword.testing import LoopbackTracker
from tests.support.programs import run, wait_for_accounts, wait_until_no_flusher
from tests.support.promise import Section, promise


def test_accounts_balance_over_delivered_refused_and_set_aside_events(tmp_path: Path) -> None:
    """Events that the tracker refuses are set aside with its words, too large ones are refused."""
    spool = tmp_path / "spool"
    body = """
for number in range(6): acked(lastword.capture_message(f"event {number}"))
from lastword import assembly, sdk
client = sdk.current_client()
assert client.recorder.record({**assembly.message_event("x", level="info", settings=client.settings),
    "message": "y" * 2_000_000}) is None
"""
    with LoopbackTracker() as tracker:
        tracker.answer(400, times=2)
        run(body, spool=spool, dsn=tracker.dsn)
        tracker.wait_for(4)
        wait_until_no_flusher(spool)
    accounts = read_accounts(spool)
    assert (accounts.recorded, accounts.delivered, accounts.held, accounts.missing) == (6, 4, 0, 0)
    assert accounts.set_aside == {"refused": 2}
    assert accounts.refused == {"too large": 1}
    kept = sorted((spool / "v1/set_aside").iterdir())
    assert [path.suffix for path in kept] == [".record", ".record"]
    reason, record = kept[0].read_text().splitlines()
    assert "400" in reason
    assert '"message":"event ' in record


@promise(
    Section.NO_BURDEN,
    "A tracker that refuses the key is tried with three events only",
    broken_by="several at once to a tracker that has accepted nothing yet",
)
def test_wrong_key_is_reported_and_all_events_are_kept(tmp_path: Path) -> None:
    """A key that the tracker does not know is said to be wrong; nothing is thrown away for it."""
    spool = tmp_path / "spool"
    with LoopbackTracker(token="right") as tracker:
        wrong = tracker.dsn.replace("right", "wrong")
        run("for _ in range(5): acked(lastword.capture_message('kept'))", spool=spool, dsn=wrong)
        accounts = wait_for_accounts(
            spool, lambda seen: any(health.misconfigured for health in seen.destinations.values()), "a verdict"
        )
        assert len(tracker.requests) == 3  # different events: one alone could be to blame itself
        assert (accounts.held, accounts.delivered) == (5, 0)


def test_figures_of_retired_writers_stay_in_the_totals(tmp_path: Path) -> None:
    """Over several flushers."""
    spool = tmp_path / "spool"
    with LoopbackTracker() as tracker:
        for count in (1, 2):
            run("acked(lastword.capture_message('hello'))", spool=spool, dsn=tracker.dsn)
            tracker.wait_for(count)
            wait_until_no_flusher(spool)
            accounts = read_accounts(spool)
            assert (accounts.recorded, accounts.delivered, accounts.held) == (count, count, 0)
            assert Ledger.load(Layout(str(spool))).totals.writers == count
