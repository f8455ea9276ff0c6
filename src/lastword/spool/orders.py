"""Orders: requests from a command to the leader, because only the leader changes anything in the spool.

Specification: ``orders/<id>.json``, ``{"do":"replay" or "purge","ids":[event id, …] or null}``; null stands for
everything that is set aside. A command writes it (tmp + rename). The leader carries it out, writes the result to
``orders/<id>.done``, ``{"done":…,"trouble":[text, …]}``, and removes the order. If the leader is killed on the way, the
order is carried out again; the events already done are no longer there. The command removes the answer after reading
it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import Optional

from lastword import checked
from lastword.errors import SpoolError
from lastword.event import new_id
from lastword.interruption import failures, suppressed
from lastword.spool import inside
from lastword.spool.layout import Layout, read_object, write_whole_file

REPLAY, PURGE = "replay", "purge"

#: The most bytes of an order or an answer, characters of one trouble, and ids in an order.
_MOST = 4 << 20
_LONGEST_TROUBLE = 1000
MOST_IDS = 100_000


@dataclass(frozen=True)
class Order:
    """What to do with which events; ``ids`` is None for everything that is set aside."""

    do: str
    ids: Optional[list[str]] = None


@dataclass(frozen=True)
class Answer:
    """How many events the order was carried out for, and a sentence for each failure."""

    done: int = 0
    trouble: list[str] = field(default_factory=list)


def give(layout: Layout, order: Order) -> str:
    """Write the order and return its id. The caller holds ``cli.lock``. Raises OSError or SpoolError."""
    if order.ids is not None and len(order.ids) > MOST_IDS:
        raise SpoolError(f"{len(order.ids)} events are too many for one order: name {MOST_IDS} at most, or all")
    inside.make_directory(layout.orders)
    for name in inside.listdir(layout.orders):  # answers to commands that were killed before reading them
        if name.endswith(".done"):
            inside.unlink(_path(layout, name))
    order_id = new_id()
    _write(layout, f"{order_id}.json", asdict(order))
    layout.wake_flusher()
    return order_id


def waiting(layout: Layout) -> list[str]:
    """Return the ids of the orders that are not carried out yet."""
    try:
        names = sorted(inside.listdir(layout.orders))
    except failures(OSError):
        return []
    return [name[: -len(".json")] for name in names if name.endswith(".json")]


def load(layout: Layout, order_id: str) -> Optional[Order]:
    """Return the order, or None if its file is not a valid order."""
    try:
        told = read_object(_path(layout, f"{order_id}.json"), _MOST)
        ids = told.get("ids", "")  # only an explicit null stands for everything
        return Order(checked.text(told.get("do"), 20), None if ids is None else [_id(id) for id in checked.items(ids)])
    except failures(OSError, ValueError):
        return None


def answer(layout: Layout, order_id: str, what: Answer) -> None:
    """Write the result, and remove the order; without room for the result, the removal alone shows that it is done."""
    with suppressed(OSError):
        _write(layout, f"{order_id}.done", asdict(what))
    with suppressed(OSError):
        inside.unlink(_path(layout, f"{order_id}.json"))


def take_answer(layout: Layout, order_id: str) -> Optional[Answer]:
    """Return the result and remove its file; None while the order waits. Never raises."""
    if inside.lexists(_path(layout, f"{order_id}.json")):
        return None
    path = _path(layout, f"{order_id}.done")
    try:
        told = read_object(path, _MOST)
        inside.unlink(path)
        trouble = [checked.line(one, _LONGEST_TROUBLE) for one in checked.items(told.get("trouble"))]
        return Answer(checked.integer(told.get("done")), trouble)
    except failures(OSError, ValueError):
        return Answer(0, ["it was carried out, but there was no room to say what came of it"])


def withdraw(layout: Layout, order_id: str) -> bool:
    """Remove an order that is not carried out yet; return whether it was still there."""
    try:
        inside.unlink(_path(layout, f"{order_id}.json"))
    except failures(OSError):
        return False
    return True


def _id(told: object) -> str:
    return checked.text(told, 200)


def _write(layout: Layout, name: str, data: object) -> None:
    path = _path(layout, name)
    write_whole_file(path, json.dumps(data).encode("ascii"))


def _path(layout: Layout, name: str) -> str:
    return os.path.join(layout.orders, name)
