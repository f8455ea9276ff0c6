"""The files of a spool, each with valid bytes to start from, and all that reads it."""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Callable

from hypothesis import strategies as st

from lastword.audit import kept_events
from lastword.audit.accounts import read_accounts
from lastword.dsn import Destination, Dsn
from lastword.errors import ConfigError
from lastword.flusher.strikes import InFlight
from lastword.spool import destination, orders, start
from lastword.spool.layout import Layout
from lastword.spool.leader import is_outdated, stands_still, version_of
from lastword.spool.ledger import Ledger
from lastword.spool.limits import Limits, widest
from lastword.spool.reader import read_lines_of
from lastword.spool.record import Damage, Record, body_of, encode_event, frame, parse, parse_head
from lastword.spool.redirects import Redirects
from tests.fuzz.harness import Failure, Target
from tests.fuzz.mutations import mutated
from tests.fuzz.world import World
from tests.support.events import exception, exception_event, message_event
from tests.support.events import frame as stack_frame

WRITER = "a" * 32
DSN = "booboo+http://loopback-token@127.0.0.1:9/org/project"
HERE = Destination(Dsn.parse(DSN), 5.0)
KEY = HERE.key
EVENT_ID = "0123456789ab4def8123456789abcdef"
NOW = 1_700_000_000.0

_LEDGER = {
    "writers": {
        WRITER: {
            "low": [1, 100, 1],
            "above": [[1, 300]],
            "extras": ["x-" + "b" * 32 + ".seg"],
            "extras_seen": 1,
            "tries": {"d-000001-100-" + "c" * 32 + ".seg": 2},
            "interrupted": 0,
            "first_seen": NOW,
            "tally": {"delivered": 2, "set aside: refused": 1, "dropped: too old": 1},
        }
    },
    "destinations": {
        KEY: {
            "failures": 2,
            "failing_since": NOW,
            "not_before": NOW + 5,
            "pause": 5.0,
            "asked_for": True,
            "last_error": "HTTP 503: later",
            "last_error_at": NOW,
            "last_success_at": NOW,
            "delivered": 3,
            "uncertain": 1,
            "misconfigured": False,
            "doubts": [EVENT_ID],
        }
    },
    "retired": ["d" * 32],
    "totals": {"writers": 1, "recorded": 3, "interrupted": 1, "tally": {"delivered": 3}, "refused": {"flood": 2}},
    "told": {"dropped: too old": 1},
    "told_at": NOW,
    "clock": {"from": "boot", "offset": NOW},
}
_WHO = {
    "pid": 1,
    "start_time": 100,
    "stack": 140_000_000,
    "boot_id": "b",
    "pid_namespace": "pid:[1]",
    "host": "h",
    "program": "/srv/shop.py",
    "directory": "/srv",
    "arguments": 1,
    "uid": 0,
    "lastword": "1.0",
    "born": NOW,
    "sys_path": ["/srv", "/usr/lib/python3"],
    "role": "",
    "limits": {"spool": 1 << 28, "age": 604800.0, "set_aside": 1 << 25},
}
_HEAD = {
    "why": "refused",
    "reason": "HTTP 400: no",
    "at": NOW,
    "to": KEY,
    "writer": WRITER,
    "segment": "000001.seg",
    "offset": 0,
    "length": 100,
}


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _bodies() -> list[bytes]:
    event = exception_event(id=EVENT_ID, exceptions=[exception("ValueError", "no", [stack_frame("pay", line=3)])])
    return [encode_event(EVENT_ID, to, one) for to, one in ((KEY, event), (None, message_event("m", id=EVENT_ID)))]


BODIES = _bodies()


def framed_ledger(text: bytes) -> bytes:
    """A copy of the ledger whose checksum vouches for ``text``."""
    generation = 7
    crc = zlib.crc32(text, zlib.crc32(b"%020d" % generation))
    return b"lastword ledger %020d %010d %08x\n" % (generation, len(text), crc) + text


def framed_state(text: bytes) -> bytes:
    """The same for the black box."""
    return (b"%08x %b\n" % (zlib.crc32(text), text)).ljust(4096, b"\0")


def framed_records(texts: Iterable[bytes]) -> bytes:
    """The same for a segment; bodies stay below what a record may have."""
    return b"".join(frame(text[: 1 << 19].replace(b"\n", b" "), number) for number, text in enumerate(texts, 1))


def reframed(content: bytes) -> bytes:
    """``content`` with the checksum that it would need, if it is anything that has one."""
    if content.startswith(b"lastword ledger "):
        return framed_ledger(content.partition(b"\n")[2].rstrip(b"\0"))
    if content.startswith(b'{"c":"'):
        return framed_records(map(body_of, content.splitlines()))
    if content[8:9] == b" ":
        return framed_state(content.partition(b" ")[2].partition(b"\n")[0])
    return content


# What is done with each: all that a flusher and the commands do before anything is sent.


def _read_segment(layout: Layout, path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        for parser in (parse_head, parse):
            for finished in (False, True):
                end = 0
                for line in read_lines_of(descriptor, 0, finished=finished, parse=parser):
                    if line.start < end or line.end <= line.start:
                        raise Failure("order", f"{line} after {end}")
                    end = line.end
                    if isinstance(line.found, Record):
                        _use_record(line.found)
                    elif not isinstance(line.found, Damage):
                        raise Failure("kind", repr(line.found))
                if finished and end < path.stat().st_size - 1 and path.read_bytes()[end:].strip(b"\n"):
                    raise Failure("unread", f"it ends at {end}")
    finally:
        os.close(descriptor)
    read_accounts(layout.spool)
    list(kept_events.held(layout))


def _use_record(record: Record) -> None:
    at = record.captured_at
    if not (type(at) is float and at == at and abs(at) < 1e300):
        raise Failure("captured_at", repr(at))
    if record.seq is not None and not 0 < record.seq < 1 << 63:
        raise Failure("seq", repr(record.seq))


def _read_ledger(layout: Layout, path: Path) -> None:
    ledger = Ledger.load(layout)
    ledger.now()
    for entry in ledger.writers.values():
        _ = entry.recorded, entry.settled, entry.has_settled((1, 1))
    for health in ledger.destinations.values():
        if not 0 <= health.time_left(time.time()) < 1e9:
            raise Failure("time_left", repr(health))
    Path(layout.ledger_copies[1]).unlink(missing_ok=True)
    ledger.store(layout)
    if Ledger.load(layout).generation != ledger.generation:
        raise Failure("it cannot be read back", "")
    read_accounts(layout.spool)


def _read_start(layout: Layout, path: Path) -> None:
    state, now = start.load(layout), time.time()
    start.is_coming(layout, state, now)
    _ = state.allows(now), state.may_come_soon(now), state.may_be_waited_out(now), state.for_process(now)
    start.store(layout, state.before_start(now))
    start.store(layout, state.after_failure())


def _read_in_flight(layout: Layout, path: Path) -> None:
    InFlight.load(layout).store(layout)


def _read_leader(layout: Layout, path: Path) -> None:
    _ = version_of(layout), is_outdated(layout), stands_still(layout, 0)


def _read_order(layout: Layout, path: Path) -> None:
    for order_id in orders.waiting(layout):
        orders.load(layout, order_id)


def _read_answer(layout: Layout, path: Path) -> None:
    answer = orders.take_answer(layout, path.stem)
    if answer is None or type(answer.done) is not int:
        raise Failure("answer", repr(answer))


def _read_redirect(layout: Layout, path: Path) -> None:
    redirects = Redirects(layout)
    redirects.refresh(time.time())
    redirects.resolve(None, WRITER, "000001.seg", 0)
    redirects.resolve(KEY, WRITER, "d-000001-100-" + "c" * 32 + ".seg", 0)
    redirects.forget_spent({WRITER})
    read_accounts(layout.spool)


def _read_set_aside(layout: Layout, path: Path) -> None:
    for one in kept_events.set_aside(layout):
        _ = one.captured_at, one.event, one.at + 1.0


def _read_destination(layout: Layout, path: Path) -> None:
    try:
        found = destination.load(layout, KEY)
    except ConfigError:
        found = HERE
    _ = found.dsn.place, found.dsn.tracker, found.key
    try:
        Destination.decode(path.read_bytes()[: 1 << 20])
    except ConfigError:
        pass


def _read_writer(layout: Layout, path: Path) -> None:
    for account in read_accounts(layout.spool).writers:
        _ = account.pid, account.program, account.alive
    who: Any = None
    try:
        who = json.loads(path.read_bytes()[:4096])
    except (ValueError, RecursionError):
        pass
    limits = widest([Limits.decode(who.get("limits") if isinstance(who, dict) else who)])
    if not limits.age >= 0 or not limits.set_aside >= 0:
        raise Failure("limits", repr(limits))


def _read_refused(layout: Layout, path: Path) -> None:
    if any(type(count) is not int or count < 0 for count in read_accounts(layout.spool).refused.values()):
        raise Failure("refused", "")


Read = Callable[[Layout, Path], None]

#: Name → its path below ``v1``, valid contents, what reads it.
FORMATS: dict[str, tuple[str, Sequence[bytes], Read]] = {
    "segment": (f"writers/{WRITER}/000001.seg", [framed_records(BODIES)], _read_segment),
    "x-segment": (f"writers/{WRITER}/x-{'b' * 32}.seg", [frame(body, None) for body in BODIES], _read_segment),
    "ledger": ("ledger.a", [framed_ledger(_json(_LEDGER))], _read_ledger),
    "blackbox": (
        f"writers/{WRITER}/blackbox",
        [framed_state(_json({"generation": 3, "sealed_upto": 1, "refused": {"flood": 4}}))],
        _read_writer,
    ),
    "who": (f"writers/{WRITER}/who.json", [_json(_WHO)], _read_writer),
    "start": (
        "start.json",
        [_json({"failures": 2, "not_before": NOW, "unfinished": True, "stopped_at": NOW}) + b"\n"],
        _read_start,
    ),
    "in_flight": (
        "in_flight.json",
        [_json({"boot_id": "BOOT", "sending": [EVENT_ID], "alone": EVENT_ID, "strikes": {EVENT_ID: 1}})],
        _read_in_flight,
    ),
    "leader": ("flusher.json", [_json({"pid": 1, "lastword": "0.1.2", "since": NOW, "signs": True})], _read_leader),
    "order": (
        f"orders/{'e' * 32}.json",
        [_json({"do": "replay", "ids": [EVENT_ID]}), _json({"do": "purge", "ids": None})],
        _read_order,
    ),
    "answer": (f"orders/{'e' * 32}.done", [_json({"done": 2, "trouble": ["x"]})], _read_answer),
    "redirect": (
        f"redirects/{1:020d}-{'e' * 32}.json",
        [_json({"old": KEY, "new": "b" * 12, "upto": {WRITER: [1, 100]}, "extras": ["x-" + "b" * 32 + ".seg"]})],
        _read_redirect,
    ),
    "set_aside": (
        f"set_aside/{EVENT_ID}.record",
        [_json(_HEAD) + b"\n" + framed_records(BODIES[:1])],
        _read_set_aside,
    ),
    "destination": (
        f"destinations/{KEY}.json",
        [HERE.encode(), HERE.with_options(proxy="http://u:p@127.0.0.1:9", scrub_names=("iban",)).encode()],
        _read_destination,
    ),
    "refused": ("refused/no spool", [b"....", b"." * 1000], _read_refused),
}


def reader(name: str, world: World) -> Target:
    """The target of the format ``name``."""
    place, samples, read = FORMATS[name]
    layout = world.layout()
    path = Path(layout.base, place)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)

    def check(content: bytes) -> None:
        for parent in (path.parent, Path(layout.base)):  # what the input before has left
            for other in parent.iterdir():
                if other.is_file():
                    other.unlink()
        path.write_bytes(content.replace(b"BOOT", _boot_id()))
        read(layout, path)

    changed = mutated(samples)
    # Segments are read six times.
    return Target(
        name, st.one_of(changed, changed.map(reframed)), check, world.touched, 6 if read is _read_segment else 1
    )


def _boot_id() -> bytes:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    except OSError:
        return b"BOOT"
