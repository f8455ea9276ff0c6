"""Hooks in a chain: ours can be put there and taken away whatever others do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lastword import diagnostics
from lastword.hooks.slot import Hook, HookSlot, Link
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.FAILURES,
    "Removing our hook keeps a hook that was set on top of it, and leaves classes as they were",
    broken_by="restored all the same; inherited values set back",
)


def place(calls: list[str]) -> SimpleNamespace:
    return SimpleNamespace(hook=lambda text: calls.append(f"program {text}"))


def test_listener_is_called_before_the_previous_hook() -> None:
    """Each once, however often the hook is installed."""
    calls: list[str] = []
    owner = place(calls)
    slot = HookSlot(owner, "hook")
    slot.install(lambda text: calls.append("told too early"))
    ours = owner.hook
    slot.install(lambda text: calls.append(f"told {text}"))
    assert owner.hook is ours, "each init would make the chain longer"
    owner.hook("x")
    assert calls == ["told x", "program x"]


def test_a_listener_that_fails_costs_the_program_nothing() -> None:
    """It is noted, and the previous hook is called."""
    calls: list[str] = []
    owner = place(calls)
    HookSlot(owner, "hook").install(lambda text: 1 / 0)
    owner.hook("x")
    assert calls == ["program x"]
    assert any("ZeroDivisionError" in note for note in diagnostics.waiting())
    diagnostics.forget()


def test_uninstalling_under_a_later_hook_leaves_a_silent_hook() -> None:
    """A hook on top of ours cannot be removed by us, and calls ours."""
    calls: list[str] = []
    owner = place(calls)
    slot = HookSlot(owner, "hook")
    slot.install(lambda text: calls.append(f"told {text}"))
    ours: Hook = owner.hook

    def later(text: str) -> None:
        ours(f"later {text}")

    owner.hook = later
    slot.uninstall()
    assert owner.hook is later
    owner.hook("x")
    assert calls == ["program later x"]
    slot.install(lambda text: calls.append(f"told again {text}"))
    owner.hook("y")
    assert calls[1:] == ["told again y", "program later y"]


class Base:
    def hook(self) -> str:
        return "inherited"


class Owner(Base):
    pass


def passing_on(link: Link) -> Hook:
    return lambda instance: f"ours, {link.previous(instance)}"


@pytest.mark.parametrize("own", [False, True])
def test_a_class_is_left_as_it_was(own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether its method is its own or inherited."""
    if own:
        monkeypatch.setattr(Owner, "hook", lambda self: "own", raising=False)
    before = dict(vars(Owner))
    slot = HookSlot(Owner, "hook", passing_on)
    slot.install(lambda: None)
    assert Owner().hook() == f"ours, {'own' if own else 'inherited'}"
    slot.uninstall()
    assert dict(vars(Owner)) == before
    slot.uninstall()


def test_removed_hook_is_installed_again() -> None:
    """Somebody has set the place back to what it was."""
    calls: list[Any] = []
    owner = place([])
    program, slot = owner.hook, HookSlot(owner, "hook")
    slot.install(calls.append)
    owner.hook = program
    slot.install(calls.append)
    owner.hook("x")
    assert calls == ["x"]
