"""Spools with something in them, made in this process: no program, no flusher."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lastword.dsn import Destination, Dsn
from lastword.event import new_id
from lastword.spool.layout import Layout
from lastword.spool.record import encode_event
from lastword.spool.writer import Writer
from tests.support.events import message_event


def hold(spool: Path, count: int = 1, *, dsn: str | None = None, **changes: Any) -> list[str]:
    """Let a writer that is done record so many messages, which nobody sends; returns their ids.

    ``changes`` are fields of the event that differ.
    """
    with writer_of(spool) as writer:
        return record(writer, count, dsn=dsn, **changes)


@contextmanager
def writer_of(spool: Path) -> Iterator[Writer]:
    layout = Layout(str(spool))
    layout.prepare()
    writer = Writer.born(layout)
    try:
        yield writer
    finally:
        writer.abandon()


def record(writer: Writer, count: int, *, dsn: str | None = None, **changes: Any) -> list[str]:
    to = None if dsn is None else Destination(Dsn.parse(dsn), timeout=10.0)
    ids = [new_id() for _ in range(count)]
    for number, event_id in enumerate(ids):
        event = message_event(f"message {number}", **{"id": event_id, "timestamp": time.time(), **changes})
        writer.append(encode_event(event_id, to.key if to else None, event), to)
    return ids
