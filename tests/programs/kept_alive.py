"""Whether anything is alive behind a form of reporting, by weak references, with garbage collection switched off."""

from __future__ import annotations

import gc
import logging
import os
import sys
import weakref
from collections.abc import Callable
from typing import Any, NoReturn

import lastword
import lastword.integrations
from tests.support import prelude  # noqa: F401 - sets lastword up

logging.getLogger().addHandler(logging.NullHandler())
logging.getLogger("asyncio").addHandler(logging.NullHandler())
shown = open(1, "w")  # noqa: SIM115 - as long as the program
sys.stderr = open(os.devnull, "w")  # noqa: SIM115

references: list[Any] = []
forms: list[Callable[[], Any]] = []


class Rows:
    pass


def rows() -> Rows:
    """What a failed job used: alive as long as anything holds it."""
    made = Rows()
    references.append(weakref.ref(made))
    return made


def fail(*used: object) -> NoReturn:
    inner = rows()
    raise ValueError("no")


def form(call: Callable[[], Any]) -> Callable[[], Any]:
    """Decorate each form."""
    forms.append(call)
    return call


def alive_behind_each() -> dict[str, int]:
    found = {}
    for call in forms:
        references.clear()
        call()
        assert references, call
        found[call.__name__] = sum(reference() is not None for reference in references)
        references.clear()
        gc.collect()
    return found


def try_forms(*, frameworks: bool = False, **options: Any) -> None:
    """Print the name of each form behind which something is alive that is not without lastword."""
    gc.collect()
    gc.disable()
    without: dict[str, int] = {}
    if frameworks:
        lastword.close()
        alive_behind_each()  # what a framework does at its first request
        without = alive_behind_each()
    lastword.integrations.install()
    lastword.init(spool=os.environ["TEST_SPOOL"], flood_burst=0, **options)
    for name, count in alive_behind_each().items():
        if count > without.get(name, 0):
            print(name, file=shown)
    print("end", file=shown, flush=True)
