"""The event of an exception: its chain, its texts, and how it was captured."""

from __future__ import annotations

import json
import logging
import re
import sys
from types import TracebackType
from typing import Any, Optional

import pytest

from lastword.assembly import exception_event, message_event
from lastword.capture import CaptureSettings
from lastword.capture.budget import EVENT_ROOM, LEFT_BY_VARIABLES, Room
from lastword.capture.exception import MAX_DEPTH, MAX_NOTE, MAX_NOTES, MAX_VALUE
from lastword.capture.frames import StackReader
from lastword.capture.safe_text import clean_ends
from lastword.config import Config
from lastword.event import Event, ExceptionInfo, Needs
from lastword.event_json import to_json
from lastword.hooks import log_records
from lastword.scrub import Rules, is_sensitive
from tests.support import needs
from tests.support.promise import Section, promise


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def capture(error: BaseException, settings: CaptureSettings, traceback: Optional[TracebackType] = None) -> Event:
    event = exception_event(error, traceback=traceback, handled=True, mechanism="test", settings=settings)
    to_json(event)
    return event


def only(error: BaseException, settings: CaptureSettings) -> ExceptionInfo:
    (info,) = capture(error, settings)["exceptions"]
    return info


def kinds(event: Event) -> list[tuple[str, Optional[str], Optional[int]]]:
    return [(info["type"], info["kind"], info["parent"]) for info in event["exceptions"]]


def test_an_exception_is_described_by_class_module_and_text(settings: CaptureSettings) -> None:
    """The class name is bare; its module is a field of its own."""
    info = only(raised(json.JSONDecodeError("bad", "doc", 0)), settings)
    assert (info["type"], info["module"]) == ("JSONDecodeError", "json.decoder")
    assert info["value"] == "bad: line 1 column 1 (char 0)"
    assert (info["kind"], info["parent"], info["notes"]) == (None, None, [])


@pytest.mark.parametrize(("handled", "level"), [(True, "error"), (False, "fatal")])
def test_an_unhandled_exception_is_fatal(handled: bool, level: str, settings: CaptureSettings) -> None:
    """Level, handled and mechanism say how it was captured; environment and release are those of the settings."""
    event = exception_event(raised(ValueError()), handled=handled, mechanism="sys.excepthook", settings=settings)
    assert (event["level"], event["handled"], event["mechanism"]) == (level, handled, "sys.excepthook")
    assert (event["environment"], event["release"], event["message"]) == ("production", "1.2.3", None)
    assert re.fullmatch("[0-9a-f]{32}", event["id"])


def test_a_cause_goes_before_a_context(settings: CaptureSettings) -> None:
    """``raise … from …`` names the cause; without it the exception that was being handled is the context."""
    try:
        try:
            try:
                raise KeyError("first")
            except KeyError:
                raise ValueError("second")  # noqa: B904
        except ValueError as second:
            raise TypeError("third") from second
    except TypeError as third:
        event = capture(third, settings)
    assert kinds(event) == [("TypeError", None, None), ("ValueError", "cause", 0), ("KeyError", "context", 1)]
    assert all(info["frames"] for info in event["exceptions"])


def test_a_suppressed_context_is_left_out(settings: CaptureSettings) -> None:
    """``raise … from None`` says that the context does not matter."""
    try:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second") from None
    except ValueError as second:
        assert kinds(capture(second, settings)) == [("ValueError", None, None)]


def test_chain_with_a_cycle_ends(settings: CaptureSettings) -> None:
    """Each exception is shown once."""
    first, second = raised(ValueError("a")), raised(TypeError("b"))
    first.__cause__, second.__cause__ = second, first
    assert kinds(capture(first, settings)) == [("ValueError", None, None), ("TypeError", "cause", 0)]


def test_long_chain_keeps_the_last_raised_and_notes_the_cut(settings: CaptureSettings) -> None:
    """Ten exceptions, and a note that there were more."""
    error = raised(ValueError("0"))
    for number in range(1, 5000):
        later = raised(ValueError(str(number)))
        later.__cause__ = error
        error = later
    infos = capture(error, settings)["exceptions"]
    assert [info["value"] for info in infos] == [str(4999 - index) for index in range(MAX_DEPTH)]
    assert infos[-1]["notes"] == ["(more exceptions of this chain left out)"]


def test_an_over_long_text_is_cut_and_says_by_how_much(settings: CaptureSettings) -> None:
    """The limit includes the words about the cut; a text at the limit is whole."""
    assert only(ValueError("x" * MAX_VALUE), settings)["value"] == "x" * MAX_VALUE
    value = only(ValueError("x" * 50_000_000), settings)["value"]
    assert len(value) <= MAX_VALUE
    cut = re.fullmatch(r"(x+)… \((\d+) characters left out\) …(x+)", value)
    assert cut is not None
    assert len(cut[1]) + int(cut[2]) + len(cut[3]) == 50_000_000


@promise(
    Section.EVENTS,
    "A long text shows both ends, without the end of a secret that was cut in two",
    broken_by="only the beginning kept; the end not scrubbed before it is cut",
)
def test_long_text_keeps_both_ends(settings: CaptureSettings) -> None:
    """The last line of a value, note, message or logged text often names the failure of another process."""
    long = "Traceback:\n" + "  File 'x'\n" * 5000 + "ValueError: row 17 is broken"

    class RemoteError(Exception):
        def __str__(self) -> str:
            return long

    error = RemoteError()
    error.__notes__ = [long]  # type: ignore[attr-defined]
    info = only(error, settings)
    message = message_event(long, level="info", settings=settings)["message"]
    record = logging.LogRecord("shop", 40, "", 1, "%s", (long,), None)
    for text in (info["value"], *info["notes"], message, log_records.text_of(record, str)):
        assert text is not None
        assert text.startswith("Traceback:")
        assert text.endswith("row 17 is broken")
        assert len(text) <= MAX_VALUE


@promise(Section.EVENTS, "A long text shows both ends, without the end of a secret that was cut in two")
@pytest.mark.parametrize("before", [*range(1, 60, 7), 3000])
def test_end_of_a_secret_that_was_cut_in_two_is_not_shown(before: int) -> None:
    """The end is scrubbed together with the text before it; alone it could not be recognised."""
    rules = Rules(Config())
    secrets = [
        "password=" + "s3cr" * 1000,
        "-----BEGIN RSA PRIVATE KEY-----\n" + "s3cr" * 1000 + "\n-----END RSA PRIVATE KEY-----",
    ]
    for secret in secrets:
        text = "x" * 20_000 + " " + secret + "\n" + "y" * before
        shown = rules.scrub_text(clean_ends(text, 8192, rules.scrub_text))
        assert "s3cr" not in shown
        assert shown.endswith("y" * before)


HOLDS_ITSELF: list[object] = []
HOLDS_ITSELF += [HOLDS_ITSELF] * 10


@promise(
    Section.BEFORE_DISK,
    "Only the shown part of a large exception argument is made into text",
    broken_by="its size not checked; the class's own `__str__` ignored",
)
@needs.capability(sys.implementation.name == "cpython", "tracemalloc")
@pytest.mark.parametrize(
    ("arguments", "beginning"),
    [
        ((bytes(20_000_000),), "b'\\x00\\x00"),
        (([0] * 2_000_000,), "[0, 0, "),
        (({"rows": [[0] * 2_000_000]},), "{'rows': [[0, 0, "),
        (("rows", ["x" * 20_000_000]), "('rows', ['xxx"),
        ((dict.fromkeys(range(1_000_000)),), "{0: None, 1: None, "),
        ((10**6000,), "<int of 19932 bits>"),
        ((HOLDS_ITSELF,), "[["),
    ],
    ids=["bytes", "list", "nested", "two", "dict", "int", "holds itself"],
)
@pytest.mark.parametrize("kind", [ValueError, KeyError])
def test_large_argument_is_shown_by_its_beginning(
    kind: type[BaseException], arguments: tuple[object, ...], beginning: str, settings: CaptureSettings
) -> None:
    """As Python shows it, without making the whole text. A message likewise."""
    import tracemalloc

    error = kind(*arguments)
    tracemalloc.start()
    try:
        value = only(error, settings)["value"]
        assert len(arguments) > 1 or message_event(arguments[0], level=None, settings=settings)["message"] == value  # type: ignore[arg-type]
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
    assert value.startswith(beginning)
    assert len(value) <= MAX_VALUE


@promise(Section.BEFORE_DISK, "Only the shown part of a large exception argument is made into text")
def test_own_str_of_a_class_with_a_large_argument_is_used(settings: CaptureSettings) -> None:
    """It may show something else, and briefly."""

    class TooMany(ValueError):
        def __str__(self) -> str:
            return f"{len(self.args[0])} rows"

    assert only(TooMany([0] * 200_000), settings)["value"] == "200000 rows"


def test_a_text_with_lone_surrogates_can_be_encoded(settings: CaptureSettings) -> None:
    """A tracker that stores UTF-8 could not store them."""
    info = only(ValueError("caf\udce9 ünï"), settings)
    assert info["value"] == "caf\\udce9 ünï"
    info["value"].encode("utf-8")


def test_never_raised_exception_has_the_stack_of_the_capture(settings: CaptureSettings) -> None:
    """There is no other trace of it; one that comes from a hook has no stack."""
    here = "test_never_raised_exception_has_the_stack_of_the_capture"
    assert here in [frame["function"] for frame in only(ValueError("made, not raised"), settings)["frames"]]
    event = exception_event(ValueError(), handled=False, mechanism="test", settings=settings)
    assert event["exceptions"][0]["frames"] == []


def test_a_given_traceback_replaces_the_exceptions_own(settings: CaptureSettings) -> None:
    """Hooks are given both, and the exception's own may have been cleared."""
    error = raised(ValueError())
    traceback = error.__traceback__
    error.__traceback__ = None
    (frame,) = capture(error, settings, traceback)["exceptions"][0]["frames"]
    assert frame["function"] == "raised"


def test_notes_are_kept_in_number_and_length(settings: CaptureSettings) -> None:
    """PEP 678 sets no limits; an event does."""
    error: Any = ValueError()
    error.__notes__ = ["first", "x" * 5000, *map(str, range(100))]
    notes = only(error, settings)["notes"]
    assert len(notes) == MAX_NOTES
    assert notes[0] == "first"
    assert len(notes[1]) <= MAX_NOTE


@pytest.mark.parametrize(
    ("notes", "shown"),
    [
        (None, ["None"]),
        (5, ["5"]),
        ("text", ["'text'"]),
        ([1, None, "a", b"b"], ["1", "None", "a", "b'b'"]),
        (("a",), ["a"]),
        ({"k": "v"}, ["{'k': 'v'}"]),
    ],
)
def test_notes_of_odd_types_are_shown(notes: object, shown: list[str], settings: CaptureSettings) -> None:
    """``__notes__`` is a list of texts only by convention."""
    error: Any = ValueError()
    error.__notes__ = notes
    assert only(error, settings)["notes"] == shown


def test_frames_without_variables_note_no_loss() -> None:
    """Nothing is said to be left out of them, however little room there is."""
    settings = CaptureSettings(needs=Needs(), is_sensitive=is_sensitive, local_variables=False)
    room = Room()
    room.take(EVENT_ROOM - LEFT_BY_VARIABLES // 2)
    reader = StackReader(settings, room)
    frames = reader.of_traceback(raised(ValueError()).__traceback__)
    assert (len(frames), reader.stripped) == (1, 0)


def test_an_event_fits_into_a_record_whatever_is_in_it(settings: CaptureSettings) -> None:
    """A record has 1 MiB. Ten deep stacks full of long variables and texts lose the far ones, and the event says so."""

    # Each call from a line of its own: recursion would be folded.
    fill = 'a = b = c = d = e = f = g = h = "\U0001f600" * 1000'
    deep = [f"def fail{depth}():\n    {fill}\n    fail{depth - 1}()\n" for depth in range(1, 121)]
    scope: dict[str, Any] = {}
    exec(f"def fail0():\n    {fill}\n    raise ValueError(a * 8)\n" + "".join(deep), scope)

    def failure(previous: Optional[BaseException]) -> BaseException:
        try:
            scope["fail120"]()
        except ValueError as caught:
            caught.__cause__ = previous
            return caught
        raise AssertionError

    error: Optional[BaseException] = None
    for _ in range(MAX_DEPTH):
        error = failure(error)
    assert error is not None
    event = capture(error, settings)
    first, last = event["exceptions"][0], event["exceptions"][-1]
    assert len(to_json(event)) < 1_000_000
    assert len(event["exceptions"]) == MAX_DEPTH
    assert first["frames"][-1]["variables"], "the frame of the raise is the last to lose its variables"
    assert len(first["frames"]) == 100 + 1, "no variables are worth a call"
    assert any("the event is full" in note for note in first["notes"])
    assert all(info["value"] for info in event["exceptions"])
    assert "frames left out" in last["frames"][0]["function"]
