"""The promise: whatever step of reading, rendering, sending or settling fails, for a reason that nobody foresaw, costs
one record, which is set aside or waits, or one writer's directory, which waits. All the others are delivered, and it is
said.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lastword.audit import kept_events
from lastword.audit.accounts import read_accounts
from lastword.event import new_id
from lastword.flusher import delivery, leadership, settle, watch
from lastword.flusher.consequences import Consequences
from lastword.flusher.haste import Haste
from lastword.flusher.ordered import Orders
from lastword.flusher.settle import Bookkeeper
from lastword.flusher.strikes import Strikes
from lastword.flusher.upkeep import Upkeep
from lastword.flusher.watch import WatchedWriter
from lastword.spool import aside, orders
from lastword.spool.layout import Layout
from lastword.spool.orders import PURGE, Order
from lastword.spool.record import encode_event
from lastword.testing import LoopbackTracker
from lastword.transport.http_sender import HttpSender
from lastword.wire import booboo
from tests.support.events import message_event
from tests.support.promise import Section, promise
from tests.support.spools import Process, flush, impatient_flushers, messages


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    with impatient_flushers():
        yield


class Unforeseen(Exception):
    """What no code of lastword's names."""


ERRORS = [Unforeseen, ValueError, RecursionError, OverflowError, AssertionError, SystemError]


def failing(where: Any, name: str, patch: pytest.MonkeyPatch, concerns: Any, error: type[Exception]) -> list[str]:
    """Have a step fail where its arguments are ``concerns``; returns what collects each time it did."""
    real, failed = getattr(where, name), []

    def fails(*arguments: Any, **more: Any) -> Any:
        if concerns(arguments):
            failed.append(name)
            raise error("10**400")
        return real(*arguments, **more)

    patch.setattr(where, name, fails)
    return failed


OF_A_WRITER: list[tuple[Any, str]] = [
    (WatchedWriter, "__init__"),
    (WatchedWriter, "refresh"),
    (WatchedWriter, "take_in"),
    (WatchedWriter, "refill"),
    (WatchedWriter, "settled_segments"),
    (watch, "list_segments"),
    (watch, "read_lines"),
]


@promise(
    Section.DAMAGE,
    "A step that fails at one writer's directory costs only that directory, which waits",
    broken_by="a failure at a writer raised",
)
@pytest.mark.parametrize(("where", "step"), OF_A_WRITER, ids=[step for _, step in OF_A_WRITER])
def test_failure_at_one_writers_directory_costs_that_directory(
    layout: Layout, where: Any, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits; events of other writers are delivered, also later ones."""
    with LoopbackTracker() as tracker:
        Process(layout, tracker.dsn, "1").ends()
        bad = Process(layout, tracker.dsn, "bad").ends().writer.id
        Process(layout, tracker.dsn, "2").ends()

        def concerns(arguments: Any) -> bool:
            return getattr(arguments[0], "id", "") == bad or any(bad in one for one in arguments if type(one) is str)

        for error in ERRORS:
            with monkeypatch.context() as patch:
                failed = failing(where, step, patch, concerns, error)
                flush(layout)
            assert failed
        assert {**messages(tracker), "bad": 1} == {"1": 1, "2": 1, "bad": 1}
        assert "Unforeseen" in Path(layout.flusher_log).read_text()
        flush(layout)
        assert messages(tracker) == {"1": 1, "2": 1, "bad": 1}
    accounts = read_accounts(layout.spool)
    assert (accounts.held, accounts.missing) == (0, 0)


def _is_bad(arguments: Any) -> bool:
    """Whether one of these is about the event with the message ``bad``, or what waits of it."""
    for one in arguments:
        record = one if isinstance(one, dict) else getattr(one, "content", None)
        if isinstance(record, dict) and record.get("message") == "bad":
            return True
        line = getattr(one, "line", one)
        if getattr(line, "event_id", None) in BAD or (isinstance(one, str) and one.partition(".")[0] in BAD):
            return True
        if isinstance(getattr(one, "body", None), bytes) and b'"bad"' in one.body:
            return True
    return False


BAD: set[str] = set()

OF_A_RECORD: list[tuple[Any, str]] = [
    (WatchedWriter, "read"),
    (Strikes, "sends"),
    (Strikes, "survived"),
    (delivery, "completed"),
    (booboo, "request"),
    (HttpSender, "send"),
    (Consequences, "act_on"),
    (Bookkeeper, "settle"),
    (WatchedWriter, "settle"),
]


@promise(
    Section.DAMAGE,
    "A step that fails at one record costs only that record, which is set aside or waits",
    broken_by="a failure at an event raised",
)
@pytest.mark.parametrize(
    ("where", "step"), OF_A_RECORD, ids=[f"{where.__name__}.{step}" for where, step in OF_A_RECORD]
)
def test_failure_at_one_record_costs_that_record(
    layout: Layout, where: Any, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is set aside or waits; all others are delivered once, and the accounts balance."""
    others = [str(number) for number in range(12)]
    with LoopbackTracker() as tracker:
        process = Process(layout, tracker.dsn)
        assert process.destination is not None
        for message in (*others[:6], "bad", *others[6:]):
            event = message_event(message, id=new_id(), stack=[])
            process.writer.append(encode_event(event["id"], process.destination.key, event), process.destination)
            BAD.update([event["id"]] if message == "bad" else [])
        process.ends()
        with monkeypatch.context() as patch:
            failed = failing(where, step, patch, _is_bad, Unforeseen)
            flush(layout)
        assert failed
        found = messages(tracker)
        found.pop("bad", None)
        assert found == dict.fromkeys(others, 1)
        accounts = read_accounts(layout.spool)
        assert (accounts.missing, accounts.recorded) == (0, 13)
        assert accounts.held + sum(accounts.set_aside.values()) + accounts.delivered == 13
        flush(layout)
    BAD.clear()
    accounts = read_accounts(layout.spool)
    assert (accounts.held, accounts.missing) == (0, 0)


OF_ALL: list[tuple[Any, str]] = [
    (Upkeep, "make_room"),
    (Upkeep, "look_after"),
    (Haste, "look"),
    (kept_events, "set_aside"),
    (Orders, "look"),
    (leadership, "redirect_corrected"),
    (leadership, "sweep_births"),
    (aside, "sweep"),
    (settle, "remove_directory"),
    (settle, "read_lines_of"),
]


@promise(
    Section.DAMAGE,
    "A step that fails for the whole spool is skipped in that look only",
    broken_by="no guard at the end of a look",
)
@pytest.mark.parametrize(("where", "step"), OF_ALL, ids=[f"{where.__name__}.{step}" for where, step in OF_ALL])
def test_failure_in_a_step_for_the_whole_spool_stops_no_delivery(
    layout: Layout, where: Any, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work that depends on it waits; everything is delivered, and the flusher leaves."""
    with LoopbackTracker() as tracker:
        Process(layout, tracker.dsn, "1", "2").ends()
        with monkeypatch.context() as patch:
            failed = failing(where, step, patch, lambda _: True, Unforeseen)
            order = orders.give(layout, Order(PURGE, ["a" * 32]))
            flush(layout)
        assert failed
        assert messages(tracker) == {"1": 1, "2": 1}
        flush(layout)
        assert messages(tracker) == {"1": 1, "2": 1}
        answer = orders.take_answer(layout, order)
        assert answer is not None and answer.done == 0 and answer.trouble
    accounts = read_accounts(layout.spool)
    assert (accounts.held, accounts.delivered, accounts.missing) == (0, 2, 0)
