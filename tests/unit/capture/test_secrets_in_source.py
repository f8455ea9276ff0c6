"""What a frame shows of a file: a literal whose statement began above the lines shown is no less a secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lastword.assembly import exception_event
from lastword.capture import CaptureSettings
from lastword.config import Config
from lastword.scrub import Rules
from lastword.wire import NEEDS
from tests.support.promise import Section, promise

pytestmark = promise(Section.BEFORE_DISK, "Source shows no literal that belongs to a secret name, and keeps all others")

RULES = Rules(Config())
ABOVE = "\n".join(f'    "user{number}": "hunter2",' for number in range(10))

PROGRAMS = {
    "dict": f'def f():\n  return {{"tokens": {{\n{ABOVE}\n    "x": 1 / 0,\n    "y": "hunter2",\n  }}}}\n',
    "list": f"def f():\n  PASSWORDS = [\n{ABOVE.replace(': ', ', ')}\n    1 / 0,\n    'hunter2',\n  ]\n",
    "call": 'def f():\n  connect(auth=(\n    "bob",\n    "hunter2",\n    1 / 0,\n  ))\n',
    "docstring": 'def f():\n  """Does it.\n\n  It (really) does.\n  """\n  passwords = ["a", "hunter2"]\n  1 / 0\n',
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_statement_that_began_above_the_lines_shown(tmp_path: Path, name: str) -> None:
    """Every line is there, and none of the literals."""
    path = tmp_path / "shop.py"
    path.write_text(PROGRAMS[name])
    settings = CaptureSettings(
        needs=NEEDS["booboo"], is_sensitive=RULES.is_sensitive, scrub_source=RULES.scrub_source, in_app=("shop",)
    )
    space: dict[str, Any] = {"__name__": "shop", "__file__": str(path), "connect": print}
    exec(compile(path.read_text(), str(path), "exec"), space)
    with pytest.raises(ZeroDivisionError) as raised:
        space["f"]()
    event = exception_event(raised.value, handled=True, mechanism="test", settings=settings)
    source = event["exceptions"][0]["frames"][-1]["source"]
    assert "1 / 0" in str(source) and "[filtered]" in str(source)
    assert "hunter2" not in str(source)
