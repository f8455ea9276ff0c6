"""Write docs/promises.md from the ``promise`` markers of the tests: ``python -m tests.support.promises_page``.

The markers are read from the source: no test is imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.promise import Section

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "promises.md"

HEAD = """\
# Promises

What lastword promises, the tests that prove it, and the deliberate breaks of the code that were seen to make them
fail. Long runs of the same promises are in `scripts/chaos`.

This page is made from the `promise` markers of the tests: change those, then run
`python -m tests.support.promises_page`.
"""


class Mark(NamedTuple):
    """One marker: what it says, and the test, class or file that has it."""

    section: Section
    sentence: str
    broken_by: str
    file: str
    name: str


def marks(root: Path = ROOT) -> Iterator[Mark]:
    """Yield the markers of all tests, sorted by file and line."""
    for path in sorted(root.glob("tests/**/test_*.py")):
        yield from _marks_of(ast.parse(path.read_text("utf-8")), path.relative_to(root).as_posix(), "")


def _marks_of(holder: ast.Module | ast.ClassDef, file: str, name: str) -> Iterator[Mark]:
    for node in holder.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["pytestmark"]:
            listed = node.value.elts if isinstance(node.value, ast.List) else [node.value]
            yield from _read(listed, file, name)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from _read(node.decorator_list, file, f"{name}::{node.name}")
            if isinstance(node, ast.ClassDef):
                yield from _marks_of(node, file, f"{name}::{node.name}")


def _read(expressions: Iterable[ast.expr], file: str, name: str) -> Iterator[Mark]:
    def mark(section: Section, sentence: str, *, broken_by: str = "") -> Mark:
        if not name.rpartition("::")[2].startswith(("test", "Test")) and name:
            raise ValueError(f"{file}{name} has a promise and is no test")
        return Mark(section, sentence, broken_by, file, name)

    for each in expressions:
        if isinstance(each, ast.Call) and ast.unparse(each.func) == "promise":
            yield eval(compile(ast.Expression(each), file, "eval"), {"promise": mark, "Section": Section})


def page(root: Path = ROOT) -> str:
    """Return the text of the page; a ValueError names a promise without a break."""
    sections: dict[Section, dict[str, list[Mark]]] = {section: {} for section in Section}
    for mark in marks(root):
        sections[mark.section].setdefault(mark.sentence, []).append(mark)
    return HEAD + "".join(_table(section.value, rows) for section, rows in sections.items() if rows)


def _table(title: str, rows: dict[str, list[Mark]]) -> str:
    lines = [f"\n## {title}\n", "| promise | test | break |", "|---|---|---|"]
    for sentence, proofs in rows.items():
        breaks = "; ".join(mark.broken_by for mark in proofs if mark.broken_by)
        if not breaks:
            raise ValueError(f"no test says by which break of the code it fails: {sentence}")
        cells = (sentence, ", ".join(_tests(proofs)), breaks)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _tests(proofs: list[Mark]) -> Iterator[str]:
    """Yield what names each proof: its file is named once."""
    file = ""
    for mark in proofs:
        yield mark.name if mark.name and mark.file == file else mark.file + mark.name
        file = mark.file


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
