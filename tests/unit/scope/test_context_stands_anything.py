"""Nothing that a program says of its work can raise, take long or spoil an event."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lastword import diagnostics
from lastword.assembly import message_event
from lastword.capture import CaptureSettings
from lastword.capture.budget import EVENT_ROOM
from lastword.event import Event
from lastword.scope import breadcrumbs
from lastword.scope.attachments import attach
from lastword.scope.breadcrumbs import add_breadcrumb
from lastword.scope.context import (
    add_attachment,
    attachments,
    current,
    set_context,
    set_extra,
    set_fingerprint,
    set_level,
    set_tag,
    set_tags,
    set_transaction,
    set_user,
)
from lastword.spool.record import MAX_RECORD, encode_event
from tests.support import events
from tests.support.promise import Section, promise
from tests.support.scopes import in_new_context

CALLS: list[Callable[[Any], None]] = [
    set_user,
    set_tags,
    set_fingerprint,
    set_transaction,
    set_level,
    lambda value: set_tag(value, value),
    lambda value: set_extra(value, value),
    lambda value: set_context(value, value),
    lambda value: add_attachment(value, name=value, content_type=value),
    lambda value: add_attachment(data=value, name=value, content_type=value),
    lambda value: add_breadcrumb(value, category=value, level=value, data=value, type=value),
]


class Odd:
    """Raises, whatever is done with it."""

    def __getattribute__(self, name: str) -> Any:
        raise LookupError(name)

    def __str__(self) -> str:
        raise LookupError

    def __eq__(self, other: object) -> bool:
        raise LookupError

    def __bool__(self) -> bool:
        raise LookupError

    __hash__ = None  # type: ignore[assignment]


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.builds(Odd)
    | st.builds(object)
    | st.just("\ud800"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
)


@given(calls=st.lists(st.tuples(st.sampled_from(CALLS), ODD), max_size=6))
@hypothesis_settings(deadline=None, max_examples=30)
def test_any_argument_gives_a_json_event_and_raises_nothing(calls: Any) -> None:
    """The event is small, and the same once it has been on disk."""

    def run() -> Any:
        for call, value in calls:
            call(value)
        event = events.message_event()
        attach(event, attachments(), MAX_RECORD)
        return current()._asdict(), [*breadcrumbs.current()], event["attachments"]

    said = json.loads(json.dumps(in_new_context(run), allow_nan=False))
    assert json.dumps(said).isascii()
    diagnostics.forget()


@pytest.mark.parametrize("call", CALLS)
def test_endless_values_are_cut(call: Callable[[Any], None]) -> None:
    """After a limited time, at a limited size."""
    endless: list[Any] = []
    endless.append(endless)
    for value in (endless, "\U0001f4a5" * 1_000_000, {"x": [["y" * 50] * 5000] * 5000}):

        def run(value: Any = value) -> Any:
            call(value)
            return current(), [*breadcrumbs.current()]

        assert len(json.dumps(in_new_context(run))) < 40_000


@promise(
    Section.CONTEXT,
    "An event with context of the largest size fits into a record",
    broken_by="breadcrumbs without a total bound",
)
def test_event_with_the_largest_context_fits_into_a_record(settings: CaptureSettings) -> None:
    """Beside stacks and variables that take all of their room."""
    text = "\U0001f4a5" * 2000

    def run() -> Event:
        set_user({f"{number}{text}": text for number in range(60)})
        set_tags({f"{number}{text}": text for number in range(60)})
        for number in range(60):
            set_extra(f"{number}{text}", [text] * 60)
            set_context(f"{number}{text}", {text: text})
        for _ in range(100):
            add_breadcrumb(text, category=text, type=text, data={text: text})
        set_fingerprint([text] * 60)
        set_transaction(text)
        return message_event(text, level=None, settings=settings)

    event = in_new_context(run)
    assert len(encode_event(event["id"], None, event)) <= MAX_RECORD - EVENT_ROOM


@promise(
    Section.CONTEXT,
    "With a full stack the calls that set context raise nothing",
    broken_by="the note of a failure not guarded",
)
def test_a_full_stack_raises_nothing_from_inside() -> None:
    """Where there is room for a call but not for what it does."""

    def at_depth(call: Callable[[], None], spare: int) -> None:
        try:
            sys.setrecursionlimit(depth() + spare)
            call()
        except RecursionError as error:
            traceback = error.__traceback__
            frames = 0
            while traceback is not None:
                frames, traceback = frames + 1, traceback.tb_next
            if frames > 3:  # raised by the call itself, or by what guards it
                raise AssertionError(f"with room for {spare} calls") from error
        finally:
            sys.setrecursionlimit(limit)

    limit = sys.getrecursionlimit()
    for spare in range(5, 40):
        in_new_context(lambda spare=spare: at_depth(lambda: set_context("a", {"b": [1]}), spare))  # type: ignore[misc]
        in_new_context(lambda spare=spare: at_depth(lambda: add_breadcrumb("a", data={"b": [1]}), spare))  # type: ignore[misc]


def depth() -> int:
    """How many calls deep this is."""
    frame: Any = sys._getframe(1)
    count = 0
    while frame is not None:
        count, frame = count + 1, frame.f_back
    return count
