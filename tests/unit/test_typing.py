"""Type checkers are shown every public name."""

from __future__ import annotations

from pathlib import Path

import pytest

import lastword


@pytest.mark.parametrize("name", lastword.__all__)
def test_every_public_name_is_checked(name: str) -> None:
    """So that a new one is not forgotten in the program that mypy and pyright see."""
    program = Path(__file__).with_name("typed_program.py").read_text()
    assert f"lastword.{name}" in program or f" {name}" in program


def test_package_has_py_typed() -> None:
    """Without it type checkers ignore the types of an installed package."""
    assert Path(lastword.__file__).with_name("py.typed").exists()
