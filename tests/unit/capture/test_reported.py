"""One exception is known again as long as it travels on, and nothing else is."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import sys
import weakref
from contextlib import suppress
from typing import Any

import pytest

from lastword.capture import reported
from lastword.capture.reported import event_of, mark
from tests.support import needs
from tests.support.errors import OwnError, SlottedError, raised
from tests.support.promise import Section, promise


class StrictError(Exception):
    """Wants no attribute that it does not know."""

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(name)


class LyingError(Exception):
    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("application code that raises")


ERRORS = [
    ValueError("x"),
    OSError(2, "x"),
    KeyboardInterrupt(),
    OwnError("x"),
    StrictError("x"),
    SlottedError("x"),
    LyingError("x"),
]


@pytest.fixture(autouse=True)
def _no_marks() -> None:
    reported._marks.clear()


@promise(
    Section.FAILURES,
    "A mark belongs to one exception, keeps nothing alive and breaks no pickle",
    broken_by="references not forgotten; `__dict__` of every class; pid or time not compared",
)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_marked_exception_is_known(error: BaseException) -> None:
    """With its event, and the latest mark counts."""
    raised(error)
    assert event_of(error, "logging") is None
    mark(error, "logging", "1")
    assert event_of(error, "catch") == ("logging", "1")
    mark(error, "capture_exception", "2")
    assert event_of(error, "catch") == ("capture_exception", "2")


@promise(Section.FAILURES, "A mark belongs to one exception, keeps nothing alive and breaks no pickle")
@pytest.mark.parametrize("kind", [ValueError, OwnError, SlottedError])
def test_another_exception_at_its_address_is_not_taken_for_it(kind: type[Exception]) -> None:
    """Python gives the address of what is gone to the next one: a loop that fails would be heard once."""
    for _ in range(1000):
        error = kind("x")
        with suppress(kind):
            raise error
        assert event_of(error, "catch") is None
        mark(error, "logging", "id")
        del error


@promise(
    Section.FAILURES,
    "The mark of a reported exception keeps nothing of the program alive and changes none of its objects",
    broken_by="the mark in its `__dict__`; a `__dict__` with attributes held",
)
@needs.capability(sys.implementation.name == "cpython", "reference counts, by which what nobody holds goes at once")
@pytest.mark.parametrize("kind", [ValueError, OwnError, SlottedError])
def test_mark_keeps_nothing_alive_and_changes_no_object(kind: type[Exception]) -> None:
    """Neither the exception nor its frames' objects are kept; the table does not grow."""

    class Held:
        pass

    def fail(held: Any) -> None:
        raise kind("x")

    gc.disable()
    try:
        for has_attribute in (True, False):
            held = Held()
            gone = weakref.ref(held)
            try:
                fail(held)
            except kind as error:
                if has_attribute and kind is not SlottedError:
                    error.held = held  # type: ignore[attr-defined]
                names = list(reported.dict_of(error))
                mark(error, "logging", "id")
                assert list(reported.dict_of(error)) == names
            del held
            assert gone() is None
        for _ in range(3 * reported.MAX_HELD):
            mark(kind("x"), "logging", "id")
        assert len(reported._marks) <= 2
    finally:
        gc.enable()


@promise(Section.FAILURES, "A mark belongs to one exception, keeps nothing alive and breaks no pickle")
def test_number_of_marks_is_bounded() -> None:
    """The oldest are forgotten: at worst they are reported once more."""
    errors = [raised(ValueError(number)) for number in range(2 * reported.MAX_HELD)]
    for error in errors:
        mark(error, "logging", "id")
    assert event_of(errors[0], "catch") is None
    assert event_of(errors[-1], "catch") is not None
    assert len(reported._marks) <= reported.MAX_HELD + 1


@promise(Section.FAILURES, "A mark belongs to one exception, keeps nothing alive and breaks no pickle")
@pytest.mark.parametrize("error", [ValueError("x"), OwnError("x"), StrictError("x"), SlottedError("x")], ids=repr)
def test_a_marked_exception_can_be_sent_to_another_process(error: Exception) -> None:
    """As before it was marked: there is nothing of ours in it."""
    mark(error, "logging", "id")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(other), other.args) == (type(error), error.args)
    assert b"lastword" not in pickle.dumps(error).replace(b"tests.unit", b"")


@promise(Section.FAILURES, "A mark belongs to one exception, keeps nothing alive and breaks no pickle")
def test_a_mark_of_another_process_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child reports for itself."""
    for error in (raised(ValueError()), raised(OwnError())):
        mark(error, "logging", "id")
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: 1)
            assert event_of(error, "catch") is None
        assert event_of(error, "catch") is not None
