"""Captures that are not admitted, or that the user's hook changes or refuses: what they return and their count."""

from __future__ import annotations

import collections
import json
import os
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import lastword
from lastword import client, diagnostics
from lastword.audit.accounts import read_accounts
from tests.support.errors import capture
from tests.support.programs import recorded, run
from tests.support.promise import Section, promise

pytestmark = pytest.mark.usefixtures("as_in_a_new_process")


class Unread(Exception):
    """Notices when an event is made of it."""

    read = 0

    def __str__(self) -> str:
        Unread.read += 1
        return "read"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time by which floods are told, to be set."""
    clock = SimpleNamespace(now=1_740_830_645.0)
    monkeypatch.setattr(client, "time", SimpleNamespace(time=lambda: clock.now, monotonic=time.monotonic))
    return clock


@promise(Section.BEFORE_DISK, "An event that is not admitted is not read", broken_by="event read before the gate")
@pytest.mark.parametrize(
    ("options", "reason"),
    [({"ignore_errors": [Unread]}, "ignored"), ({"sample_rate": 0.0}, "sampled"), ({"flood_burst": 1}, "flood")],
)
def test_event_that_is_not_admitted_is_not_read(options: dict[str, Any], reason: str, tmp_path: Path) -> None:
    """Ignored, sampled out, left out of a flood: None, counted by its reason, and nothing was spent on it."""
    spool = tmp_path / "spool"
    lastword.init(spool=spool)
    assert capture(KeyError())
    lastword.init(spool=spool, **options)
    expected = [reason] * 3
    if reason == "flood":
        assert capture(Unread())
        expected = expected[1:]
    Unread.read = 0
    assert [capture(Unread()) for _ in expected] == [None] * len(expected)
    assert Unread.read == 0
    assert read_accounts(spool).refused == {reason: len(expected)}


def test_messages_are_sampled_but_not_ignored(tmp_path: Path) -> None:
    """`ignore_errors` is about exceptions, `sample_rate` about every event."""
    lastword.init(spool=tmp_path / "spool", ignore_errors=["Exception", "message"])
    assert lastword.capture_message("kept")
    lastword.init(spool=tmp_path / "spool", sample_rate=0)
    assert lastword.capture_message("not kept") is None
    assert [record.content["message"] for record in recorded(tmp_path / "spool")] == ["kept"]


@promise(Section.BEFORE_DISK, "The next event reports how many a flood left out", broken_by="tag not set")
def test_next_event_counts_the_flood(clock: SimpleNamespace, tmp_path: Path) -> None:
    """A burst is kept whole, then one a second, and that one says by a tag how many came between."""
    lastword.init(spool=tmp_path / "spool", flood_burst=5)
    kept = []
    for _ in range(24):
        clock.now += 1 / 8
        kept.append(capture(KeyError()) is not None)
    assert [number for number in range(24) if kept[number]] == [0, 1, 2, 3, 4, 8, 16]
    tags = [record.content["tags"] for record in recorded(tmp_path / "spool")]
    assert tags[:5] == [{}] * 5
    assert [list(tag) for tag in tags[5:]] == [["lastword.flood"]] * 2
    assert tags[5]["lastword.flood"] == "3 like this left out since 2025-03-01T12:04:05Z"
    assert tags[6]["lastword.flood"] == "7 like this left out since 2025-03-01T12:04:06Z"
    assert any("more than 5 at once" in text for text in diagnostics.waiting())


@promise(Section.BEFORE_DISK, "A flood survives `init`", broken_by="floods not taken over")
def test_flood_survives_init(clock: SimpleNamespace, tmp_path: Path) -> None:
    """A program that calls `init` for each request is not safe from floods otherwise."""
    kept = []
    for _ in range(5):
        lastword.init(spool=tmp_path / "spool", flood_burst=2)
        kept.append(capture(KeyError()) is not None)
    assert kept == [True, True, False, False, False]


@promise(Section.BEFORE_DISK, "`before_send` sees scrubbed events", broken_by="hook before scrub")
def test_before_send_is_given_a_scrubbed_event_of_its_own(tmp_path: Path) -> None:
    """It may change what it likes: no later event shows it, and no secret is in it."""
    seen = []

    def empty_everything(event: Any) -> Any:
        seen.append(json.dumps(event))
        for value in list(event.values()):
            if isinstance(value, (dict, list)):
                value.clear()
        return event

    lastword.init(spool=tmp_path / "spool", before_send=empty_everything)
    lastword.set_tag("api_token", "hunter2")
    lastword.set_tag("queue", "mail")
    ids = [capture(KeyError()), capture(KeyError())]
    assert None not in ids
    assert len(seen) == 2
    for event in map(json.loads, seen):
        assert event["tags"] == {"api_token": "[filtered]", "queue": "mail"}
        assert event["host"]["hostname"]
        assert event["runtime"]["version"]
        assert event["process"]["pid"] == os.getpid()
        assert event["exceptions"][0]["frames"][0]["source"]
    assert [record.id for record in recorded(tmp_path / "spool")] == ids
    assert [record.content["tags"] for record in recorded(tmp_path / "spool")] == [{}, {}]


def test_change_made_by_a_hook_is_in_no_other_event(tmp_path: Path) -> None:
    """The hook's event is its own at any depth, although frames of several events share what never changes."""

    def fail() -> None:
        raise ValueError(str(tmp_path))

    def redact(event: Any) -> Any:
        for frame in event["exceptions"][0]["frames"]:
            frame["source"][:] = ["redacted"]
            frame["variables"].clear()
        return event

    for hook in (redact, lambda event: event):
        lastword.init(spool=tmp_path / "spool", before_send=hook)
        try:
            fail()
        except ValueError:
            assert lastword.capture_exception()
    changed, untouched = (record.content["exceptions"][0]["frames"][-1] for record in recorded(tmp_path / "spool"))
    assert (changed["source"], changed["variables"]) == (["redacted"], [])
    assert "raise ValueError(str(tmp_path))" in "".join(untouched["source"])


def test_unreadable_value_of_a_hook_is_named_by_its_class(tmp_path: Path) -> None:
    """The rest of the event is kept."""
    lastword.init(
        spool=tmp_path / "spool", before_send=lambda event: event["extra"].update(order=Unreadable()) or event
    )
    assert lastword.capture_message("kept")
    [record] = recorded(tmp_path / "spool")
    assert record.content["extra"]["order"].startswith("<unreadable ")


class Unreadable(collections.UserDict):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        return 1 / 0


@pytest.mark.parametrize(
    ("hook", "told"),
    [
        (lambda event: None, ""),
        (lambda event: 1 / 0, "ZeroDivisionError"),
        (lambda event: "text", "a str"),
    ],
)
def test_event_that_before_send_does_not_return_is_counted(hook: Any, told: str, tmp_path: Path) -> None:
    """None, an error or no event: refused under one reason, and a mistake is logged."""
    lastword.init(spool=tmp_path / "spool", before_send=hook)
    assert lastword.capture_message("not kept") is None
    assert (told in "".join(diagnostics.waiting())) if told else not diagnostics.waiting()
    lastword.init(spool=tmp_path / "spool")
    assert lastword.capture_message("kept")
    assert read_accounts(tmp_path / "spool").refused == {"before_send": 1}


def test_an_event_that_before_send_makes_too_large_is_refused_as_such(tmp_path: Path) -> None:
    """The limit of a record holds for what the hook returns."""
    lastword.init(spool=tmp_path / "spool", before_send=lambda event: {**event, "release": "r" * (1 << 20)})
    assert lastword.capture_message("too large") is None
    lastword.init(spool=tmp_path / "spool")
    assert lastword.capture_message("kept")
    assert read_accounts(tmp_path / "spool").refused == {"too large": 1}


def test_a_hook_that_captures_comes_to_an_end(tmp_path: Path) -> None:
    """Its own events go through it as well, once."""

    def hook(event: Any) -> Any:
        lastword.capture_message(f"about {event['message']}")
        return event

    lastword.init(spool=tmp_path / "spool", before_send=hook)
    assert lastword.capture_message("one")
    assert [record.content["message"] for record in recorded(tmp_path / "spool")] == ["about one", "one"]
    assert read_accounts(tmp_path / "spool").refused == {"before_send": 1}


@promise(
    Section.BEFORE_DISK, "Refusals are counted exactly, before and after the first record", broken_by="plain counter"
)
def test_refusals_are_counted_exactly_before_and_after_the_first_record(tmp_path: Path) -> None:
    """Six threads refuse while there is no black box yet, and go on while another begins one."""
    spool, each = tmp_path / "spool", 300
    lastword.init(spool=spool, ignore_errors=[KeyError])

    def refuse() -> None:
        for _ in range(each):
            capture(KeyError())

    threads = [threading.Thread(target=refuse) for _ in range(6)]
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        assert lastword.capture_message("the first record")
    finally:
        for thread in threads:
            thread.join()
        sys.setswitchinterval(switching)
    capture(KeyError())  # takes those along that came while somebody else was counting
    assert read_accounts(spool).refused == {"ignored": 6 * each + 1}


@promise(Section.BEFORE_DISK, "Refusals are counted exactly under signals", broken_by="counting without the lock")
def test_a_signal_in_the_middle_of_a_refusal_costs_no_count(tmp_path: Path) -> None:
    """A handler that refuses, over and over, while refusals are being counted: none is counted twice or forgotten."""
    body = """
lastword.init(spool=os.environ["TEST_SPOOL"], ignore_errors=[KeyError])
error, handled, within, refused = KeyError(), [], [], 0
def handler(*_):
    handled.append(None)
    within.append(None)
    if len(within) < 4:  # a handler may be interrupted by itself, but a slow machine has to get on
        signal.setitimer(signal.ITIMER_REAL, 0.0002)
    lastword.capture_exception(error)
    within.pop()
    signal.setitimer(signal.ITIMER_REAL, 0.0002)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0002)
while len(handled) < 1000:
    lastword.capture_exception(error)
    refused += 1
signal.setitimer(signal.ITIMER_REAL, 0)
acked(lastword.capture_message("now there is a black box"))
print(refused + len(handled))
"""
    _, total = run(body, spool=tmp_path / "spool")
    refused = read_accounts(tmp_path / "spool").refused
    assert sum(refused.values()) == int(total)
    assert set(refused) <= {"ignored", "nested"}  # a storm on a slow machine nests deep


@promise(Section.BEFORE_DISK, "A forked child does not count its parent's refusals again", broken_by="pid not compared")
def test_a_forked_child_does_not_count_what_its_parent_refused(tmp_path: Path) -> None:
    """Refusals that wait for a black box belong to the process that counted them."""
    body = """
lastword.init(spool=os.environ["TEST_SPOOL"], ignore_errors=[KeyError])
for _ in range(3): lastword.capture_exception(KeyError())
if os.fork() == 0:
    lastword.capture_exception(KeyError())
    acked(lastword.capture_message("child"))
    os._exit(0)
os.wait()
acked(lastword.capture_message("parent"))
"""
    assert len(run(body, spool=tmp_path / "spool")) == 2
    assert read_accounts(tmp_path / "spool").refused == {"ignored": 4}
