"""What went wrong in the recorded reports. Run by ``record_originals``, read by the tests; lines matter here."""

from __future__ import annotations

from typing import Callable


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("this repr fails")


class CardRefused(Exception):
    def __str__(self) -> str:
        return "card refused: é \ud800"


CARD = Unshowable()
STATEMENT = "x" * 300


def refuse_card(amount: int = 3, password: str = "hunter2", card: object = CARD, statement: str = STATEMENT) -> None:
    raise CardRefused


def lose_order() -> None:
    try:
        find_order()
    except KeyError as error:
        raise LookupError("order lost") from error


def lose_order_again() -> None:
    try:
        find_order()
    except KeyError:
        give_up()


def give_up() -> None:
    raise LookupError("order lost")


def find_order() -> None:
    raise KeyError("order")


def _nothing() -> None:
    """Stands where the recorder puts what a situation is made of."""


fail: Callable[[], object] = _nothing
capture: Callable[[], object] = _nothing


def main() -> None:
    try:
        fail()
    except Exception:
        capture()


def announce() -> None:
    capture()


def crash() -> None:
    fail()
