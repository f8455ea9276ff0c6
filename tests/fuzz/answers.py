"""What a tracker, or a proxy before it, may answer."""

from __future__ import annotations

from contextlib import ExitStack

from lastword.dsn import Destination, Dsn
from lastword.flusher.delivery import Courier
from lastword.spool import destination
from lastword.spool.record import Record, frame, parse
from lastword.transport.http_sender import HttpSender
from lastword.wire.format import Delivered, History
from tests.fuzz.formats import BODIES
from tests.fuzz.harness import Failure, Target
from tests.fuzz.liar import Liar
from tests.fuzz.mutations import DIRTY, mutated
from tests.fuzz.world import World

TOKEN = "s3cr3t-t0k3n-0123456789"

#: Characters of a verdict's reason.
MOST_SAID = 400

_LONG = b"x" * 70_000

ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n" + b'{"response":"ok"}',
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"response":"ok","_rxid":"01000000"}',
    b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{}  \r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 503 Later\r\nRetry-After: 120\r\nDate: Mon, 03 Mar 2025 12:00:00 GMT\r\n\r\n<html>down</html>",
    b"HTTP/1.1 429 Slow\r\nRetry-After: Mon, 03 Mar 2025 12:00:30 GMT\r\nDate: Mon, 03 Mar 2025 12:00:00 GMT\r\n\r\n",
    b"HTTP/1.1 307 Elsewhere\r\nLocation: /again?token=" + TOKEN.encode() + b"\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://[::1/" + TOKEN.encode() + b"/x\r\n\r\n",
    b"HTTP/1.1 401 No\r\nWWW-Authenticate: x\r\n\r\nwrong key: " + TOKEN.encode(),
    b"HTTP/1.1 413 Large\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\x03",
    b"HTTP/1.1 400 " + DIRTY.encode() + b"\r\nX: " + DIRTY.encode() + b"\r\n\r\n" + DIRTY.encode() + _LONG,
    b"HTTP/1.1 500 " + _LONG + b"\r\n\r\n",
    b"HTTP/1.0 200\r\n" + b"A: b\r\n" * 300 + b"\r\n",
    b"SSH-2.0-x\r\n",
    b"",
]


def target(world: World, stack: ExitStack) -> Target:
    """Answers to one event, of either kind of tracker, and of a proxy."""
    layout, liar, sender = world.layout(), Liar(), stack.enter_context(HttpSender())
    stack.callback(liar.close)
    record = parse(frame(BODIES[0], 1).rstrip(b"\n"))
    assert isinstance(record, Record)
    dsns = (f"booboo+http://{TOKEN}@{liar.origin}/o/p", f"backtrace+http://{liar.origin}?token={TOKEN}")
    ways = [Destination(Dsn.parse(dsn), 5.0) for dsn in dsns]
    proxied = Destination(Dsn.parse(f"booboo+https://{TOKEN}@127.0.0.1:9/o/p"), 5.0)
    ways.append(proxied.with_options(proxy=f"http://user:{TOKEN}@{liar.origin}"))
    for way in ways:
        destination.store(layout, way)
    courier = Courier(layout, sender)

    def check(answer: bytes) -> None:
        liar.answer = lambda body: answer
        liar.bodies.clear()
        for way in ways:
            verdict = courier.attempt(record, way.key, History()).verdict
            if not isinstance(verdict, Delivered):
                check_reason(verdict.reason)

    return Target("answers", mutated(ANSWERS), check, world.touched)


def check_reason(reason: str) -> None:
    """What is kept of an answer is one short line that does no harm to a terminal, and tells no token."""
    if not reason.isprintable():
        raise Failure("not printable", repr(reason)[:500])
    if len(reason) > MOST_SAID:
        raise Failure("too long", f"{len(reason)} characters: {reason[:200]}")
    if TOKEN in reason:
        raise Failure("the token", reason)
    if "lastword failed" in reason:
        raise Failure("a defect", reason)
