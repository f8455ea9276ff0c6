"""The promise: what goes over the wire changes only when somebody means it to."""

from __future__ import annotations

import pytest

from lastword.wire.formats import FORMATS
from tests.wire.golden_requests import GOLDEN, golden_events, golden_file, golden_text

CASES = [(wire, name) for wire in FORMATS for name in golden_events()]


@pytest.mark.parametrize(("wire", "name"), CASES)
def test_a_request_is_the_golden_one_to_the_last_byte(wire: str, name: str) -> None:
    """URL, headers, body, and the order of keys are those of the file in golden/."""
    assert golden_text(wire, golden_events()[name]) == golden_file(wire, name).read_text()


def test_every_golden_file_is_compared_with_something() -> None:
    """A file that no event gives any more is deleted, not left to mislead."""
    assert {path.name for path in GOLDEN.iterdir()} == {golden_file(wire, name).name for wire, name in CASES}
