"""docs/promises.md is what the markers of the tests say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import promises_page
from tests.support.promise import Section

#: Each kind of test that can have the marker: a function, a class, a method, and a file of its own.
TESTS = """
@promise(Section.RACES, "two tests", broken_by="a; b")
@pytest.mark.slow
def test_first(): ...

@promise(Section.RACES, "two tests", broken_by="c | d")
def test_second(): ...

@promise(Section.CHILDREN, "a class", broken_by="e")
class TestAll:
    @promise(Section.RACES, "a method", broken_by="f")
    async def test_method(self): ...
"""
FILE = 'pytestmark = [slow, promise(Section.RACES, "two tests"), promise(Section.RACES, "a file", broken_by="g")]'


def _suite(root: Path, *sources: str) -> Path:
    for number, source in enumerate(sources):
        (root / "tests" / "unit").mkdir(parents=True, exist_ok=True)
        (root / "tests" / "unit" / f"test_{number}.py").write_text(source, "utf-8")
    return root


def test_page_is_up_to_date() -> None:
    told = "docs/promises.md is not what the markers say; run: python -m tests.support.promises_page"
    assert promises_page.PAGE.read_text("utf-8") == promises_page.page(), told


def test_rows_are_grouped_by_section_and_sentence(tmp_path: Path) -> None:
    text = promises_page.page(_suite(tmp_path, TESTS, FILE))
    assert (
        text
        == f"""{promises_page.HEAD}
## {Section.CHILDREN.value}

| promise | test | break |
|---|---|---|
| a class | tests/unit/test_0.py::TestAll | e |

## {Section.RACES.value}

| promise | test | break |
|---|---|---|
| two tests | tests/unit/test_0.py::test_first, ::test_second, tests/unit/test_1.py | a; b; c \\| d |
| a method | tests/unit/test_0.py::TestAll::test_method | f |
| a file | tests/unit/test_1.py | g |
"""
    )


def test_promise_without_a_break_is_an_error(tmp_path: Path) -> None:
    suite = _suite(tmp_path, '@promise(Section.RACES, "never seen to fail")\ndef test_x(): ...')
    with pytest.raises(ValueError, match="never seen to fail"):
        promises_page.page(suite)


def test_marker_on_a_helper_is_an_error(tmp_path: Path) -> None:
    suite = _suite(tmp_path, '@promise(Section.RACES, "x", broken_by="y")\ndef helper(): ...')
    with pytest.raises(ValueError, match=r"test_0\.py::helper"):
        promises_page.page(suite)
