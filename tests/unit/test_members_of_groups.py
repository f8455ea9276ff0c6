"""Each member of an exception group stands in exactly one event, whatever is logged, raised on or captured first."""

from __future__ import annotations

import asyncio
import builtins
import json
import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lastword
from lastword import listener
from lastword.admission.gate import Ignored
from lastword.audit.accounts import read_accounts
from tests.support import needs
from tests.support.promise import Section, promise

pytestmark = [
    pytest.mark.usefixtures("as_in_a_new_process"),
    promise(
        Section.FAILURES,
        "Each member of a group is shown in one event, and all groups refer to it",
        broken_by="members not marked; not checked; checked by the code that marked them",
    ),
]
needs_groups = needs.capability(sys.version_info >= (3, 11), "Python 3.11")

log = logging.getLogger("shop")


class Declined(Exception):
    pass


def group(text: str, *members: BaseException) -> Any:
    kind: Any = getattr(builtins, "ExceptionGroup", None)
    return kind(text, members)


def events(spool: Path) -> list[Any]:
    lines = [line for path in spool.glob("v1/writers/*/*.seg") for line in path.read_text().splitlines()]
    return [json.loads(line)["event"] for line in lines]


def in_a_thread(work: Callable[[], Any], spool: Path) -> None:
    """As it ends a thread, with what Python says about it left out."""
    hook, threading.excepthook = threading.excepthook, lambda _: None
    lastword.init(spool=spool)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    listener.uninstall()
    threading.excepthook = hook


@pytest.fixture
def spool(tmp_path: Path) -> Any:
    """Of the programs below."""
    lastword.init(spool=tmp_path)
    handlers, log.handlers, log.propagate = log.handlers, [logging.NullHandler()], False
    yield tmp_path
    log.handlers, log.propagate = handlers, True


def leaves(found: list[Any]) -> Counter[str]:
    """How often each member stands in an event."""
    return Counter(info["value"] for event in found for info in event["exceptions"] if info["type"] != "ExceptionGroup")


#: Functions by name, as texts: ``except*`` is syntax of Python 3.11.
EXCEPT_STAR = {
    "some_are_logged": """
def some_are_logged():
    try:
        raise ExceptionGroup("rows", [ValueError("row 1"), TypeError("row 2")])
    except* ValueError:
        log.exception("some rows are bad")
        raise
""",
    "each_kind_is_logged": """
def each_kind_is_logged():
    try:
        raise ExceptionGroup("rows", [ValueError("row 1"), ExceptionGroup("inner", [TypeError("row 2")])])
    except* ValueError as bad:
        log.exception("values")
    except* TypeError as bad:
        log.exception("types")
        raise
""",
    "all_is_logged_first": """
def all_is_logged_first():
    try:
        try:
            raise ExceptionGroup("rows", [ValueError("row 1"), TypeError("row 2")])
        except ExceptionGroup:
            log.exception("bad rows")
            raise
    except* ValueError:
        raise
""",
    "members_are_logged_by_themselves": """
def members_are_logged_by_themselves():
    try:
        raise ExceptionGroup("rows", [ValueError("row 1"), TypeError("row 2")])
    except* Exception as bad:
        for one in bad.exceptions:
            log.error("a bad row", exc_info=one)
        raise
""",
    "members_are_captured_after_the_group": """
def members_are_captured_after_the_group():
    try:
        raise ExceptionGroup("rows", [ValueError("row 1"), TypeError("row 2")])
    except* Exception as bad:
        group_id = lastword.capture_exception(bad)
        assert [lastword.capture_exception(one) for one in bad.exceptions] == [group_id] * 2
        for one in bad.exceptions:
            log.error("a bad row", exc_info=one)
""",
    "raised_members_are_logged": """
def raised_members_are_logged():
    def raised(error):
        try:
            raise error
        except Exception as caught:
            return caught
    try:
        raise ExceptionGroup("rows", [raised(ValueError("row 1")), raised(TypeError("row 2"))])
    except* ValueError:
        log.exception("some rows are bad")
        raise
""",
    "task_group": """
def task_group():
    async def child(row, logs):
        try:
            raise ValueError(f"row {row}") if row == 1 else TypeError(f"row {row}")
        except Exception:
            if logs:
                log.exception("child failed")
            raise
    async def main():
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(child(1, True))
            tasks.create_task(child(2, False))
    asyncio.run(main())
""",
}


@needs_groups
@pytest.mark.parametrize("name", EXCEPT_STAR)
def test_each_member_is_in_one_event(name: str, spool: Path) -> None:
    """And those that are told elsewhere are referred to: by the id of that event, with class and text."""
    scope: dict[str, Any] = {"log": log, "lastword": lastword, "asyncio": asyncio}
    exec(compile(EXCEPT_STAR[name], "<programs>", "exec"), scope)
    in_a_thread(scope[name], spool)
    found = events(spool)
    assert leaves(found) == {"row 1": 1, "row 2": 1}
    ids = {event["id"] for event in found}
    notes = [note for event in found for info in event["exceptions"] for note in info["notes"]]
    for note in notes:
        assert note.startswith("(a member that is told by event ")
        assert note[32:64] in ids
        assert note[66:] in ("ValueError: row 1)", "TypeError: row 2)")
    assert bool(notes) is (name != "members_are_captured_after_the_group")


@needs_groups
def test_member_whose_event_was_dropped_is_in_the_groups_event(tmp_path: Path) -> None:
    """And one that is raised anew in its event once more."""
    lastword.init(spool=tmp_path, before_send=lambda event: event if len(event["exceptions"]) > 1 else None)

    def fails() -> None:
        raise ValueError("row 1")

    member = ValueError("row 1")
    for _ in range(2):
        try:
            raise member
        except ValueError as error:
            assert lastword.capture_exception(error) is None
        assert lastword.capture_exception(group("rows", member))
    assert leaves(events(tmp_path)) == {"row 1": 2}


@needs_groups
def test_member_left_out_of_a_large_group_is_not_marked(spool: Path) -> None:
    """It can still be reported."""
    members = [ValueError(f"row {number}") for number in range(30)]
    assert lastword.capture_exception(group("rows", *members))
    assert lastword.capture_exception(members[29])
    told = leaves(events(spool))
    assert told["row 29"] == told["row 0"] == 1


@promise(Section.FAILURES, "A group of ignored members is ignored", broken_by="members not checked; any for all")
@needs_groups
def test_group_of_only_ignored_members_is_ignored(tmp_path: Path) -> None:
    """At any depth, by class or name; with one other member it is reported."""
    for ignored in ([Declined], ["Declined"], [LookupError, "Declined"]):
        lastword.init(spool=tmp_path, ignore_errors=ignored)
        assert lastword.capture_exception(group("a", Declined("x"), Declined("y"))) is None
        assert lastword.capture_exception(group("a", Declined("x"), group("b", group("c", Declined("y"))))) is None
    assert lastword.capture_exception(group("a", Declined("x"), group("b", group("c", ValueError("y")))))
    assert read_accounts(tmp_path).refused == {"ignored": 6}


def test_members_of_any_kind_of_group_are_checked() -> None:
    """The backport's too; what is no group is asked for nothing more."""
    tree: dict[int, tuple[BaseException, ...]] = {}
    inner, outer, endless = OSError("inner"), OSError("outer"), OSError("endless")
    tree.update({id(inner): (Declined(),), id(outer): (Declined(), inner), id(endless): (endless,)})
    ignored = Ignored([Declined], lambda error: tree.get(id(error), ()))
    assert ignored.has(outer)
    assert not ignored.has(endless)
    assert not ignored.has(OSError("no group"))
    tree[id(inner)] = (Declined(), ValueError())
    assert not ignored.has(outer)
    assert not Ignored([]).has(outer)
