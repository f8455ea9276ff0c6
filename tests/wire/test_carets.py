"""The marks under a line are those that this Python prints, to the letter."""

from __future__ import annotations

import linecache
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import pytest

from lastword.assembly import exception_event
from lastword.capture.settings import CaptureSettings
from lastword.event import Needs
from lastword.event_json import own_copy
from lastword.scrub import is_sensitive
from lastword.wire.backtrace import exception_annotation
from lastword.wire.carets import marked_source
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.EVENTS,
    "Tracebacks have the same marks under their lines as Python prints, in Backtrace and in `lastword show`",
    broken_by="no marks; those of 3.11 everywhere; calls marked in 3.11; scrubbed lines marked; blanks "
    "at the end of a line kept",
)

#: Each fails in its last call; ``f`` and ``zero`` are given.
PROGRAMS = {
    "operation": "x = 1 + 2 / zero + 3\n",
    "whole line": "f(1)\n",
    "whole line, operation": "1 / zero\n",
    "two characters": "x = (1) // (zero)\n",
    "brackets": "x = (  (1 + 2)  / ( zero ) )\n",
    "item": "x = {}['a'] + 1\n",
    "items": "x = {'a': {}}['a'][ 'b' ]['c']\n",
    "call in a line": "x = 1 + f(2)\n",
    "call of what a call gives": "x = [len][0](f(1))\n",
    "assigned call": "x = f(1)\n",
    "returned call": "def g():\n    return f(1)\ng()\n",
    "returned call of an attribute": "def g():\n    return zero.f(1)\ng()\n",
    "returned": "def g():\n    return 1 / zero\ng()\n",
    "raise": "def g():\n    raise ValueError('x')\ng()\n",
    "nested": "def g(n):\n    if n:\n        return g(n - 1) + g(0)\n    return 1 / zero\ng(3)\n",
    "recursion": "def g(n):\n    return g(n - 1) if n else 1 / zero\ng(9)\n",
    "not ascii": "x = 'ü' + f'é{1 / zero}'\n",
    "wide": "x = '漢字', 1 / zero, '漢字'\n",
    "wide call": "漢 = f\nx = ('漢字', 漢('漢字'))\n",
    "tabs": "if 1:\n\tx = 1 / zero\n",
    "over two lines": "x = f(1,\n      2)\n",
    "over lines": "x = 1 + f(\n    1,\n    2,\n)\n",
    "over many lines": "x = f(\n    1,\n    2,\n    3,\n    4,\n    5,\n) + 1\n",
    "operation over lines": "x = (\n    1 /\n    zero\n)\n",
    "operator on a line of its own": "x = (\n    1  # left\n    /\n    zero\n)\n",
    "indented over lines": "if 1:\n    x = [\n        f(1),\n        1 / zero]\n",
    "string over lines": "x = '''a\nb''' + f(1)\n",
    "continued": "x = 1 + \\\n    f(1)\n",
    "escapes": "x = '\\\\d' + '\\n' + 'a' / zero\n",
    "keyword": "x = f(1) if f else 2\n",
    "lambda": "(lambda: 1 / zero)()\n",
    "comprehension": "x = [1 / n for n in [zero]]\n",
    "with": "with f(1) as x:\n    pass\n",
    "for": "for x in zero:\n    pass\n",
    "assert": "assert f is zero, 'x'\n",
    "import": "import nothing_of_that_name\n",
    "unpack": "a, b = [1]\n",
    "attribute": "x = zero.nothing.more\n",
    "compare": "x = 1 < f\n",
    "await": "import asyncio\nasync def g(): return 1 / zero\nasync def h(): return 1, await g()\nasyncio.run(h())\n",
}


def fails(*_: Any) -> Any:
    raise LookupError


def told(name: str, tmp_path: Path) -> tuple[list[str], list[str]]:
    """What we say, and what Python says, of the frames of the program."""
    path = tmp_path / "program.py"
    path.write_text(PROGRAMS[name], "utf-8")
    linecache.clearcache()
    settings = CaptureSettings(needs=Needs(), is_sensitive=is_sensitive, context_lines=50)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = compile(PROGRAMS[name], str(path), "exec")
    try:
        exec(code, {"f": fails, "zero": 0, "__name__": "program"})
    except Exception as error:
        event = own_copy(exception_event(error, handled=True, mechanism="t", settings=settings))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ours = exception_annotation(event["exceptions"][0], event["runtime"]["version"])["traceback"]
        return ours, traceback.format_tb(error.__traceback__)
    raise AssertionError


@pytest.mark.parametrize("name", PROGRAMS)
def test_marks_equal_pythons_own(name: str, tmp_path: Path) -> None:
    """Frame by frame; there are none before 3.11."""
    ours, pythons = told(name, tmp_path)
    assert ours == pythons


def frame(*source: str, columns: Any, line: int = 1) -> dict[str, Any]:
    return {"source": list(source), "line": line, "first_source_line": 1, "columns": columns}


@pytest.mark.parametrize("version", ["3.11.7", "3.13.0", "", "x"])
def test_changed_source_has_no_marks(version: str) -> None:
    """Scrubbed, cut, not there, or of no columns; columns may be anything."""
    assert marked_source(frame("  x = f(token='[filtered]')", columns=(1, 6, 20)), version) == [
        "x = f(token='[filtered]')"
    ]
    assert marked_source(frame("  x = 1 / 0", columns=(1, 600, 700)), version) == ["x = 1 / 0"]
    assert marked_source(frame("  x = 1 / 0", columns=(1, 6, 700)), version) == ["x = 1 / 0"]
    assert marked_source(frame("  x = 1 / 0", columns=None), version) == ["x = 1 / 0"]
    assert marked_source(frame(columns=(1, 0, 1)), version) == []
    assert marked_source(frame("   ", columns=(1, 0, 1)), version) == []
    assert marked_source(frame("x", columns=(1, 0, 1), line=9), version) == []
    assert marked_source(frame("x = f(", columns=(9, 4, 1)), version) == ["x = f(", "    ^^"]


def test_marks_of_another_python_can_be_made(tmp_path: Path) -> None:
    """A flusher need not be of the Python that captured."""
    call = frame("x = 1 + f(2)", columns=(1, 8, 12))
    assert marked_source(call, "3.11.7") == ["x = 1 + f(2)", "        ^^^^"]
    assert marked_source(call, "3.13.0") == ["x = 1 + f(2)", "        ~^^^"]
    blanks = frame("  x = 1 + f(2)  ", columns=(1, 10, 14))
    assert marked_source(blanks, "3.11.7") == ["x = 1 + f(2)", "        ^^^^"]
    assert marked_source(blanks, "3.13.0") == ["x = 1 + f(2)", "        ~^^^"]
    assert sys.version_info >= (3, 9)
