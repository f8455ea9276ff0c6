"""Calls with objects in them whose methods raise: nothing may come out of any, and each event is accounted for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from lastword import diagnostics
from lastword.client import Client
from tests.support.raising import RAISED, Switch

Calls = Iterator[tuple[str, Callable[[], Any]]]

#: What the hostile objects are besides, and are made of.
BASES: dict[str, tuple[Any, ...]] = {
    "object": (object,),
    "str": (str, "text"),
    "int": (int, 7),
    "float": (float, 1.5),
    "bytes": (bytes, b"bytes"),
    "list": (list, [1, 2]),
    "tuple": (tuple, (1, 2)),
    "dict": (dict, {"a": 1}),
    "set": (set, {1}),
    "exception": (ValueError, "wrong"),
}
HOW = ("methods", "attributes", "class")


SWITCH = Switch()


class Sweep:
    """Makes calls with hostile objects in them, and collects what came out of any, and what was not accounted for by
    the client that is at work.
    """

    def __init__(self, client: Callable[[], Client]) -> None:
        self._client = client
        hostile = (SWITCH.new_class(BaseException, "class"), SWITCH.new_class(KeyError, "class"))
        self._others = itertools.cycle((*RAISED, *hostile))
        self._wrong: list[str] = []
        self._made = 0

    def things(self, *, but: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
        for base, arguments in BASES.items():
            for how in HOW:
                if base not in but:
                    yield f"{base} ({how})", SWITCH.new(*arguments, how=how)

    def run(self, what: str, calls: Iterable[tuple[str, Callable[[], Any]]], events: int, kinds: int = 3) -> None:
        """Each call must make so many ``events``, of what the objects raise: SystemExit, and others in turn."""
        for where, call in calls:
            for kind in (SystemExit, *itertools.islice(self._others, kinds - 1)):
                self._run(f"{where}, {what}", kind, call, events)

    def _run(self, name: str, kind: type[BaseException], call: Callable[[], Any], events: int) -> None:
        before, defects = self._accounted(), self._defects()
        self._made += 1
        raised = type.__dict__["__name__"].__get__(kind)
        try:
            with SWITCH.on(kind):
                call()
        except BaseException as leaked:
            self._wrong.append(f"{name}: {raised} came out as {type(leaked)}")
        else:
            if self._accounted() != before + events:
                self._wrong.append(f"{name}: {raised}: {self._accounted() - before} events instead of {events}")
            if self._defects() != defects:
                self._wrong.append(f"{name}: {raised}: {[one for one in diagnostics.waiting() if 'defect' in one]}")

    def end(self) -> None:
        told = "\n".join(self._wrong[:40])
        assert not self._wrong, f"{len(self._wrong)} of {self._made}:\n{told}"

    def _defects(self) -> int:
        writer = self._client().recorder.writer
        return 0 if writer is None else writer._state.refused.get("internal error", 0)

    def _accounted(self) -> int:
        """Events of this process that are recorded or counted."""
        client = self._client()
        writer, refusals = client.recorder.writer, client.recorder._refusals.get()
        counted = len(refusals.arrived) + sum(refusals._counts.values()) + client.uncounted
        if writer is None:
            return counted
        told = sum(writer._state.refused.values()) + sum(count for _, count in writer._unposted)
        return writer.recorded + told + counted
