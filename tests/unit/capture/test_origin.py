"""Where an event comes from, which is what floods are told apart by."""

from __future__ import annotations

import sys
from types import CodeType
from typing import Any

from lastword.capture.origin import origin_of_exception, origin_of_message
from lastword.event import Origin
from tests.support.promise import Section, promise

HERE = __file__


def line_of_this_call() -> int:
    return sys._getframe(1).f_lineno


def raised(work: Any) -> BaseException:
    try:
        work()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def fail() -> None:
    raise KeyError("x")


def pass_on() -> None:
    fail()


def test_an_exception_comes_from_the_line_that_raised_it() -> None:
    """Whatever called it and wherever it is caught."""
    [line] = {origin_of_exception(raised(work), None).line for work in (fail, pass_on, lambda: pass_on())}
    assert origin_of_exception(raised(pass_on), None) == Origin("KeyError", HERE, line)
    assert line == fail.__code__.co_firstlineno + 1


def test_class_is_part_of_the_origin() -> None:
    """With its module, so that two classes of one name differ."""

    class KeyError(Exception):
        pass

    def fail() -> None:
        raise KeyError

    assert origin_of_exception(raised(fail), None).kind.endswith("<locals>.KeyError")


def test_an_exception_that_was_never_raised_comes_from_the_line_that_captures_it() -> None:
    """There is nothing else to know it by."""
    assert origin_of_exception(OSError(), None) == Origin("OSError", HERE, line_of_this_call())


def test_given_traceback_decides_the_origin() -> None:
    """Hooks are given one that the exception may have lost."""
    error = raised(fail)
    traceback, error.__traceback__ = error.__traceback__, None
    assert origin_of_exception(error, traceback).line == fail.__code__.co_firstlineno + 1


def test_a_message_comes_from_the_line_that_captures_it() -> None:
    """One helper that captures messages for many is one origin."""
    assert origin_of_message() == Origin("message", HERE, line_of_this_call())


def test_code_without_a_line_and_with_a_strange_name() -> None:
    """A code object may hold any text as its file, even one that cannot be encoded, or is too long to be remembered."""
    code: CodeType = compile("1 / 0", "\udc80" + "x" * 5000, "exec")
    origin = origin_of_exception(raised(lambda: exec(code)), None)
    assert origin.file.encode()
    assert len(origin.file) <= 1024


@promise(Section.BEFORE_DISK, "A capture runs no property of the exception", broken_by="`error.__traceback__`")
def test_no_property_of_the_exception_is_read() -> None:
    """Application code may run in a capture nowhere but where it must."""

    class Odd(Exception):
        pass

    def fail() -> None:
        raise Odd

    def refuse(error: Odd) -> None:
        raise RuntimeError("application code")

    error = raised(fail)
    Odd.__traceback__ = property(refuse)  # type: ignore[assignment]
    assert origin_of_exception(error, None).line == fail.__code__.co_firstlineno + 1
