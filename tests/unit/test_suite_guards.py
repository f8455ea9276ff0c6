"""What conftest.py promises for every test, tried on tiny suites in a pytest of their own; and how long code may be."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tests
from tests.support.programs import PROGRAMS

ROOT = Path(__file__).parents[2]

RunSuite = Callable[..., str]


@pytest.fixture
def run_suite(tmp_path: Path) -> RunSuite:
    """Runs the given test files under our conftest and settings; returns what pytest printed."""

    def run(source: str, *others: str, **environment: str) -> str:
        suite = tmp_path / "suite"
        suite.mkdir()
        for number, each in enumerate((source, *others)):
            (suite / f"test_{number}.py").write_text(textwrap.dedent(each), "utf-8")
        options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-p", "no:randomly", "-n", "0", "-rfEs"]
        options.append("--continue-on-collection-errors")
        command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), *options, str(suite)]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True)
        return done.stdout + done.stderr

    return run


SKIPS = """
    import pytest
    from tests.support import needs

    @needs.installed("surely_not_installed")
    def test_dependency(): pass

    @needs.capability(False, "third hand")
    def test_capability(): pass

    def test_inside(): pytest.skip("no time")

    @pytest.mark.xfail(reason="known")
    def test_known(): assert False
"""


#: A skip at import takes all tests of a file away, and is no less of a skip.
SKIPPED_MODULE = "import pytest; pytest.importorskip('surely_not_installed')\ndef test(): pass"


def test_a_skip_is_a_skip_on_a_laptop(run_suite: RunSuite) -> None:
    """The suite runs without every optional package."""
    assert "4 skipped, 1 xfailed" in run_suite(SKIPS, SKIPPED_MODULE)


def test_every_skip_but_a_missing_capability_fails_on_ci(run_suite: RunSuite) -> None:
    """A machine on which something is missing must not look green."""
    output = run_suite(SKIPS, SKIPPED_MODULE, LASTWORD_REQUIRE_ALL="1")
    assert "1 failed, 1 skipped, 1 xfailed, 2 errors" in output
    assert "there is no third hand here" in output
    assert "not installed: surely_not_installed" in output


def test_a_process_that_stays_fails_the_run_by_name_and_is_ended(run_suite: RunSuite, tmp_path: Path) -> None:
    """A child, a detached program and a forked daemon are all found, whatever they did to hide."""
    (tmp_path / "pids").mkdir()
    source = (PROGRAMS / "leaves_processes.py").read_text("utf-8")
    output = run_suite(source, PID_DIR=str(tmp_path / "pids"))
    started = {path.name for path in (tmp_path / "pids").iterdir()}
    assert len(started) == 3, output
    assert set(re.findall(r"E +process (\d+):", output)) == started, output
    assert "3 passed, 1 error" in output
    assert not any(_runs(int(pid)) for pid in started)


def _runs(pid: int) -> bool:
    try:
        return "time.sleep(60)" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


def test_a_test_sees_nothing_of_the_users_home_and_settings(run_suite: RunSuite) -> None:
    """Each test has an own empty HOME and temporary directory, and none of the variables that steer lastword."""
    output = run_suite(
        """
        import os, tempfile, pathlib

        def test_surroundings(tmp_path):
            assert pathlib.Path.home().parent == tmp_path
            assert list(pathlib.Path.home().iterdir()) == []
            assert tempfile.gettempdir() == os.environ["TMPDIR"]
            assert [name for name in os.environ if name.startswith("LASTWORD_") or name.lower() == "http_proxy"] == []
        """,
        LASTWORD_DSN="booboo+https://T@ingest.booboo.dev/o/p",
        LASTWORD_SPOOL="/elsewhere",
        http_proxy="http://127.0.0.1:9",
    )
    assert "1 passed" in output, output


def test_this_suite_is_the_package_tests() -> None:
    """backtracepython installs a package of that name too, and which one is found hangs on the order of the path."""
    assert [Path(place) for place in tests.__path__] == [ROOT / "tests"]


LONGEST_FILE, LONGEST_FUNCTION, LONGEST_TEXT = 400, 60, 30


def long_nodes(node: ast.AST) -> Iterator[tuple[ast.AST, int]]:
    """What in ``node`` has more lines than a text may have, each with their number; docstrings are left out."""
    for child in ast.iter_child_nodes(node):
        lines = getattr(child, "end_lineno", sys.maxsize) - getattr(child, "lineno", 0) + 1
        if lines > LONGEST_TEXT and not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
            yield child, lines
            yield from long_nodes(child)


def parts_that_are_too_long(source: str, *, texts: bool) -> Iterator[str]:
    """The file, functions and, where ``texts``, texts that are."""
    length = source.count("\n")
    if length > LONGEST_FILE:
        yield f"{length} lines"
    for node, lines in long_nodes(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and lines > LONGEST_FUNCTION:
            yield f"{node.name} has {lines} lines"
        if isinstance(node, (ast.Constant, ast.JoinedStr)) and texts:
            yield f"a text of {lines} lines at {node.lineno}"


def test_too_long_parts_are_found() -> None:
    """A file, a function and a text, formatted or not, by one line; nothing that is as long as it may be."""
    for longer, found in ((0, []), (1, ["401 lines", "f has 61 lines", "a text of 31 lines at 62"])):
        function = "def f():\n" + "    pass\n" * (LONGEST_FUNCTION - 1 + longer)
        text = '"""' + "\n" * (LONGEST_TEXT - 1 + longer) + '"""\n'
        rest = "pass\n" * (LONGEST_FILE + longer - (function + text).count("\n"))
        assert list(parts_that_are_too_long(f"{function}x = {text}{rest}", texts=True)) == found
        assert list(parts_that_are_too_long(f"{function}x = {text}{rest}", texts=False)) == found[:2]
        assert bool(list(parts_that_are_too_long("x = f" + text, texts=True))) is bool(longer)
        assert list(parts_that_are_too_long(text, texts=True)) == []


@pytest.mark.parametrize("tree", ["src", "tests"])
def test_no_file_function_or_program_is_too_long(tree: str) -> None:
    """Long files are split by subject; long programs that tests run are files in tests/programs, linted and typed."""
    found = [
        f"{path.relative_to(ROOT)}: {part}"
        for path in sorted((ROOT / tree).rglob("*.py"))
        for part in parts_that_are_too_long(path.read_text("utf-8"), texts=tree == "tests")
    ]
    assert found == []
