"""The promise: once `capture` has returned an id, the event reaches the tracker, whatever happens to the process."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from lastword.audit.accounts import read_accounts
from lastword.spool import start
from lastword.spool.layout import Layout
from lastword.spool.lock import holder
from lastword.testing import LoopbackTracker, Received
from tests.chaos import kill
from tests.support.programs import Program, run, wait_for_accounts, wait_until, wait_until_no_flusher
from tests.support.promise import Section, promise


def ids(events: list[Received]) -> list[str]:
    return [(event.id or "").replace("-", "") for event in events]


def has_all(acked: list[str]):  # type: ignore[no-untyped-def]
    return lambda events: set(acked) <= set(ids(events))


@pytest.mark.parametrize("wire", ["booboo", "backtrace"])
def test_program_killed_right_after_capture_has_reported(tmp_path: Path, wire: str) -> None:
    """A program that is SIGKILLed right after `capture` returned has still reported, every time."""
    spool, rounds = tmp_path / "spool", 4
    with LoopbackTracker(wire) as tracker:
        for number in range(rounds):
            body = f"acked(lastword.capture_message('last words {number}')); die()"
            assert len(run(body, spool=spool, dsn=tracker.dsn)) == 1
        events = tracker.wait_for(rounds)
        wait_until_no_flusher(spool)
    assert sorted(event.message for event in events) == sorted(f"last words {number}" for number in range(rounds))
    assert read_accounts(spool).delivered == rounds


@promise(
    Section.NOT_LOST,
    "A kill of the program's process group does not reach the flusher, even right after the capture",
    broken_by="the helper has no process group of its own",
)
def test_kill_of_the_process_group_does_not_reach_the_flusher(tmp_path: Path) -> None:
    """A kill of the program's process group, as shells and supervisors do it, does not reach the flusher."""
    spool = tmp_path / "spool"
    body = "os.setpgid(0, 0); acked(lastword.capture_message('all of us')); os.killpg(0, signal.SIGKILL)"
    with LoopbackTracker() as tracker:
        for count in (1, 2):
            assert len(run(body, spool=spool, dsn=tracker.dsn)) == 1
            tracker.wait_for(count)
            wait_until_no_flusher(spool)


@promise(
    Section.NOT_LOST, "A killed starter holds up no other start", broken_by="`start.json` does not say *unfinished*"
)
def test_events_acknowledged_before_a_kill_in_a_burst_arrive(tmp_path: Path) -> None:
    """A kill at any moment; torn records were never acknowledged."""
    spool, acked = tmp_path / "spool", []
    body = """
blob = "x" * 40_000
def burst():
    for _ in range(100):
        acked(lastword.capture_message(blob))
for _ in range(3):
    threading.Thread(target=burst).start()
"""
    with LoopbackTracker("backtrace") as tracker:
        for length in (1, 20, 60):
            with Program(body, spool=spool, dsn=tracker.dsn) as program:
                acked += [program.line() for _ in range(length)]
                program.process.kill()
                acked += program.end()
        tracker.wait_for(has_all(acked), timeout=30)
        wait_until_no_flusher(spool)
    accounts = read_accounts(spool)
    assert accounts.held == accounts.missing == 0
    assert not accounts.dropped
    assert not accounts.set_aside


@promise(
    Section.NOT_LOST,
    "Killed writers and flushers lose nothing; torn tails are set aside and explained",
    broken_by="records written a moment after they are acknowledged; in `scripts/chaos` also: torn tails not set aside",
)
def test_kills_at_random_instants_lose_nothing(tmp_path: Path) -> None:
    """Writers of small, middling and large records are killed while they write, and flushers while they send: what was
    acknowledged arrives, what was torn is set aside and explained, a repeat is the same in every byte, and it balances.
    """
    kill.prove(tmp_path, kills=30)


def test_events_of_an_ended_program_arrive_after_an_outage(tmp_path: Path) -> None:
    """Events of a program that has ended during an outage arrive once the tracker is back."""
    spool = tmp_path / "spool"
    with LoopbackTracker("backtrace") as tracker:
        tracker.go_down()
        acked = run("for _ in range(5): acked(lastword.capture_message('held'))", spool=spool, dsn=tracker.dsn)
        assert len(acked) == 5
        wait_for_accounts(
            spool, lambda accounts: any(health.failures > 2 for health in accounts.destinations.values()), "attempts"
        )
        assert read_accounts(spool).held == 5
        tracker.come_up()
        tracker.wait_for(has_all(acked), timeout=30)
        wait_for_accounts(spool, lambda accounts: accounts.delivered == 5 and not accounts.writers, "settling")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_overloaded_tracker_only_delays_events(tmp_path: Path, status: int) -> None:
    """A tracker that is overloaded keeps nothing from arriving later."""
    spool = tmp_path / "spool"
    with LoopbackTracker("booboo") as tracker:
        tracker.answer(status, times=2)
        run("for n in range(3): acked(lastword.capture_message(f'event {n}'))", spool=spool, dsn=tracker.dsn)
        tracker.wait_for(3)
        wait_until_no_flusher(spool)
        assert sorted(event.message for event in tracker.events) == ["event 0", "event 1", "event 2"]


def test_event_is_sent_again_unchanged_after_a_cut_answer(tmp_path: Path) -> None:
    """Where the answer is lost the event is sent again, unchanged and under its id, so that a tracker can tell."""
    spool = tmp_path / "spool"
    with LoopbackTracker("backtrace") as tracker:
        tracker.cut_answers(stored=True, times=1)
        acked = run("acked(lastword.capture_message('twice'))", spool=spool, dsn=tracker.dsn)
        events = tracker.wait_for(2)
        wait_until_no_flusher(spool)
    assert ids(events) == acked * 2
    assert events[0].raw == events[1].raw
    assert [health.uncertain for health in read_accounts(spool).destinations.values()] == [1]


@promise(
    Section.NOT_LOST,
    "A killed flusher is replaced at once",
    broken_by="the count of failed starts not cleared by the leader",
)
def test_killed_flusher_is_replaced_at_the_next_capture(tmp_path: Path) -> None:
    """A flusher may die at any moment: the next capture starts another one, and nothing is lost."""
    spool = tmp_path / "spool"
    layout = Layout(str(spool))
    lock = layout.flusher_lock
    body = "for line in sys.stdin: acked(lastword.capture_message(line.strip()))"
    acked = []
    with LoopbackTracker("backtrace") as tracker, Program(body, spool=spool, dsn=tracker.dsn) as program:
        tracker.be_slow(0.02)
        for number in range(40):
            program.tell(f"event {number}")
            acked.append(program.line())
            if number % 8 == 7:
                wait_until(lambda: holder(lock), "a flusher")
                wait_until(lambda: start.load(layout).failures == 0, "the word that it leads")
                leader = holder(lock)
                assert leader
                os.kill(leader, signal.SIGKILL)
                wait_until(lambda killed=leader: holder(lock) != killed, "its end")  # type: ignore[misc]
        program.tell("the last one starts the last flusher")
        acked.append(program.line())
        wait_for_accounts(spool, lambda seen: seen.held == 0, "everything to be delivered", timeout=60)
        events = tracker.wait_for(has_all(acked))
    kills = 5  # each of them may have come between an answer and its checkpoint
    assert max(Counter(ids(events)).values()) <= 1 + kills


def test_an_event_without_a_dsn_is_kept(tmp_path: Path) -> None:
    """Without a DSN nothing is sent, nothing waits, and everything is there to be read."""
    spool = tmp_path / "spool"
    acked = run("acked(lastword.capture_message('kept')); assert lastword.flush(60) is False", spool=spool)
    accounts = read_accounts(spool)
    assert (accounts.held, accounts.held_without_dsn, accounts.flusher) == (1, 1, None)
    [segment] = spool.glob("v1/writers/*/000001.seg")
    assert acked[0] in segment.read_text()


def test_uncaught_exceptions_are_on_disk_before_the_program_ends(tmp_path: Path) -> None:
    """The last words of a thread and of the main thread arrive, and the program ends as it would have."""
    spool = tmp_path / "spool"
    body = """
def fail(): raise KeyError("in a thread")
thread = threading.Thread(target=fail); thread.start(); thread.join()
raise ValueError("in the main thread")
"""
    with LoopbackTracker("backtrace") as tracker:
        with Program(body, spool=spool, dsn=tracker.dsn) as program:
            _, trouble = program.process.communicate(timeout=30)
        assert program.process.returncode == 1
        assert trouble.count("Traceback") == 2
        events = tracker.wait_for(2)
        wait_until_no_flusher(spool)
    told = {(event.message, (event.body or {})["attributes"]["error.type"]) for event in events}
    assert told == {("'in a thread'", "Unhandled exception"), ("in the main thread", "Unhandled exception")}
