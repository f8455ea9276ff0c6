"""Orders: what a command asks of whoever leads, since only a leader changes anything in the spool.

Specification: ``orders/<id>.json``, ``{"do":"replay" or "purge","ids":[event id, …] or null}``; null stands for
everything that is set aside. Written by a command (tmp + rename). The leader carries it out, says in
``orders/<id>.done`` what came of it, ``{"done":…,"trouble":[text, …]}``, and removes the order. An order whose leader
was killed on the way is carried out again: what was done already is not there any more. The command removes the answer
when it has read it.
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

#: Bytes of an order or an answer, and ids in an order.
_MOST = 4 << 20
_LONGEST_TROUBLE = 1000
MOST_IDS = 100_000


@dataclass(frozen=True)
class Order:
    """What is to be done, with which events; ``ids`` is None for everything that is set aside."""

    do: str
    ids: Optional[list[str]] = None


@dataclass(frozen=True)
class Answer:
    """How many events it was done with, and a sentence for each thing that could not be."""

    done: int = 0
    trouble: list[str] = field(default_factory=list)


def give(layout: Layout, order: Order) -> str:
    """Write it down; returns its id. The caller holds ``cli.lock``. Raises OSError or SpoolError."""
    if order.ids is not None and len(order.ids) > MOST_IDS:
        raise SpoolError(f"{len(order.ids)} events are too many for one order: name {MOST_IDS} at most, or all")
    inside.make_directory(layout.orders)
    for name in inside.listdir(layout.orders):  # of commands that were killed before they had read them
        if name.endswith(".done"):
            inside.unlink(_path(layout, name))
    order_id = new_id()
    _write(layout, f"{order_id}.json", asdict(order))
    layout.wake_flusher()
    return order_id


def waiting(layout: Layout) -> list[str]:
    """The ids of the orders that were not carried out yet."""
    try:
        names = sorted(inside.listdir(layout.orders))
    except failures(OSError):
        return []
    return [name[: -len(".json")] for name in names if name.endswith(".json")]


def load(layout: Layout, order_id: str) -> Optional[Order]:
    """The order, or None for what is none."""
    try:
        told = read_object(_path(layout, f"{order_id}.json"), _MOST)
        ids = told.get("ids", "")  # everything is meant only where that is said
        return Order(checked.text(told.get("do"), 20), None if ids is None else [_id(id) for id in checked.items(ids)])
    except failures(OSError, ValueError):
        return None


def answer(layout: Layout, order_id: str, what: Answer) -> None:
    """Say what came of it, and remove it; where there is no room to say it, the removal alone says that it is done."""
    with suppressed(OSError):
        _write(layout, f"{order_id}.done", asdict(what))
    with suppressed(OSError):
        inside.unlink(_path(layout, f"{order_id}.json"))


def take_answer(layout: Layout, order_id: str) -> Optional[Answer]:
    """What came of it, and remove that; None while it waits. Never raises."""
    if inside.lexists(_path(layout, f"{order_id}.json")):
        return None
    path = _path(layout, f"{order_id}.done")
    try:
        told = read_object(path, _MOST)
        inside.unlink(path)
        trouble = [checked.told(one, _LONGEST_TROUBLE) for one in checked.items(told.get("trouble"))]
        return Answer(checked.integer(told.get("done")), trouble)
    except failures(OSError, ValueError):
        return Answer(0, ["it was carried out, but there was no room to say what came of it"])


def withdraw(layout: Layout, order_id: str) -> bool:
    """Take an order back that nobody has carried out; whether it was there still."""
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
