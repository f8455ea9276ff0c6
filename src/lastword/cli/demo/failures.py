"""The work of the demo's web and task workers: fail, report it to lastword, and only then append to the ack file.

The ack file lists the errors that lastword has promised to deliver. It has a line for an error if and
only if ``capture_exception`` has returned, so this error must reach the tracker, even if the worker is killed in the
next instruction.
"""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Optional

import lastword

#: The environment variable with the path of the ack file.
ACK_FILE = "DEMO_ACK_FILE"
#: Every error's message contains one match, by which the error is found at the tracker.
MARKER = re.compile(r"demo-[0-9a-f]{8}-(?:web|task)-\d{4}")


@dataclass(frozen=True)
class Ack:
    """One capture that has returned; ``id`` is None if lastword refused the event."""

    marker: str
    id: Optional[str]
    pid: int
    milliseconds: float


class PaymentError(Exception):
    """The demo's own exception."""


def fail_and_report(marker: str) -> Ack:
    """Raise an exception with ``marker`` in its message, catch and report it, and append its Ack to the ack file."""
    try:
        _pay(marker, basket={"book": 2, "pen": 1})
    except Exception:
        began = time.perf_counter()
        event_id = lastword.capture_exception()
        took = (time.perf_counter() - began) * 1000
        ack = Ack(marker, event_id, os.getpid(), round(took, 3))
        _append(Path(os.environ[ACK_FILE]), json.dumps(asdict(ack)).encode() + b"\n")
        return ack
    raise AssertionError("the demo's payments always fail")


def _pay(marker: str, basket: dict[str, int]) -> None:
    try:
        total = sum(_price(article) * count for article, count in basket.items())
    except KeyError as error:
        raise PaymentError(f"order {marker}: no price for {error}") from error
    raise PaymentError(f"order {marker}: nobody pays {total}")


def _price(article: str) -> int:
    return {"book": 1250}[article]


def _append(path: Path, line: bytes) -> None:
    """Append with one write to an O_APPEND descriptor: after a kill the whole line is there, or none of it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


class AckFile:
    """The ack file, read as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.acks: list[Ack] = []

    def read_new(self) -> list[Ack]:
        """Return the acks added since the last call; ``acks`` has all of them."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                whole_lines, _, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return []
        if not whole_lines:
            return []
        self._offset += len(whole_lines) + 1
        new = [Ack(**json.loads(line)) for line in whole_lines.split(b"\n")]
        self.acks += new
        return new
