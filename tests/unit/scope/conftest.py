"""What tests of the scope share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lastword import diagnostics


@pytest.fixture(autouse=True)
def _nothing_waits_to_be_told() -> Iterator[None]:
    diagnostics.forget()
    yield
    diagnostics.forget()
