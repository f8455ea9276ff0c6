"""A tracker that remembers what it needs to testify, and no more: who sent what, how often, and in which bytes."""

from __future__ import annotations

import hashlib
import itertools
import socket
import threading
from collections import Counter
from dataclasses import replace
from typing import Optional

from lastword.http_message import HttpReply
from lastword.testing import LoopbackTracker
from lastword.testing.dialects import Reading
from lastword.testing.exchange import Request


class WitnessTracker(LoopbackTracker):
    """A Backtrace tracker for any number of events of any size: their bodies are not kept.

    Attributes:
        delivered: how often each event arrived, by id.
        contents: id → a digest of each different body that it arrived with.
        pids: id → the pid that the event names.
        senders: the number of the connection of each run of requests, in the order of the connections' making: not its
            port, which the kernel gives again. A flusher sends on one connection after the other; two of them at work
            at once would take turns here.
    """

    def __init__(self) -> None:
        super().__init__("backtrace")
        self.delivered: Counter[str] = Counter()
        self.contents: dict[str, set[bytes]] = {}
        self.pids: dict[str, int] = {}
        self.senders: list[int] = []
        self._connection = threading.local()
        self._connections = itertools.count(1)

    def __enter__(self) -> WitnessTracker:
        super().__enter__()
        return self

    def assert_one_sender_at_a_time(self) -> None:
        """No two requests overlapped, and no connection was used again after another one had begun."""
        assert self.max_overlap <= 1, f"{self.max_overlap} requests at the same moment"
        assert len(set(self.senders)) == len(self.senders), f"connections that took turns: {self.senders}"

    def repeats(self) -> int:
        """How many deliveries were repeats; fails if any of them differed from the first in a byte."""
        changed = [event_id for event_id, digests in self.contents.items() if len(digests) > 1]
        assert not changed, f"sent again with another content: {changed[:5]}"
        return sum(self.delivered.values()) - len(self.delivered)

    def _converse(self, connection: socket.socket) -> None:
        self._connection.number = next(self._connections)
        super()._converse(connection)

    def _keep(self, request: Request, reading: Reading) -> Optional[HttpReply]:
        reply = super()._keep(request, reading)
        if self.senders[-1:] != [self._connection.number]:
            self.senders.append(self._connection.number)
        received = self._requests.pop()
        if received.stored:
            event_id = (received.id or "").replace("-", "")
            self.delivered[event_id] += 1
            self.contents.setdefault(event_id, set()).add(hashlib.sha256(received.raw).digest())
            self.pids[event_id] = (received.body or {})["attributes"]["process.id"]
            self._events[-1] = replace(received, raw=b"", body={}, attachments={})
        return reply
