"""The tracker: the requests that it keeps, and the answers that a test orders."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Callable, Optional, Union

from lastword.testing.dialects import READERS, Reading, refusal
from lastword.testing.doorway import HOST, Doorway
from lastword.testing.exchange import Request, RequestError, encode, read_request
from lastword.wire.format import HttpReply


@dataclass(frozen=True)
class Received:
    """One request that the tracker has read completely.

    Attributes:
        at: Unix time at which its last byte was read.
        method: ``POST``, for every event.
        path: path and query as sent.
        headers: names in lower case.
        raw: the body's bytes.
        body: the event, a JSON object; None if there is no readable one.
        attachments: file name → content (backtrace only).
        status: the status of the answer chosen for it; None if the connection was to be cut instead.
        stored: whether the tracker accepted it as an event.
        why: the reason for a refusal, else ''.
    """

    at: float
    method: str
    path: str
    headers: Mapping[str, str]
    raw: bytes
    body: Optional[dict[str, Any]]
    attachments: Mapping[str, bytes]
    status: Optional[int]
    stored: bool
    why: str

    @property
    def id(self) -> Optional[str]:
        """The event's id on the wire: Backtrace's ``uuid``; None for booboo, whose events have no id."""
        value = (self.body or {}).get("uuid")
        return value if isinstance(value, str) else None

    @property
    def message(self) -> str:
        """The message of the event or of its exception, in either format; '' if there is none."""
        body = self.body or {}
        attributes = body.get("attributes")
        value = attributes.get("error.message") if isinstance(attributes, dict) else body.get("message")
        return value if isinstance(value, str) else ""


Condition = Union[int, Callable[[list[Received]], bool]]


@dataclass(frozen=True)
class _Order:
    """The ordered behaviour; the default is to answer normally."""

    reply: Optional[HttpReply] = None
    cut: bool = False
    takes_events: bool = True
    times: Optional[int] = None  # the number of requests for which it still applies; None: all

    def after_one_request(self) -> _Order:
        if self.times is None:
            return self
        return replace(self, times=self.times - 1) if self.times > 1 else _Order()


class LoopbackTracker:
    """A tracker of kind ``"booboo"`` or ``"backtrace"`` on a free port of 127.0.0.1, running within a ``with`` block.

    Args:
        wire: the tracker's kind; any other raises ValueError.
        token: the token that it requires, of characters that need no quoting in a URL.
        max_body: the largest body that it accepts, in bytes; None for no limit.
    """

    def __init__(self, wire: str = "booboo", *, token: str = "loopback-token", max_body: Optional[int] = None) -> None:
        if wire not in READERS:
            raise ValueError(f"no tracker of kind {wire!r}; there are {', '.join(READERS)}")
        self.wire = wire
        self.token = token
        self.max_body = max_body
        self._doorway = Doorway(self._converse)
        self._closing = threading.Event()
        self._changed = threading.Condition()  # guards all attributes below
        self._requests: list[Received] = []
        self._events: list[Received] = []
        self._order = _Order()
        self._orders_about: dict[bytes, _Order] = {}
        self._delay = 0.0
        self._busy = 0
        self._max_overlap = 0

    def __enter__(self) -> LoopbackTracker:
        self.come_up()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._doorway.abandon()

    @property
    def port(self) -> int:
        """The port on 127.0.0.1, the same for the tracker's whole life."""
        return self._doorway.port

    @property
    def dsn(self) -> str:
        """The DSN for ``lastword.init`` or ``LASTWORD_DSN``."""
        if self.wire == "backtrace":
            return f"backtrace+http://{HOST}:{self.port}?token={self.token}"
        return f"booboo+http://{self.token}@{HOST}:{self.port}/loopback/tests"

    @property
    def events(self) -> list[Received]:
        """The events accepted so far, in order of arrival, including duplicates."""
        with self._changed:
            return list(self._events)

    @property
    def requests(self) -> list[Received]:
        """All requests so far, accepted or not."""
        with self._changed:
            return list(self._requests)

    @property
    def max_overlap(self) -> int:
        """The largest number of requests handled at the same time."""
        with self._changed:
            return self._max_overlap

    def go_down(self) -> None:
        """Close the listening socket and all connections; once this returns, no request is accepted or answered."""
        self._closing.set()
        self._doorway.close()

    def come_up(self) -> None:
        """Listen (again) on the same port."""
        self._closing.clear()
        self._doorway.open()

    def answer(
        self,
        status: int,
        *,
        retry_after: Union[float, str, None] = None,
        headers: Optional[Mapping[str, str]] = None,
        body: bytes = b"{}",
        times: Optional[int] = None,
        about: Optional[bytes] = None,
    ) -> None:
        """Give this answer to every request, or to the next ``times``; the event is accepted only with a 2xx.

        ``retry_after`` is a number of seconds or an HTTP date. With ``about``, the answer goes to all requests whose
        body contains these bytes, and to no others.
        """
        extra = dict(headers or {})
        if retry_after is not None:
            extra["Retry-After"] = retry_after if isinstance(retry_after, str) else f"{retry_after:g}"
        reply = HttpReply(status, body, extra)
        order = _Order(reply=reply, takes_events=200 <= status < 300, times=times)
        with self._changed:
            if about is None:
                self._order = order
            else:
                self._orders_about[about] = order

    def cut_answers(self, *, stored: bool, times: Optional[int] = None) -> None:
        """Close the connection instead of answering; ``stored`` says whether the event is accepted nevertheless."""
        with self._changed:
            self._order = _Order(cut=True, takes_events=stored, times=times)

    def be_slow(self, seconds: float) -> None:
        """Wait ``seconds`` before each answer. The event is accepted at once, even if the sender stops waiting."""
        with self._changed:
            self._delay = seconds

    def answer_normally(self) -> None:
        """Undo ``answer``, ``be_slow`` and ``cut_answers``."""
        with self._changed:
            self._delay, self._order = 0.0, _Order()
            self._orders_about.clear()

    def wait_for(self, condition: Condition, timeout: float = 10.0) -> list[Received]:
        """Return the events once there are at least ``condition`` of them, or once ``condition(events)`` is true.

        A function is called again after every request. After ``timeout`` seconds, AssertionError is raised, listing
        what was received.
        """

        def is_met() -> bool:
            return condition(list(self._events)) if callable(condition) else len(self._events) >= condition

        with self._changed:
            if self._changed.wait_for(is_met, timeout):
                return list(self._events)
            wanted = "the condition" if callable(condition) else f"{condition} events"
            raise AssertionError(f"waited {timeout:g} s for {wanted}; {self._account()}")

    def _account(self) -> str:
        refused = [request for request in self._requests if not request.stored]
        lines = [f"event: {event.message[:100]}" for event in self._events[-5:]]
        lines += [f"{r.status or 'cut'}: {r.method} {r.path[:60]} {r.why}" for r in refused[-5:]]
        total = f"received {len(self._events)} events and {len(refused)} requests that were not taken"
        return "\n  ".join([total, *lines])

    def _converse(self, connection: socket.socket) -> None:
        """Answer the requests of one connection until either side ends it."""
        with connection.makefile("rb") as stream:
            while True:
                try:
                    request = read_request(stream, connection)
                except RequestError as error:
                    connection.sendall(encode(refusal(error.status, str(error)).reply))
                    return
                if request is None:
                    return
                reply = self._handle(request)
                if reply is None:
                    return
                connection.sendall(encode(reply))
                if request.headers.get("connection", "").lower() == "close":
                    return

    def _handle(self, request: Request) -> Optional[HttpReply]:
        """Keep ``request`` and return its answer; None to give no answer."""
        with self._changed:
            self._busy += 1
            self._max_overlap = max(self._max_overlap, self._busy)
        try:
            reading = self._read(request)
            with self._changed:
                reply, delay = self._keep(request, reading), self._delay
            return None if delay and self._closing.wait(delay) else reply
        finally:
            # Before the answer goes out: its reader may at once send the next request on another connection.
            with self._changed:
                self._busy -= 1

    def _read(self, request: Request) -> Reading:
        if request.method != "POST":
            return refusal(405, "not a POST")
        if self.max_body is not None and len(request.body) > self.max_body:
            return refusal(413, f"{len(request.body)} bytes are more than {self.max_body}")
        return READERS[self.wire](request, self.token)

    def _keep(self, request: Request, reading: Reading) -> Optional[HttpReply]:
        order = next((order for about, order in self._orders_about.items() if about in request.body), None)
        if order is None:
            order, self._order = self._order, self._order.after_one_request()
        reply = None if order.cut else order.reply or reading.reply
        received = Received(
            at=request.at,
            method=request.method,
            path=request.path,
            headers=request.headers,
            raw=request.body,
            body=reading.body,
            attachments=reading.attachments,
            status=None if reply is None else reply.status,
            stored=reading.is_event and order.takes_events,
            why=reading.why,
        )
        self._requests.append(received)
        if received.stored:
            self._events.append(received)
        self._changed.notify_all()
        return reply
