"""Exception groups (PEP 654): a tree with parents, bounded."""

from __future__ import annotations

import sys
from typing import Any, Optional

import pytest

from lastword.assembly import exception_event
from lastword.capture import CaptureSettings, exception
from lastword.capture.exception import MAX_DEPTH, MAX_EXCEPTIONS, MAX_MEMBERS
from lastword.event import Event
from lastword.event_json import to_json
from tests.support import needs
from tests.support.promise import Section, promise

pytestmark = promise(Section.EVENTS, "No cost grows faster than the stack, chain or group")

needs_groups = needs.capability(sys.version_info >= (3, 11), "Python 3.11")


def group(text: str, members: list[Any]) -> Any:
    return sys.modules["builtins"].BaseExceptionGroup(text, members)


def raised(error: BaseException, cause: Optional[BaseException] = None) -> Any:
    try:
        raise error from cause
    except BaseException as caught:
        return caught


def capture(error: BaseException, settings: CaptureSettings) -> Event:
    event = exception_event(error, handled=True, mechanism="test", settings=settings)
    to_json(event)
    return event


def tree(event: Event) -> list[tuple[str, Optional[str], Optional[int]]]:
    return [(info["value"].partition(" (")[0], info["kind"], info["parent"]) for info in event["exceptions"]]


@needs_groups
def test_group_has_its_members_with_their_causes(settings: CaptureSettings) -> None:
    """Each names its parent, which comes before it, and has its own stack."""
    first = raised(ValueError("first"), KeyError("cause of first"))
    inner = raised(group("inner", [raised(TypeError("second"))]))
    event = capture(
        raised(group("outer", [first, inner, KeyboardInterrupt("third")]), OSError("cause of all")), settings
    )
    assert tree(event) == [
        ("outer", None, None),
        ("cause of all", "cause", 0),
        ("first", "member", 0),
        ("inner", "member", 0),
        ("third", "member", 0),
        ("'cause of first'", "cause", 2),
        ("second", "member", 3),
    ]
    assert event["exceptions"][0]["type"] == "BaseExceptionGroup"
    assert [len(info["frames"]) for info in event["exceptions"]] == [1, 0, 1, 1, 0, 0, 1]


@needs_groups
def test_large_group_keeps_some_members_and_counts_the_others(settings: CaptureSettings) -> None:
    """Twenty members of each group; a note says how many more there were."""
    event = capture(group("large", [ValueError(str(number)) for number in range(10_000)]), settings)
    assert len(event["exceptions"]) == 1 + MAX_MEMBERS
    assert event["exceptions"][0]["notes"] == [f"({10_000 - MAX_MEMBERS} more members of this group left out)"]


@needs_groups
def test_large_tree_keeps_the_nearest_members_and_counts_the_others(settings: CaptureSettings) -> None:
    """No branch eats up the room of its neighbours."""
    branches = [
        group(f"branch {number}", [ValueError(f"{number}.{leaf}") for leaf in range(10)]) for number in range(20)
    ]
    event = capture(group("root", branches), settings)
    assert len(event["exceptions"]) == MAX_EXCEPTIONS
    assert [name for name, _, parent in tree(event) if parent == 0] == [f"branch {number}" for number in range(20)]
    told = [note for info in event["exceptions"] for note in info["notes"]]
    assert sum(int(note.split()[0].strip("(")) for note in told) == 200 - (MAX_EXCEPTIONS - 21)
    assert all("exceptions behind this one left out" in note for note in told)


@needs_groups
def test_groups_in_groups_end_at_a_depth(settings: CaptureSettings) -> None:
    """As chains do."""
    error: Any = ValueError("innermost")
    for number in range(1000):
        error = group(str(number), [error])
    event = capture(error, settings)
    assert [parent for _, _, parent in tree(event)] == [None, *range(MAX_DEPTH - 1)]
    assert event["exceptions"][-1]["notes"] == ["(more exceptions of this chain left out)"]


@needs_groups
def test_a_group_that_holds_itself_ends(settings: CaptureSettings) -> None:
    """By a cause; and a member that is there twice is shown once."""
    member = ValueError("member")
    outer = group("outer", [member, member])
    member.__cause__ = outer
    assert tree(capture(outer, settings)) == [("outer", None, None), ("member", "member", 0)]


@needs_groups
def test_no_code_of_a_group_class_runs(settings: CaptureSettings) -> None:
    """Members are read where Python keeps them."""

    class Liar(sys.modules["builtins"].ExceptionGroup):  # type: ignore[misc]
        @property
        def exceptions(self) -> Any:
            raise AssertionError("asked")

    assert tree(capture(Liar("liar", [ValueError("member")]), settings))[1:] == [("member", "member", 0)]


def test_a_group_of_the_backport_is_known_by_its_class(
    settings: CaptureSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Pythons without groups; the package is not imported for it."""

    class BaseExceptionGroup(BaseException):
        __module__ = "exceptiongroup._exceptions"

        def __init__(self, text: str, members: list[Any]) -> None:
            super().__init__(text)
            self._exceptions = tuple(members)

    class OwnGroup(BaseExceptionGroup):
        __module__ = "shop"

    monkeypatch.setattr(exception, "_GROUP", None)
    event = capture(OwnGroup("own", [ValueError("1"), 5, TypeError("2")]), settings)
    assert tree(event) == [("own", None, None), ("1", "member", 0), ("2", "member", 0)]
    assert tree(capture(BaseExceptionGroup.__new__(OwnGroup), settings)) == [("", None, None)]


@needs_groups
@pytest.mark.parametrize("shape", ["chain", "group", "groups in groups"])
def test_ten_times_as_many_exceptions_cost_no_more(
    shape: str, settings: CaptureSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in exceptions that are looked at."""
    looked_at: list[BaseException] = []

    def counted(error: BaseException) -> Any:
        looked_at.append(error)
        return next_in_chain(error)

    next_in_chain = exception.next_in_chain
    monkeypatch.setattr("lastword.capture.exception.next_in_chain", counted)
    counts = []
    for count in (100, 1000):
        error: Any = ValueError()
        if shape == "group":
            error = group("", [ValueError() for _ in range(count)])
        else:
            for _ in range(count):
                error = group("", [error]) if shape == "groups in groups" else raised(ValueError(), error)
        looked_at.clear()
        capture(error, settings)
        counts.append(len(looked_at))
    assert counts[0] == counts[1] <= MAX_EXCEPTIONS
