"""The hooks for uncaught exceptions: each reports once, and whoever was there before is still called."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Optional

import pytest

from lastword import diagnostics
from lastword.hooks import excepthooks


@pytest.fixture(autouse=True)
def previous(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The arguments that the hooks of the program, there before ours, were called with."""
    calls: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(threading, "excepthook", lambda arguments: calls.append(arguments))
    yield calls
    excepthooks.uninstall()
    diagnostics.forget()


class Reports:
    """A report that remembers what it was given."""

    def __init__(self) -> None:
        self.seen: list[tuple[BaseException, Optional[TracebackType], str]] = []

    def __call__(self, error: BaseException, traceback: Optional[TracebackType], mechanism: str) -> None:
        self.seen.append((error, traceback, mechanism))


def die(error: BaseException) -> None:
    """What the interpreter does when nobody catches ``error``."""
    try:
        raise error
    except BaseException:
        sys.excepthook(*sys.exc_info())


def die_in_thread(error: BaseException) -> None:
    def run() -> None:
        raise error

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(timeout=30)


def test_an_uncaught_exception_is_reported_and_the_previous_hook_called(previous: list[Any]) -> None:
    """With its traceback, and with the name of the hook."""
    reports, error = Reports(), ValueError("x")
    excepthooks.install(reports)
    die(error)
    assert reports.seen == [(error, error.__traceback__, "sys.excepthook")]
    assert [arguments[:2] for arguments in previous] == [(ValueError, error)]


def test_an_exception_that_ends_a_thread_is_reported(previous: list[Any]) -> None:
    """By threading's own hook."""
    reports, error = Reports(), ValueError("x")
    excepthooks.install(reports)
    die_in_thread(error)
    assert [(seen[0], seen[2]) for seen in reports.seen] == [(error, "threading.excepthook")]
    assert [arguments.exc_value for arguments in previous] == [error]


def test_leaving_a_thread_by_system_exit_is_no_error(previous: list[Any]) -> None:
    """Python ignores it, the previous hook decides for itself."""
    reports = Reports()
    excepthooks.install(reports)
    die_in_thread(SystemExit(3))
    assert reports.seen == []
    assert len(previous) == 1


def test_uncaught_keyboard_interrupt_is_reported() -> None:
    """It ended the program."""
    reports = Reports()
    excepthooks.install(reports)
    die(KeyboardInterrupt())
    assert [type(error) for error, _, _ in reports.seen] == [KeyboardInterrupt]


def test_installing_again_replaces_the_report_and_adds_no_hook(previous: list[Any]) -> None:
    """However often ``init`` is called, an exception is reported once, to the latest."""
    first, latest = Reports(), Reports()
    excepthooks.install(first)
    hooks = sys.excepthook, threading.excepthook
    for _ in range(5):
        excepthooks.install(latest)
    assert (sys.excepthook, threading.excepthook) == hooks
    die(ValueError())
    die_in_thread(ValueError())
    assert (len(first.seen), len(latest.seen), len(previous)) == (0, 2, 2)


@pytest.mark.parametrize("own_error", [RuntimeError("ours"), KeyboardInterrupt(), SystemExit(1), RecursionError()])
def test_an_error_of_the_report_does_not_reach_the_program(own_error: BaseException, previous: list[Any]) -> None:
    """The previous hook is called all the same, and once."""

    def broken(*_: object) -> None:
        raise own_error

    excepthooks.install(broken)
    die(ValueError())
    die_in_thread(ValueError())
    assert len(previous) == 2
    assert any("was not reported" in note for note in diagnostics.waiting())


def test_uninstalling_restores_the_previous_hooks(previous: list[Any]) -> None:
    """As if lastword had never been; twice is no error."""
    before = sys.excepthook, threading.excepthook
    excepthooks.install(Reports())
    excepthooks.uninstall()
    excepthooks.uninstall()
    assert (sys.excepthook, threading.excepthook) == before


def hook_on_top() -> list[object]:
    """Another tool that hooks in after us and chains, as it should."""
    below = sys.excepthook
    calls: list[object] = []

    def later(*arguments: Any) -> None:
        calls.append(arguments[1])
        below(*arguments)

    sys.excepthook = later
    return calls


def test_uninstalling_under_a_later_hook_leaves_the_chain_whole(previous: list[Any]) -> None:
    """The later hook stays, ours passes on in silence, and the first one is still called."""
    reports = Reports()
    excepthooks.install(reports)
    later_calls = hook_on_top()
    later = sys.excepthook
    excepthooks.uninstall()
    assert sys.excepthook is later
    die(ValueError())
    assert (len(reports.seen), len(later_calls), len(previous)) == (0, 1, 1)


def test_installing_under_a_later_hook_reports_once(previous: list[Any]) -> None:
    """Ours goes on top again, and the one below no longer reports; every other hook is called once."""
    first, second = Reports(), Reports()
    excepthooks.install(first)
    later_calls = hook_on_top()
    excepthooks.install(second)
    die(ValueError())
    assert (len(first.seen), len(second.seen), len(later_calls), len(previous)) == (0, 1, 1, 1)


def test_installing_after_the_hook_was_removed_hooks_in_again(previous: list[Any]) -> None:
    """Tools that set ``sys.excepthook = sys.__excepthook__`` are not the end of reporting."""
    reports = Reports()
    excepthooks.install(Reports())
    sys.excepthook = lambda *arguments: previous.append(arguments)
    excepthooks.install(reports)
    die(ValueError())
    assert (len(reports.seen), len(previous)) == (1, 1)


def test_error_of_the_previous_hook_reaches_the_program(previous: list[Any]) -> None:
    """As it would without lastword."""

    def failing(*_: object) -> None:
        previous.append(1)
        raise OSError("the program's own")

    sys.excepthook = failing
    excepthooks.install(Reports())
    with pytest.raises(OSError, match="the program's own"):
        die(ValueError())
    assert previous == [1]
