"""The public calls: what they return, and what they do with what they should not be given."""

from __future__ import annotations

import collections
import json
import logging
import os
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import lastword
from lastword import client, diagnostics, sdk
from lastword.audit.accounts import read_accounts
from lastword.client import Client
from lastword.spool.layout import Layout
from lastword.spool.reader import list_segments, read_lines
from lastword.spool.record import Record, parse
from tests.support.programs import run

pytestmark = pytest.mark.usefixtures("as_in_a_new_process")


def records(spool: Path) -> list[Record]:
    """Everything in the spool."""
    layout = Layout(str(spool))
    found = []
    for writer_id in sorted(os.listdir(layout.writers)):
        for number in list_segments(layout.writer(writer_id)).numbered:
            path = os.path.join(layout.writer(writer_id), f"{number:06d}.seg")
            found += [line.found for line in read_lines(path, 0, finished=True, parse=parse)]
    return [record for record in found if isinstance(record, Record)]


def test_before_init_nothing_happens(tmp_path: Path) -> None:
    """Captures before `init` do nothing, return nothing and raise nothing."""
    assert lastword.capture_exception(ValueError()) is None
    assert lastword.capture_message("hello") is None
    assert lastword.flush(0.0) is False
    assert list(tmp_path.rglob("v1")) == []


def test_what_was_said_before_init_holds(tmp_path: Path) -> None:
    """A module that is imported early may set the user."""
    with lastword.new_scope():
        lastword.set_user({"id": "42"})
        lastword.add_breadcrumb("starting")
        lastword.init(spool=tmp_path / "spool")
        lastword.capture_message("hello")
    [record] = records(tmp_path / "spool")
    assert record.content["user"] == {"id": "42"}
    assert [crumb["message"] for crumb in record.content["breadcrumbs"]] == ["starting"]


def test_what_is_captured_is_on_disk_under_the_returned_id(tmp_path: Path) -> None:
    """Exception and message, with the user and tags of the moment."""
    spool = tmp_path / "spool"
    lastword.init(spool=spool, environment="staging", release="1.2")
    lastword.set_user({"id": "42"})
    lastword.set_tag("queue", "mail")
    try:
        os.environ["MISSING"]
    except KeyError as error:
        ids = [lastword.capture_exception(), lastword.capture_exception(error)]
    ids.append(lastword.capture_message("hello", level="warning"))
    found = records(spool)
    assert [record.id for record in found] == ids
    assert [record.content["level"] for record in found] == ["error", "error", "warning"]
    for record in found:
        event = record.content
        assert (event["environment"], event["release"]) == ("staging", "1.2")
        assert (event["user"], event["tags"]) == ({"id": "42"}, {"queue": "mail"})
    assert found[0].content["exceptions"][0]["type"] == "KeyError"


def test_local_variables_can_be_left_out(tmp_path: Path) -> None:
    """They are in each frame, unless the program wants none."""
    for wanted in (True, False):
        lastword.init(spool=tmp_path / str(wanted), local_variables=wanted)
        try:
            raise ValueError("boom")
        except ValueError:
            lastword.capture_exception()
        [record] = records(tmp_path / str(wanted))
        [frame] = record.content["exceptions"][0]["frames"]
        assert [name for name, _, _ in frame["variables"]] == (["tmp_path", "wanted"] if wanted else [])


def test_nothing_to_capture(tmp_path: Path) -> None:
    """`capture_exception` without an exception is None."""
    lastword.init(spool=tmp_path / "spool")
    assert lastword.capture_exception() is None
    assert lastword.capture_exception((None, None, None)) is lastword.capture_exception(sys.exc_info()) is None


def test_an_unknown_level_is_info(tmp_path: Path) -> None:
    """A level that no tracker knows does not cost the message."""
    lastword.init(spool=tmp_path / "spool")
    level: Any = "catastrophe"
    assert lastword.capture_message("hello", level=level)
    assert records(tmp_path / "spool")[0].content["level"] == "info"


@pytest.mark.parametrize(
    "options",
    [{"dns": "x"}, {"flusher": "always"}, {"timeout": -1}, {"timeout": "soon"}, {"environment": 7}, {"debug": "maybe"}],
)
def test_bad_options_are_named(options: dict[str, Any], tmp_path: Path) -> None:
    """An option or a value that cannot be used is an error that names it; what was set up before stays."""
    lastword.init(spool=tmp_path / "spool")
    [(name, value)] = options.items()
    with pytest.raises(lastword.ConfigError, match=str(value) if name != "dns" else name):
        lastword.init(**options)
    assert lastword.capture_message("still there")


@pytest.mark.parametrize("dsn", ["nonsense", "ftp+https://h/1", "booboo+https://h/o/p", "sentry+https://k@h/1"])
def test_a_bad_dsn_names_the_three_forms(dsn: str) -> None:
    """That a DSN cannot be used is said, and so is what would be one."""
    with pytest.raises(lastword.ConfigError, match=r"the DSN .* cannot be used") as caught:
        lastword.init(dsn)
    for part in ("backtrace+https://", "booboo+https://", "sentry+https://"):
        assert part in str(caught.value)


def test_the_environment_is_the_second_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LASTWORD_<OPTION> holds where the argument is not given; an empty one counts as none."""
    monkeypatch.setenv("LASTWORD_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("LASTWORD_RELEASE", "7")
    monkeypatch.setenv("LASTWORD_ENVIRONMENT", "")
    lastword.init(release=None)
    lastword.capture_message("hello")
    lastword.init(release="8")
    lastword.capture_message("hello")
    found = [(record.content["release"], record.content["environment"]) for record in records(tmp_path / "spool")]
    assert found == [("7", "production"), ("8", "production")]


def test_init_again_keeps_the_writer_unless_the_destination_changes(tmp_path: Path) -> None:
    """A writer has one destination, so that no outage of one tracker holds up another's events."""
    spool = tmp_path / "spool"
    for _ in range(2):
        lastword.init("booboo+http://t@127.0.0.1:9/o/p", spool=spool, flusher="hold")
        lastword.capture_message("first")
    lastword.init("booboo+http://other@127.0.0.1:9/o/p", spool=spool, flusher="hold")
    lastword.capture_message("second")
    assert len({record.to for record in records(spool)}) == 2
    assert sorted(writer.recorded for writer in read_accounts(spool).writers) == [1, 2]
    assert all(writer.alive for writer in read_accounts(spool).writers)


def test_no_place_for_a_spool(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing can be written, the program goes on, and is told once, when it makes a call it meant to make."""
    (tmp_path / "file").touch()
    lastword.init(spool=tmp_path / "file")
    with caplog.at_level(logging.WARNING, "lastword"):
        assert lastword.capture_message("one") is None
        assert lastword.capture_message("two") is None
        assert caplog.records == []
        lastword.set_tag("a", "b")
        lastword.set_tag("a", "b")
    [record] = caplog.records
    assert str(tmp_path / "file") in record.getMessage()


def test_early_refusals_are_counted_once_there_is_a_spool(tmp_path: Path) -> None:
    """What was refused for want of a spool is in the accounts as soon as there is one."""
    place = tmp_path / "spool"
    place.touch()
    lastword.init(spool=place)
    assert lastword.capture_message("one") is None
    place.unlink()
    assert lastword.capture_message("two")
    assert read_accounts(place).refused == {"no spool": 1}


def test_a_spool_that_is_removed_is_made_again(tmp_path: Path) -> None:
    """`rm -rf` of the spool costs what was in it; the next capture is safe again."""
    lastword.init(spool=tmp_path / "spool")
    assert lastword.capture_message("gone")
    (tmp_path / "spool").rename(tmp_path / "elsewhere")
    assert sdk._client is not None
    writer = sdk._client.recorder.writer
    assert writer is not None
    (tmp_path / "elsewhere/v1/writers" / writer.id / "000001.seg").unlink()
    assert lastword.capture_message("kept")
    assert [record.content["message"] for record in records(tmp_path / "spool")] == ["kept"]


def test_hold_sends_nothing(tmp_path: Path) -> None:
    """`flusher="hold"` keeps events that have a destination, and flush says at once that they are not settled."""
    lastword.init("booboo+http://t@127.0.0.1:9/o/p", spool=tmp_path / "spool", flusher="hold")
    lastword.capture_message("held")
    assert lastword.flush(60) is False
    accounts = read_accounts(tmp_path / "spool")
    assert (accounts.held, accounts.held_without_dsn, accounts.flusher) == (1, 0, None)


def test_flush_without_events(tmp_path: Path) -> None:
    """A process that captured nothing has nothing unsettled."""
    lastword.init(spool=tmp_path / "spool")
    assert lastword.flush(0.0) is True


class Unread(Exception):
    """Notices when an event is made of it."""

    read = 0

    def __str__(self) -> str:
        Unread.read += 1
        return "read"


def capture(error: Exception) -> str | None:
    """Raise and capture; always at the same line."""
    try:
        raise error
    except Exception:
        return lastword.capture_exception()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time by which floods are told, to be set."""
    clock = SimpleNamespace(now=1_740_830_645.0)
    monkeypatch.setattr(client, "time", SimpleNamespace(time=lambda: clock.now, monotonic=time.monotonic))
    return clock


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"ignore_errors": [Unread]}, "ignored"), ({"sample_rate": 0.0}, "sampled"), ({"flood_burst": 1}, "flood")],
)
def test_what_is_not_admitted_is_not_read(options: dict[str, Any], reason: str, tmp_path: Path) -> None:
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
    assert [record.content["message"] for record in records(tmp_path / "spool")] == ["kept"]


def test_the_next_event_tells_of_a_flood(clock: SimpleNamespace, tmp_path: Path) -> None:
    """A burst is kept whole, then one a second, and that one says by a tag how many came between."""
    lastword.init(spool=tmp_path / "spool", flood_burst=5)
    kept = []
    for _ in range(24):
        clock.now += 1 / 8
        kept.append(capture(KeyError()) is not None)
    assert [number for number in range(24) if kept[number]] == [0, 1, 2, 3, 4, 8, 16]
    tags = [record.content["tags"] for record in records(tmp_path / "spool")]
    assert tags[:5] == [{}] * 5
    assert [list(tag) for tag in tags[5:]] == [["lastword.flood"]] * 2
    assert tags[5]["lastword.flood"] == "3 like this left out since 2025-03-01T12:04:05Z"
    assert tags[6]["lastword.flood"] == "7 like this left out since 2025-03-01T12:04:06Z"
    assert any("more than 5 at once" in text for text in diagnostics.waiting())


def test_a_flood_goes_on_over_an_init(clock: SimpleNamespace, tmp_path: Path) -> None:
    """A program that calls `init` for each request is not safe from floods otherwise."""
    kept = []
    for _ in range(5):
        lastword.init(spool=tmp_path / "spool", flood_burst=2)
        kept.append(capture(KeyError()) is not None)
    assert kept == [True, True, False, False, False]


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
    assert [record.id for record in records(tmp_path / "spool")] == ids
    assert [record.content["tags"] for record in records(tmp_path / "spool")] == [{}, {}]


def test_what_a_hook_changes_in_place_is_recorded_and_seen_in_no_other_event(tmp_path: Path) -> None:
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
    changed, untouched = (record.content["exceptions"][0]["frames"][-1] for record in records(tmp_path / "spool"))
    assert (changed["source"], changed["variables"]) == (["redacted"], [])
    assert "raise ValueError(str(tmp_path))" in "".join(untouched["source"])


def test_a_value_of_a_hooks_that_cannot_be_read_is_told_by_its_class(tmp_path: Path) -> None:
    """It costs itself alone."""
    lastword.init(
        spool=tmp_path / "spool", before_send=lambda event: event["extra"].update(order=Unreadable()) or event
    )
    assert lastword.capture_message("kept")
    [record] = records(tmp_path / "spool")
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
def test_what_before_send_does_not_return_is_counted(hook: Any, told: str, tmp_path: Path) -> None:
    """None, an error, or what is no event: refused under one reason, and a mistake is told."""
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
    """What it captures goes through it as well, and there it ends."""

    def hook(event: Any) -> Any:
        lastword.capture_message(f"about {event['message']}")
        return event

    lastword.init(spool=tmp_path / "spool", before_send=hook)
    assert lastword.capture_message("one")
    assert [record.content["message"] for record in records(tmp_path / "spool")] == ["about one", "one"]
    assert read_accounts(tmp_path / "spool").refused == {"before_send": 1}


def test_init_again_goes_on_with_the_writer_and_the_new_hooks(tmp_path: Path) -> None:
    """Another option than the destination or the spool takes effect at once, and costs no new writer."""
    spool = tmp_path / "spool"

    def mark(word: str) -> Any:
        return lambda event: {**event, "release": event["release"] + word}

    for options in ({"before_send": mark("a")}, {"before_send": mark("b"), "release": "2"}, {}):
        lastword.init(spool=spool, **{"release": "", **options})
        lastword.capture_message("hello")
    lastword.init(spool=spool, ignore_errors=[KeyError])
    assert capture(KeyError()) is None
    assert [record.content["release"] for record in records(spool)] == ["a", "2b", ""]
    [writer] = read_accounts(spool).writers
    assert writer.recorded == 3


def test_init_again_does_not_disturb_captures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever another thread captures in the middle of an `init` goes where the last one went: to the one writer."""
    spool, take_over = tmp_path / "spool", Client.take_over

    def interrupted(client: Any, previous: Any) -> None:
        assert lastword.capture_message("before")
        take_over(client, previous)
        assert lastword.capture_message("after")

    monkeypatch.setattr(Client, "take_over", interrupted)
    lastword.init(spool=spool)
    assert lastword.capture_message("first")
    lastword.init(spool=spool, release="2")
    assert lastword.capture_message("last")
    assert [record.content["message"] for record in records(spool)] == ["first", "before", "after", "last"]
    [writer] = read_accounts(spool).writers
    assert writer.recorded == 4


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


def test_a_forked_child_does_not_count_what_its_parent_refused(tmp_path: Path) -> None:
    """What waits for a black box belongs to the process that refused it."""
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


def test_an_object_that_lies_about_its_class_is_not_captured(tmp_path: Path) -> None:
    """`capture_exception` asks the interpreter what it was given, not the object."""

    class Odd:
        @property  # type: ignore[misc]
        def __class__(self) -> Any:
            raise RuntimeError

    lastword.init(spool=tmp_path / "spool")
    not_an_exception: Any = Odd()
    assert lastword.capture_exception(not_an_exception) is None
