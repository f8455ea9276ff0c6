"""One exception is known again as long as it lives, and nothing else is."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import time
import weakref
from functools import partial
from typing import Any

import pytest

from lastword.capture import reported
from lastword.capture.reported import event_of, mark


class OwnError(Exception):
    """Of the application."""


class StrictError(Exception):
    """Wants no attribute that it does not know."""

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(name)


class SlottedError(Exception):
    __slots__ = ()


class LyingError(Exception):
    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("application code that raises")


ERRORS = [ValueError("x"), OSError(2, "x"), KeyboardInterrupt(), OwnError("x"), StrictError("x"), LyingError("x")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_marked_exception_is_known(error: BaseException) -> None:
    """With its event, and the latest mark counts."""
    assert event_of(error) is None
    mark(error, "logging", None)
    assert event_of(error) == ("logging", None)
    mark(error, "capture_exception", "id")
    assert event_of(error) == ("capture_exception", "id")


@pytest.mark.parametrize("kind", [ValueError, OwnError])
def test_another_exception_at_its_address_is_not_taken_for_it(kind: type[Exception]) -> None:
    """Python gives the address of what is gone to the next one: a loop that fails would be heard once."""
    for _ in range(1000):
        error = kind("x")
        assert event_of(error) is None
        mark(error, "logging", "id")
        del error


@pytest.mark.parametrize("kind", [ValueError, OwnError])
def test_nothing_is_kept_alive(kind: type[Exception]) -> None:
    """Neither the exception nor what its frames hold; nor does the table grow."""

    class Held:
        pass

    error = kind("x")
    error.held = held = Held()  # type: ignore[attr-defined]
    gone = weakref.ref(held)
    before = len(reported._marks)
    mark(error, "logging", "id")
    del error, held
    gc.collect()
    assert gone() is None
    assert len(reported._marks) <= before


@pytest.mark.parametrize("error", [ValueError("x"), OwnError("x"), StrictError("x")], ids=repr)
def test_a_marked_exception_can_be_sent_to_another_process(error: Exception) -> None:
    """As before it was marked: a class that is strict about its attributes gets none of ours to restore."""
    mark(error, "logging", "id")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(other), other.args) == (type(error), error.args)
    assert "lastword" not in pickle.dumps(error).decode("latin-1").replace("__lastword__", "")


def test_a_mark_of_another_process_or_of_long_ago_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child reports for itself, and an exception that is raised again and again is reported again."""
    for error in (ValueError(), OwnError()):
        mark(error, "logging", "id")
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: 1)
            assert event_of(error) is None
        now = time.monotonic()
        with monkeypatch.context() as patch:
            patch.setattr(time, "monotonic", partial(float, now + reported.MEMORY + 1))
            assert event_of(error) is None
        assert event_of(error) is not None
