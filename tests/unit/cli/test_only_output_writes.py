"""Nothing in the command line writes to a standard stream but ``cli.output``, which shows what cannot be printed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from lastword import cli
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.COMMANDS, "One module alone writes to the standard streams", broken_by="a print in a command"
)

HERE = Path(cli.__file__).parent
STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}


def ways_past(source: str) -> list[str]:
    """What in ``source`` could write to a standard stream itself."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in STREAMS and ast.unparse(node.value) == "sys":
            found.append(ast.unparse(node))
        if isinstance(node, ast.ImportFrom) and node.module == "sys":
            found += [name.name for name in node.names if name.name in STREAMS]
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]
            found += [name for name in names if name in ("rich", "rich.console", "pprint", "logging", "warnings")]
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "traceback.print_exc", "os.writev"):
            found.append(ast.unparse(node.func))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.write", "open", "os.fdopen"):
            found += [ast.unparse(node) for first in node.args[:1] if ast.unparse(first) in ("1", "2", "'/dev/tty'")]
    return found


def test_the_command_line_writes_by_one_module_alone() -> None:
    """So that no command can forget to escape."""
    sources = {str(path.relative_to(HERE)): path.read_text("utf-8") for path in HERE.rglob("*.py")}
    assert len(sources) > 20
    assert ways_past(sources.pop("output.py"))
    assert {name: found for name, source in sources.items() if (found := ways_past(source))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "print('x')",
        "def f():\n    sys.stdout.write('x')",
        "w = sys.stderr",
        "from sys import stdout",
        "from rich.console import Console",
        "import rich",
        "os.write(1, b'x')",
        "traceback.print_exc()",
    ],
)
def test_checker_finds_every_other_way_to_write(source: str) -> None:
    """The checker sees what it is there to see."""
    assert ways_past(source)
