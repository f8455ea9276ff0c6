"""What the logger ``booboo`` says, and when."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from lastword.compat.booboo._warnings import Warnings
from tests.support.promise import Section, promise


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler = Kept()
    logging.getLogger("booboo").addHandler(handler)
    yield handler
    logging.getLogger("booboo").removeHandler(handler)


def test_each_cause_once_a_minute(kept: Kept) -> None:
    """The newest text of a cause, once; another cause beside it."""
    warnings = Warnings(every_time=False)
    for text in ("first", "second"):
        warnings.note("transport", text)
    warnings.note("enqueue", "other")
    warnings.tell()
    warnings.note("transport", "third")
    warnings.tell()
    assert kept.texts == ["booboo: second", "booboo: other"]


def test_debugging_says_everything(kept: Kept) -> None:
    """However often."""
    warnings = Warnings(every_time=True)
    for _ in range(3):
        warnings.note("transport", "again")
        warnings.tell()
    assert kept.texts == ["booboo: again"] * 3


@promise(Section.BOOBOO, "Warnings never come from a logging handler", broken_by="not checked")
def test_never_from_a_logging_handler(kept: Kept) -> None:
    """The warning would call a handler that captures; it waits for another call."""
    warnings = Warnings(every_time=False)

    class Capturing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            warnings.note("transport", "from a handler")
            warnings.tell()

    logger = logging.getLogger("lastword.tests.capturing")
    logger.addHandler(Capturing())
    logger.propagate = False
    logger.error("something")
    assert kept.texts == []
    warnings.tell()
    assert kept.texts == ["booboo: from a handler"]


def test_a_handler_that_raises_is_not_our_caller_s_trouble(kept: Kept) -> None:
    """Captures never raise."""

    def refuse(record: logging.LogRecord) -> None:
        raise ValueError

    kept.emit = refuse  # type: ignore[method-assign]
    warnings = Warnings(every_time=False)
    warnings.note("transport", "text")
    warnings.tell()
