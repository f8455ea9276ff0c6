"""Orders: written down whole, answered once, taken back while nobody has carried them out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lastword.spool import orders
from lastword.spool.layout import Layout
from lastword.spool.orders import Answer, Order


def test_order_waits_until_answered(layout: Layout) -> None:
    """The answer is read once; then neither file is left."""
    order = Order(orders.REPLAY, ["ab" * 16])
    order_id = orders.give(layout, order)
    assert orders.waiting(layout) == [order_id]
    assert orders.load(layout, order_id) == order
    assert orders.take_answer(layout, order_id) is None
    orders.answer(layout, order_id, Answer(1, ["trouble"]))
    assert orders.waiting(layout) == []
    assert orders.take_answer(layout, order_id) == Answer(1, ["trouble"])
    assert os.listdir(layout.orders) == []


def test_order_can_be_taken_back_once(layout: Layout) -> None:
    """And not after it was carried out."""
    order_id = orders.give(layout, Order(orders.PURGE))
    assert orders.withdraw(layout, order_id)
    assert not orders.withdraw(layout, order_id)
    assert orders.waiting(layout) == []


def test_order_without_room_for_an_answer_is_removed(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
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
    """It is read as None, and can be answered, so that it does not stay."""
    os.mkdir(layout.orders)
    Path(layout.orders, "x.json").write_bytes(garbage)
    assert orders.load(layout, "x") is None
