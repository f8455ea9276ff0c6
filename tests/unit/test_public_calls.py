"""The public calls: what they return, and what they do with what they should not be given."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import lastword
from lastword import sdk
from lastword.audit.accounts import read_accounts
from lastword.client import Client
from tests.support.errors import capture
from tests.support.programs import recorded
from tests.support.promise import Section, promise

pytestmark = pytest.mark.usefixtures("as_in_a_new_process")


def test_before_init_nothing_happens(tmp_path: Path) -> None:
    """Captures before `init` do nothing, return nothing and raise nothing."""
    assert lastword.capture_exception(ValueError()) is None
    assert lastword.capture_message("hello") is None
    assert lastword.flush(0.0) is False
    assert list(tmp_path.rglob("v1")) == []


def test_context_set_before_init_holds(tmp_path: Path) -> None:
    """A module that is imported early may set the user."""
    with lastword.new_scope():
        lastword.set_user({"id": "42"})
        lastword.add_breadcrumb("starting")
        lastword.init(spool=tmp_path / "spool")
        lastword.capture_message("hello")
    [record] = recorded(tmp_path / "spool")
    assert record.content["user"] == {"id": "42"}
    assert [crumb["message"] for crumb in record.content["breadcrumbs"]] == ["starting"]


def test_captured_event_is_on_disk_under_the_returned_id(tmp_path: Path) -> None:
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
    found = recorded(spool)
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
        [record] = recorded(tmp_path / str(wanted))
        [frame] = record.content["exceptions"][0]["frames"]
        assert [name for name, _, _ in frame["variables"]] == (["tmp_path", "wanted"] if wanted else [])


def test_capture_exception_without_an_exception_returns_none(tmp_path: Path) -> None:
    """`capture_exception` without an exception is None."""
    lastword.init(spool=tmp_path / "spool")
    assert lastword.capture_exception() is None
    assert lastword.capture_exception((None, None, None)) is lastword.capture_exception(sys.exc_info()) is None


def test_an_unknown_level_is_info(tmp_path: Path) -> None:
    """A level that no tracker knows does not cost the message."""
    lastword.init(spool=tmp_path / "spool")
    level: Any = "catastrophe"
    assert lastword.capture_message("hello", level=level)
    assert recorded(tmp_path / "spool")[0].content["level"] == "info"


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
    """The error says that the DSN cannot be used, and which forms can."""
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
    found = [(record.content["release"], record.content["environment"]) for record in recorded(tmp_path / "spool")]
    assert found == [("7", "production"), ("8", "production")]


def test_init_again_keeps_the_writer_unless_the_destination_changes(tmp_path: Path) -> None:
    """A writer has one destination, so that no outage of one tracker holds up another's events."""
    spool = tmp_path / "spool"
    for _ in range(2):
        lastword.init("booboo+http://t@127.0.0.1:9/o/p", spool=spool, flusher="hold")
        lastword.capture_message("first")
    lastword.init("booboo+http://other@127.0.0.1:9/o/p", spool=spool, flusher="hold")
    lastword.capture_message("second")
    assert len({record.to for record in recorded(spool)}) == 2
    assert sorted(writer.recorded for writer in read_accounts(spool).writers) == [1, 2]
    assert all(writer.alive for writer in read_accounts(spool).writers)


def test_program_without_a_place_for_a_spool_is_warned_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """At a call that it makes on purpose; captures go on."""
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
    """Refusals for want of a spool are in the accounts as soon as there is one."""
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
    assert [record.content["message"] for record in recorded(tmp_path / "spool")] == ["kept"]


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


@promise(
    Section.BEFORE_DISK,
    "A second `init` takes the new hooks and keeps the writer",
    broken_by="old reporter kept; writers not shared",
)
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
    assert [record.content["release"] for record in recorded(spool)] == ["a", "2b", ""]
    [writer] = read_accounts(spool).writers
    assert writer.recorded == 3


@promise(
    Section.BEFORE_DISK,
    "A second `init` does not disturb captures of other threads",
    broken_by="client published before take-over",
)
def test_init_again_does_not_disturb_captures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A capture by another thread during `init` goes to the one writer."""
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
    assert [record.content["message"] for record in recorded(spool)] == ["first", "before", "after", "last"]
    [writer] = read_accounts(spool).writers
    assert writer.recorded == 4


def test_an_object_that_lies_about_its_class_is_not_captured(tmp_path: Path) -> None:
    """`capture_exception` asks the interpreter what it was given, not the object."""

    class Odd:
        @property  # type: ignore[misc]
        def __class__(self) -> Any:
            raise RuntimeError

    lastword.init(spool=tmp_path / "spool")
    not_an_exception: Any = Odd()
    assert lastword.capture_exception(not_an_exception) is None
