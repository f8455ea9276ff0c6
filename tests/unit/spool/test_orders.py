"""Orders: written down whole, answered once, taken back while nobody has carried them out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lastword.spool import orders
from lastword.spool.layout import Layout
from lastword.spool.orders import Answer, Order


def test_an_order_and_its_answer(layout: Layout) -> None:
    """It waits until it is answered; the answer is read once, and then nothing is left of either."""
    order = Order(orders.REPLAY, ["ab" * 16])
    order_id = orders.give(layout, order)
    assert orders.waiting(layout) == [order_id]
    assert orders.load(layout, order_id) == order
    assert orders.take_answer(layout, order_id) is None
    orders.answer(layout, order_id, Answer(1, ["trouble"]))
    assert orders.waiting(layout) == []
    assert orders.take_answer(layout, order_id) == Answer(1, ["trouble"])
    assert os.listdir(layout.orders) == []


def test_an_order_that_is_taken_back(layout: Layout) -> None:
    """It can be taken back once, and not when it was carried out."""
    order_id = orders.give(layout, Order(orders.PURGE))
    assert orders.withdraw(layout, order_id)
    assert not orders.withdraw(layout, order_id)
    assert orders.waiting(layout) == []


def test_an_answer_without_room(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk the order's going says that it was carried out."""
    order_id = orders.give(layout, Order(orders.PURGE))

    def no_room(*_: object) -> int:
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", no_room)
        orders.answer(layout, order_id, Answer(3))
    answer = orders.take_answer(layout, order_id)
    assert answer is not None and "no room" in answer.trouble[0]


@pytest.mark.parametrize("garbage", [b"", b"[]", b'{"do":"replay"}', b'{"do":"replay","ids":7}'])
def test_garbage_is_no_order(layout: Layout, garbage: bytes) -> None:
    """What is none is None, and can be answered like one, so that it does not stay."""
    os.mkdir(layout.orders)
    Path(layout.orders, "x.json").write_bytes(garbage)
    assert orders.load(layout, "x") is None
