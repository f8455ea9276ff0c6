"""Whatever the drop-in is given, it raises nothing, and something arrives."""

from __future__ import annotations

from pathlib import Path

from tests.compat.contest import DROP_IN, run_with

ODD_ERRORS = r"""
booboo.init(dsn())
class Silent(Exception):
    def __str__(self): raise RuntimeError
    __repr__ = __str__
class NoText(Exception):
    def __str__(self): return 42
class Liar(Exception):
    @property
    def __class__(self): return int
class Slotted(Exception):
    __slots__ = ("__traceback__",)
class Selfish:
    def __repr__(self): return repr([self])
class Huge:
    def __repr__(self): return "x" * 5_000_000
class Odd(dict):
    def items(self): raise RuntimeError
    __len__ = __iter__ = items

def raised(error, **ballast):
    try:
        raise error
    except BaseException as caught:
        return caught

loop = ValueError("bites its tail")
loop.__cause__ = KeyError("the other")
loop.__cause__.__cause__ = loop
errors = [Silent("silent"), NoText("no text"), Liar("liar"), Slotted("slotted"), ValueError("lone \ud800"), loop,
          ValueError("x" * 1_000_000), ValueError(b"\xff"), KeyboardInterrupt("enough"), SystemExit(1),
          GeneratorExit("left")]
for error in errors:
    caught = raised(error, selfish=Selfish(), huge=Huge(), silent=Silent(), many={n: "y" * 1000 for n in range(10_000)},
                    **{"name \ud800": "lone"})
    assert booboo.capture_exception(caught) is None
print(len(errors))
"""

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
    """Texts that raise or lie, cycles, what is no text or too long, variables of any kind."""
    outcome = run_with(DROP_IN, ODD_ERRORS, tmp_path / "ours", wait_for=11)
    assert (outcome.status, outcome.trouble) == (0, "")
    assert len(outcome.events) == int(outcome.output)
    assert all(len(raw) <= 102_400 for raw in outcome.raw)


def test_odd_arguments(tmp_path: Path) -> None:
    """What is no exception is nothing to report; users, messages and levels of any kind arrive as what they are."""
    outcome = run_with(DROP_IN, ODD_ARGUMENTS, tmp_path / "ours", wait_for=14)
    assert (outcome.status, outcome.output) == (0, "")
    assert outcome.trouble == ""
    assert any("unprintable Odd" in message for message in outcome.messages), outcome.messages
    assert outcome.messages.count("with a user") == 8
    assert "the last" in outcome.messages
    assert "'ignored'" not in outcome.messages
