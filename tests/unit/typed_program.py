"""A program that uses every public name. Never run, but checked by mypy and pyright, strictly (``scripts/check``).

Right uses have to be found right, and the wrong ones at the end wrong: an ignored error that is none is an error.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Optional

import lastword
from lastword import ConfigError, LastwordError
from lastword.event import Event


def before_send(event: Event) -> Optional[Event]:
    event["tags"]["queue"] = "mail"
    return None if event["level"] == "debug" else event


def fails() -> int:
    with lastword.catch():
        return int("x")


@lastword.catch()
def add(a: int, *, b: int = 1) -> int:
    return a + b


@lastword.catch()
async def later(a: int) -> str:
    return str(a)


@lastword.catch()
def count(to: int) -> Iterator[int]:
    yield from range(to)


async def use() -> AsyncIterator[int]:
    text: str = await later(1)
    yield len(text)


try:
    lastword.init("booboo+https://t@h/o/p", before_send=before_send, log_events="CRITICAL", sample_rate=0.5)
except ConfigError as error:
    problem: LastwordError = error

version: str = lastword.__version__
event_id: Optional[str] = lastword.capture_exception()
event_id = lastword.capture_exception(ValueError("x"))
event_id = lastword.capture_exception(sys.exc_info())
event_id = lastword.capture_message("deployed", level="warning")
lastword.set_user({"id": "42", "email": None})
lastword.set_user(None)
lastword.set_tag("queue", 7)
lastword.set_tags({"queue": "mail", "retries": None})
lastword.set_extra("rows", [1, 2])
lastword.set_context("order", {"id": 7})
lastword.set_context("order", None)
lastword.set_fingerprint(["{{ default }}", "7"])
lastword.set_transaction("GET /orders")
lastword.set_level("warning")
lastword.add_breadcrumb("cache miss", category="cache", level="debug", data={"key": "a"}, type="query")
lastword.add_attachment("/var/log/shop.log")
lastword.add_attachment(pathlib.Path("cart.json"), name="cart", content_type="application/json")
lastword.add_attachment(data="a text", name="text.txt")
lastword.add_attachment(data=b"bytes")
with lastword.new_scope():
    lastword.set_user({"id": "43"})
settled: bool = lastword.flush(timeout=1)
lastword.close()
lastword.close(timeout=0.5)
number: int = add(1, b=2)
numbers: list[int] = list(count(3))

event_id = lastword.capture_message("x", level="CRITICAL")
event_id = lastword.capture_message("x", 40)
event_id = lastword.capture_exception("x")
event_id = lastword.capture_exception(ValueError)
lastword.capture_message("x", level=1.5)  # type: ignore[arg-type]
lastword.capture_exception(7)  # type: ignore[arg-type]
lastword.set_user(42)
lastword.add_attachment(data=7)  # type: ignore[arg-type]
lastword.flush("soon")  # type: ignore[arg-type]
lastword.close(now=True)  # type: ignore[call-arg]
lastword.catch(ValueError)  # type: ignore[call-arg]
add("x")  # type: ignore[arg-type]
lastword.report()  # type: ignore[attr-defined]
