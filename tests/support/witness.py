"""A tracker that remembers what it needs to testify, and no more: who sent what, how often, and in which bytes."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections import Counter
from collections.abc import Set
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Optional

from lastword.testing import LoopbackTracker
from lastword.testing.dialects import Reading
from lastword.testing.exchange import Request
from lastword.wire.format import HttpReply
from tests.support.programs import wait_while


class WitnessTracker(LoopbackTracker):
    """A Backtrace tracker for any number of events of any size: their bodies are not kept.

    Attributes:
        delivered: how often each event arrived, by id.
        contents: id → a digest of each different body that it arrived with.
        pids: id → the pid that the event names.
        senders: the process behind each run of requests. A flusher sends on several connections; two of them at work
            at once would take turns here. One that was gone before it could be told is left out: what it has sent
            still comes in, on one connection after that on another, but it is not at work.
    """

    def __init__(self) -> None:
        super().__init__("backtrace")
        self.delivered: Counter[str] = Counter()
        self.contents: dict[str, set[bytes]] = {}
        self.pids: dict[str, int] = {}
        self.senders: list[int] = []
        self._connection = threading.local()

    def __enter__(self) -> WitnessTracker:
        super().__enter__()
        return self

    def wait_for_all(self, event_ids: Set[str]) -> None:
        """Wait until all of them were delivered, as long as any are."""
        wait_while(lambda: len(self.delivered), lambda: event_ids <= self.delivered.keys(), "everything acknowledged")

    def assert_one_sender_at_a_time(self) -> None:
        """No process sent anything after another one had begun to."""
        assert self.senders, "not one process could be told"
        assert len(set(self.senders)) == len(self.senders), f"processes that took turns: {self.senders}"

    def repeats(self) -> int:
        """How many deliveries were repeats; fails if any of them differed from the first in a byte."""
        changed = [event_id for event_id, digests in self.contents.items() if len(digests) > 1]
        assert not changed, f"sent again with another content: {changed[:5]}"
        return sum(self.delivered.values()) - len(self.delivered)

    def _converse(self, connection: socket.socket) -> None:
        self._connection.sender = _process_behind(connection.getpeername()[1])
        super()._converse(connection)

    def _keep(self, request: Request, reading: Reading) -> Optional[HttpReply]:
        reply = super()._keep(request, reading)
        sender = self._connection.sender
        if sender is not None and self.senders[-1:] != [sender]:
            self.senders.append(sender)
        received = self._requests.pop()
        if received.stored:
            event_id = (received.id or "").replace("-", "")
            self.delivered[event_id] += 1
            self.contents.setdefault(event_id, set()).add(hashlib.sha256(received.raw).digest())
            self.pids[event_id] = (received.body or {})["attributes"]["process.id"]
            self._events[-1] = replace(received, raw=b"", body={}, attachments={})
        return reply


def _process_behind(port: int) -> Optional[int]:
    """The process that has the local TCP port of a connection to this machine; None when it is gone already."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].partition(":")[2], 16) == port and fields[9] != "0":
            return _process_with(f"socket:[{fields[9]}]")
    return None


def _process_with(thing: str) -> Optional[int]:
    # From the oldest on: where a thread of a program leads, its forked children have its sockets too.
    for pid in sorted(map(int, filter(str.isdigit, os.listdir("/proc")))):
        with suppress(OSError):
            for number in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    if os.readlink(f"/proc/{pid}/fd/{number}") == thing:
                        return pid
    return None
