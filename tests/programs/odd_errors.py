"""Exceptions and variables of every odd kind, given to booboo; prints how many errors they are."""

from __future__ import annotations

import os
from typing import Any

import booboo

booboo.init(os.environ["TRACKER"])


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


class NoText(Exception):
    def __str__(self) -> Any:
        return 42


class Liar(Exception):
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return int


class Slotted(Exception):
    __slots__ = ("__traceback__",)


class Selfish:
    def __repr__(self) -> str:
        return repr([self])


class Huge:
    def __repr__(self) -> str:
        return "x" * 5_000_000


def raised(error: BaseException, **ballast: object) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


loop = ValueError("bites its tail")
loop.__cause__ = KeyError("the other")
loop.__cause__.__cause__ = loop
errors = [
    *(Silent("silent"), NoText("no text"), Liar("liar"), Slotted("slotted"), ValueError("lone \ud800"), loop),
    *(ValueError("x" * 1_000_000), ValueError(b"\xff"), KeyboardInterrupt("enough"), SystemExit(1)),
    GeneratorExit("left"),
]
for error in errors:
    many, lone = dict.fromkeys(range(10000), "y" * 1000), {"name \ud800": "lone"}
    caught = raised(error, selfish=Selfish(), huge=Huge(), silent=Silent(), many=many, **lone)
    assert booboo.capture_exception(caught) is None
print(len(errors))
