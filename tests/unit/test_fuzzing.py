"""What ``scripts/fuzz`` relies on: an input that does what none may is found, made small, kept, and tried again."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.fuzz import corpus, harness
from tests.fuzz.harness import Failure, Target, examine, hunt
from tests.fuzz.mutations import mutated
from tests.fuzz.world import World
from tests.support import needs
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.HOSTILE_INPUT,
    "The fuzzer finds inputs that raise, hang, grow or touch, also in threads, minimises and keeps them, "
    "and repeats them by seed",
    broken_by="each limit left out; known findings reported again; another seed; bytes kept as text",
)

CASES = st.lists(st.integers(0, 9), min_size=1, max_size=9)


def target(check: Callable[[Any], None], touched: Callable[[], str] = lambda: "") -> Target:
    return Target("tried", CASES, check, touched)


def raises(case: Any) -> None:
    {}[case[0]]


def turns(case: Any) -> None:
    while True:
        pass


def waits(case: Any) -> None:
    time.sleep(600)


def raises_in_a_thread(case: Any) -> None:
    thread = threading.Thread(target=raises, args=(case,))
    thread.start()
    thread.join()


def exits(case: Any) -> None:
    raise SystemExit(0)


def grows(case: Any) -> None:
    bytearray(b"x") * (100 << 20)


@pytest.mark.parametrize(
    ("check", "kind"),
    [
        (raises, "KeyError in"),
        (exits, "SystemExit in"),
        (turns, "it hangs"),
        (waits, "it hangs"),
        (raises_in_a_thread, "KeyError in"),
        pytest.param(grows, "memory", marks=needs.capability(harness._resident("VmHWM") > 0, "/proc/self/status")),
    ],
)
def test_each_forbidden_effect_is_found(
    check: Callable[[Any], None], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each under its own kind."""
    monkeypatch.setattr(harness, "MOST_WORK", 0.1 if check is turns else 60.0)
    monkeypatch.setattr(harness, "MOST_WAIT", 0.3 if check is waits else 60.0)
    with pytest.raises(Failure) as told:
        examine(target(check), [1])
    assert told.value.kind.startswith(kind)


@pytest.mark.parametrize("how", ["changed", "removed", "added"])
def test_change_beside_the_spool_is_found(tmp_path: Path, how: str) -> None:
    """The spool may become anything, but nothing beside it."""
    world = World(tmp_path)
    world.layout()
    kept = world.canary / "kept.txt"

    def check(case: Any) -> None:
        world.clear()
        if how == "changed":
            kept.write_text("x")
        elif how == "removed":
            kept.unlink()
        else:
            (world.canary / "new").mkdir()

    assert world.touched() == ""
    with pytest.raises(Failure, match="touched"):
        examine(target(check, world.touched), [1])


def test_finding_is_minimised_and_kept(tmp_path: Path) -> None:
    """It can be read back; a known finding is not found again."""

    def check(case: list[int]) -> None:
        if 7 in case:
            raise Failure("seven")

    tried, found = hunt(target(check), 1, most=300, until=math.inf, known=set())
    assert found is not None
    assert (found.case, found.failure.kind, tried > 1) == ([7], "seven", True)
    assert hunt(target(check), 1, most=300, until=math.inf, known={"seven"})[1] is None
    case = {"a": [b"\0\xff", "\udc80é", 1.5, None]}
    path = corpus.store("tried", case, found.failure.kind, tmp_path)
    assert list(corpus.cases("tried", tmp_path)) == [(path.name, case)]


def test_a_seed_gives_the_same_inputs() -> None:
    """So that a finding can be repeated."""
    seen: list[list[Any]] = []
    for number in (5, 5, 6):
        seen.append([])
        hunt(Target("tried", mutated([b'{"a":1}']), seen[-1].append), number, most=30, until=math.inf, known=set())
    assert seen[0] == seen[1] != seen[2]
