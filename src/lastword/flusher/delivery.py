"""One attempt at one record: render it, send it, judge the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, cast

from lastword.dsn import Destination
from lastword.errors import ConfigError, SendError
from lastword.event import Event
from lastword.flusher.files_of_reports import completed
from lastword.foreign_text import MOST_QUOTED, one_line
from lastword.interruption import failures
from lastword.spool import destination as destination_files
from lastword.spool.layout import Layout
from lastword.spool.record import EVENT, RENDERED, Record, rendered_body
from lastword.transport.http_sender import HttpSender
from lastword.wire.format import Blame, History, HttpRequest, Misconfigured, Refused, Retry, Verdict, WireFormat
from lastword.wire.formats import FORMATS


@dataclass(frozen=True)
class Attempt:
    """The result of one attempt. ``ambiguous``: the request may have arrived although no answer was seen."""

    verdict: Verdict
    ambiguous: bool = False


class Courier:
    """Sends records to the destinations that they name, over kept-alive connections.

    It waits at most ``most_wait`` seconds for a connection and as long for an answer, even if the destination
    allows more.
    """

    def __init__(self, layout: Layout, sender: HttpSender, *, most_wait: Optional[float] = None) -> None:
        self._layout = layout
        self._sender = sender
        self._most_wait = most_wait
        self._destinations: dict[str, Destination] = {}

    def attempt(self, record: Record, key: str, history: History) -> Attempt:
        """Try to deliver ``record`` to the destination named ``key``; if it is refused as too large, once more in a
        smaller version. Never raises.
        """
        try:
            return self._attempt(record, key, history)
        except failures() as error:  # a defect of ours, which must not cost the event
            known = self._destinations.get(key)
            told = one_line(repr(error), MOST_QUOTED, known.secrets if known else ())
            return Attempt(Retry(f"lastword failed to send it: {told}", blame=Blame.EVENT))

    def _attempt(self, record: Record, key: str, history: History) -> Attempt:
        try:
            destination = self._destination(key)
            wire = FORMATS[destination.dsn.wire]
        except failures(ConfigError, KeyError) as error:
            return Attempt(Misconfigured(str(error)))
        problem = _problem_with(record)
        if problem is not None:
            return Attempt(Refused(problem))
        record = completed(record, destination)
        attempt, size = self._post(record, wire, destination, history, None)
        if isinstance(attempt.verdict, Refused) and attempt.verdict.too_large:
            attempt, _ = self._post(record, wire, destination, history, size // 2)
        return attempt

    def _post(
        self, record: Record, wire: WireFormat, destination: Destination, history: History, limit: Optional[int]
    ) -> tuple[Attempt, int]:
        """Send one request; return the attempt and the size of the request's body in bytes."""
        try:
            request = _request(record, wire, destination, limit)
        except failures() as error:  # an event that cannot be rendered must not stop other events
            told = one_line(repr(error), MOST_QUOTED, destination.secrets)
            return Attempt(Refused(f"cannot be rendered for {destination.dsn.wire}: {told}")), 0
        try:
            reply = self._sender.send(request, destination)
        except failures(SendError) as error:
            verdict = Retry(str(error), blame=Blame.EVENT if error.ambiguous else Blame.NETWORK)
            return Attempt(verdict, ambiguous=error.ambiguous), len(request.body)
        return Attempt(wire.judge(reply, history)), len(request.body)

    def _destination(self, key: str) -> Destination:
        if key not in self._destinations:
            found = destination_files.load(self._layout, key)
            if self._most_wait is not None:
                connect_timeout = min(found.connect_timeout or found.timeout, self._most_wait)
                found = found.with_options(timeout=min(found.timeout, self._most_wait), connect_timeout=connect_timeout)
            self._destinations[key] = found
        return self._destinations[key]


def _request(record: Record, wire: WireFormat, destination: Destination, limit: Optional[int]) -> HttpRequest:
    if record.kind == EVENT:
        return wire.request(cast("Event", record.content), destination, limit)
    of = record.content.get("wire")
    if of != destination.dsn.wire:
        raise ValueError(f"it was made for {of!r}")
    return wire.rendered(rendered_body(record.content), str(record.content.get("type")), destination, limit)


def _problem_with(record: Record) -> Optional[str]:
    if record.kind not in (EVENT, RENDERED):
        return f"records of kind {record.kind!r} are not known to this version"
    if not isinstance(record.content, dict):
        return "the event is no JSON object"
    return None
