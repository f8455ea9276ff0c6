"""Being told of an import costs the program nothing, and changes nothing about the module."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from lastword import diagnostics
from lastword.integrations import patching
from lastword.integrations.patching import when_imported
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.BOOBOO, "Noticing an import changes nothing about the module", broken_by="its loader not restored"
)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module that can be imported and was not yet."""
    name = f"imported_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    sys.modules.pop(name, None)
    patching._waiting.pop(name, None)


def test_imported_module_is_passed_at_once() -> None:
    """As the module object."""
    told: list[ModuleType] = []
    when_imported("json", told.append)
    assert told == [sys.modules["json"]]


def test_later_import_is_passed_once(module: str) -> None:
    """Complete, with its own loader; nothing of lastword stays in it."""
    told: list[int] = []
    before = list(sys.meta_path)
    when_imported(module, lambda found: told.append(found.value))
    assert told == []
    imported = importlib.import_module(module)
    assert told == [1]
    assert type(imported.__loader__).__name__ == type(imported.__spec__.loader).__name__ == "SourceFileLoader"  # type: ignore[union-attr]
    assert sys.meta_path == before
    importlib.reload(imported)
    assert told == [1]


def test_failing_import_fails_as_ever(module: str, tmp_path: Path) -> None:
    """The next import is passed on."""
    (tmp_path / f"{module}.py").write_text("raise ValueError('broken')\n")
    told: list[ModuleType] = []
    when_imported(module, told.append)
    with pytest.raises(ValueError, match="broken"):
        importlib.import_module(module)
    (tmp_path / f"{module}.py").write_text("value = 22222\n")
    importlib.invalidate_caches()
    importlib.import_module(module)
    assert len(told) == 1


def test_failing_callback_costs_the_import_nothing(module: str) -> None:
    """A framework of another version is imported as without us, and a note says so."""
    diagnostics.forget()
    when_imported(module, lambda found: found.nothing)
    assert importlib.import_module(module).value == 1
    assert any(module in note for note in diagnostics.waiting())
    diagnostics.forget()
