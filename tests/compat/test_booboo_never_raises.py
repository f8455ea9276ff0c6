"""Whatever the drop-in is given, it raises nothing, and something arrives."""

from __future__ import annotations

from pathlib import Path

from tests.compat.contest import DROP_IN, run_with
from tests.support.programs import PROGRAMS
from tests.support.promise import Section, promise

pytestmark = promise(Section.BOOBOO, "No argument makes it raise", broken_by="a level converted by `str`")

ODD_ARGUMENTS = r"""
class Odd:
    def __str__(self): raise RuntimeError
    __bool__ = __eq__ = __repr__ = __str__
    __hash__ = None
class OddDict(dict):
    def __iter__(self): raise RuntimeError
    keys = items = __len__ = __iter__
booboo.init(dsn(), environment=7, release=8, ignore_errors=(OSError, 3, None, (KeyError,)), before_send=None)
for wrong in (3, "text", ValueError, [], Odd(), (1, 2, 3)):
    booboo.capture_exception(wrong)
for user in (Odd(), OddDict(), [1], 3, {"a": Odd(), Odd: 1, 2: {3: {4: {5: 6}}}}, {"n" * 9999: "v" * 99999}, "", 0):
    booboo.set_user(user)
    booboo.capture_message("with a user")
booboo.set_user(None)
for message, level in (("", "info"), (None, None), (3, 4), (["list"], {}), (Odd(), Odd()), ("\ud800", "\udfff")):
    booboo.capture_message(message, level)
booboo.capture_exception(KeyError("ignored"))
booboo.capture_exception(IndexError("the last"))
"""


def test_odd_exceptions(tmp_path: Path) -> None:
    """Texts that raise, lie, are too long or no text, cycles, variables of any kind."""
    outcome = run_with(DROP_IN, (PROGRAMS / "odd_errors.py").read_text("utf-8"), tmp_path / "ours", wait_for=11)
    assert (outcome.status, outcome.trouble) == (0, "")
    assert len(outcome.events) == int(outcome.output)
    assert all(len(raw) <= 102_400 for raw in outcome.raw)


def test_odd_arguments(tmp_path: Path) -> None:
    """An object that is no exception is not reported; users, messages and levels of any kind arrive."""
    outcome = run_with(DROP_IN, ODD_ARGUMENTS, tmp_path / "ours", wait_for=14)
    assert (outcome.status, outcome.output) == (0, "")
    assert outcome.trouble == ""
    assert any("unprintable Odd" in message for message in outcome.messages), outcome.messages
    assert outcome.messages.count("with a user") == 8
    assert "the last" in outcome.messages
    assert "'ignored'" not in outcome.messages
