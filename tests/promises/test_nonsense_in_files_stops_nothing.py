"""The promise: whatever value stands in a file of the spool, of another type, out of range or nested without
end, costs what that file says and nothing else. Good events beside it are delivered, and every command does its work.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from lastword.audit.accounts import read_accounts
from lastword.cli import main
from lastword.dsn import Destination, Dsn
from lastword.errors import ConfigError
from lastword.event import new_id
from lastword.flusher.strikes import InFlight, Strikes
from lastword.spool import aside, blackbox, destination, identity, leader, orders, start
from lastword.spool.layout import Layout
from lastword.spool.ledger import DestinationHealth, Ledger
from lastword.spool.limits import Limits
from lastword.spool.record import Record, encode_event, frame, parse
from lastword.spool.redirects import Redirects
from lastword.testing import LoopbackTracker
from tests.support.events import message_event
from tests.support.nonsense import VALUES, spoilt
from tests.support.promise import Section, promise
from tests.support.spools import Process, flush, impatient_flushers, messages

pytestmark = promise(
    Section.DAMAGE,
    "Nonsense in `in_flight.json`, redirects, `start.json`, `who.json`, black box, orders, answers or "
    "set-aside files costs only what that file says",
    broken_by="strikes by `int()`; any text for a key; any time",
)


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    with impatient_flushers():
        yield


def stored(path: str) -> bytes:
    """The JSON of a copy of the ledger."""
    head, _, text = Path(path).read_bytes().partition(b"\n")
    return text[: int(head.split()[3])]


def full_ledger(layout: Layout, writer_id: str = "a" * 32, key: str = "0123456789ab") -> dict[str, Any]:
    """Everything that a ledger says, as JSON; it is written to ``layout``."""
    full = Ledger()
    entry = full.entry(writer_id)
    entry.advance(2, 700, 9)
    entry.above.add((2, 800))
    entry.extras.add("x-a.seg")
    entry.tries["d-000001-0-" + "a" * 32 + ".seg"] = 2
    entry.first_seen = 1e9
    entry.tally["delivered"] = 8
    full.destinations[key] = DestinationHealth(failures=3, failing_since=1e9, not_before=2e9, pause=5.0, doubts=["a"])
    full.retired.add("b" * 32)
    full.totals.refused["sampled"] = 1
    full.totals.tally["set aside: refused"] = 1
    full.told, full.told_at = full.totals.refused.copy(), 1e9
    full.store(layout)
    told: dict[str, Any] = json.loads(stored(layout.ledger_copies[1]))
    return told


def write_ledger(layout: Layout, text: str) -> None:
    """Both copies of it, with checksums that are right."""
    for generation, path in enumerate(layout.ledger_copies, 6):
        checksum = zlib.crc32(b"%020d" % generation + text.encode("ascii"))
        Path(path).write_text(f"lastword ledger {generation:020d} {len(text):010d} {checksum:08x}\n{text}")


@promise(
    Section.DAMAGE,
    "A ledger with a nonsense value is rejected, or can be used, stored and read back",
    broken_by="a pause without a limit; times not checked",
)
def test_nonsense_in_a_ledger_is_rejected_or_usable(layout: Layout) -> None:
    """A ledger that is accepted can be used, stored and read back."""
    taken = 0
    for what, text in spoilt(full_ledger(layout)):
        write_ledger(layout, text)
        loaded = Ledger.load(layout)
        for health in loaded.destinations.values():
            assert 0 <= health.time_left(loaded.now()) <= 24 * 3600, what
            health.delivered += 1
        for entry in loaded.writers.values():
            entry.advance(entry.segment, entry.offset + 1, entry.seq + 1)
        taken += bool(loaded.writers)
        loaded.generation += 10
        loaded.store(layout)
        assert Ledger.load(layout).generation == loaded.generation, what
        assert len(stored(layout.ledger_copies[loaded.generation % 2])) < 10_000, what
    assert taken > 20  # whose nonsense can be borne


def write(path: str, content: str) -> None:
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(content + "\n")


def test_nonsense_in_in_flight_json_is_rejected_or_usable(layout: Layout) -> None:
    """The file is used as a whole or not at all; the next flusher can write its own."""
    InFlight(["a" * 32], "b" * 32, {"b" * 32: 2}).store(layout)
    told = json.loads(Path(layout.in_flight).read_bytes())
    for what, text in spoilt(told):
        write(layout.in_flight, text)
        strikes = Strikes(layout)
        assert all(type(count) is int for count in strikes.counts.values()), what
        assert not any(strikes.counts[id] > 3 for id in strikes.counts if not strikes.is_poison(id)), what
        strikes.sends("c" * 32, ["c" * 32])
        InFlight.load(layout)


def test_nonsense_redirect_redirects_nothing(layout: Layout) -> None:
    """Reading one raises nothing."""
    told = {"old": None, "new": "0123456789ab", "upto": {"a" * 32: [1, 100]}, "extras": ["x-1.seg"]}
    for number, (what, text) in enumerate(spoilt(told)):
        path = os.path.join(layout.redirects, f"{number:020d}-{new_id()}.json")
        write(path, text)
        redirects = Redirects(layout)
        redirects.refresh(0.0)
        to = redirects.resolve(None, "a" * 32, "000001.seg", 7)
        assert to is None or "/" not in to, what
        os.unlink(path)


def test_nonsense_in_small_files_is_read_without_an_error(layout: Layout) -> None:
    """Who may start a flusher, who leads, who a writer is, what it refused, orders and answers, what was set aside, and
    destinations: read without an error, and within range where a number comes of it.
    """
    start.store(layout, start.StartState(1, 1e9, True, 1e9))
    leader.announce(layout)
    box = os.path.join(layout.base, "blackbox")
    who = {"pid": 1, "start_time": 1, "stack": 1, "boot_id": "b", "pid_namespace": "p", "host": "h", "program": "p"}
    who.update(
        {"directory": "/", "arguments": 1, "uid": 0, "born": 1e9, "role": "", "limits": Limits(spool=1).encode()}
    )
    for what, text in spoilt(json.loads(Path(layout.start_state).read_bytes())):
        write(layout.start_state, text)
        state = start.load(layout)
        assert abs(state.not_before) <= 1e12 and abs(state.stopped_at) <= 1e12 and state.failures >= 0, what
        start.store(layout, state.before_start(2e9))
        start.load(layout)
    for _, text in spoilt(json.loads(Path(layout.leader).read_bytes())):
        write(layout.leader, text)
        leader.is_outdated(layout)
        leader.stands_still(layout, 0)
    for what, text in spoilt(who):
        write(layout.leader, text)
        read = identity.read_who(layout.leader)
        identity.may_be_alive(read)
        identity.program_of(read)
        limits = Limits.decode(read.get("limits"))
        assert all(value is None or 0 <= float(value) < float("inf") for value in limits), what
    for what, text in spoilt({"generation": 3, "sealed_upto": 2, "refused": {"sampled": 1}}):
        state_text = text.encode()
        write(box, f"{zlib.crc32(state_text):08x} {text}")
        found = blackbox.load(box)
        assert 0 <= found.sealed_upto < 2**63 and all(0 < n < 2**63 for n in found.refused.values()), what
    for what, text in spoilt({"do": "purge", "ids": ["a" * 32]}):
        write(os.path.join(layout.orders, "1.json"), text)
        order = orders.load(layout, "1")
        assert order is None or order.ids is not None or text.endswith('"ids": null}'), what
    for what, text in spoilt({"done": 1, "trouble": ["x"]}):
        Path(layout.orders, "1.json").unlink(missing_ok=True)
        write(os.path.join(layout.orders, "1.done"), text)
        answer = orders.take_answer(layout, "1")
        assert answer is not None and 0 <= answer.done < 2**63, what
    for what, text in spoilt({"why": "refused", "reason": "r", "at": 1e9, "to": "0123456789ab"}):
        head = aside.Head.decode(text.encode())
        assert abs(head.at) < 1e12 and len(head.why) <= 20 and "/" not in (head.to or ""), what


@promise(
    Section.DAMAGE,
    "A nonsense destination, even with an unparsable URL, raises one kind of error",
    broken_by="the URL not checked",
)
def test_nonsense_destination_is_one_kind_of_error(layout: Layout) -> None:
    """Whatever is not what its name says is one kind of error, also under the name that its own content gives it."""
    to = Destination(Dsn.parse("booboo+http://t@127.0.0.1:9/o/p"), 5.0, connect_timeout=1.0, scrub_names=("a",))
    urls = ["http://[", "http://[::1", "http://h:99999/", "http://h:x/", "http://\udc80]", "//", "http://h:\u0661/"]
    texts = [text for _, text in spoilt(json.loads(to.encode()))]
    texts += [json.dumps({**json.loads(to.encode()), "dsn": {"wire": "booboo", "url": u, "token": "t"}}) for u in urls]
    for text in texts:
        try:
            read = Destination.decode(text.encode())
        except ConfigError:
            continue
        assert read.dsn.place and read.dsn.tracker and 0 <= read.timeout < float("inf")
        write(layout.destination(read.key), text)
        assert read.key and destination.load(layout, read.key).key == read.key


@promise(Section.DAMAGE, "A record with an impossible number is damage", broken_by="no highest number")
@pytest.mark.parametrize("number", [raw for raw in VALUES.values() if raw[0] in "-0123456789IN"])
def test_record_with_an_impossible_number_is_damage(layout: Layout, number: str) -> None:
    """Even with a right checksum; the records behind it are delivered."""
    with LoopbackTracker() as tracker:
        process = Process(layout, tracker.dsn, "before").ends()
        assert process.destination is not None
        event = message_event("odd", stack=[])
        body = encode_event(event["id"], process.destination.key, event)
        rest = b'"n":%b,%b' % (number.encode(), body)
        last = frame(encode_event((good := message_event("behind", stack=[]))["id"], process.destination.key, good), 3)
        with process.segment.open("ab") as segment:
            segment.write(b'{"c":"%08x",%b\n' % (zlib.crc32(rest), rest) + last)
        flush(layout)
        found = messages(tracker)
    assert found["before"] == found["behind"] == 1
    accounts = read_accounts(layout.spool)
    assert (accounts.held, accounts.missing) == (0, 0)
    assert accounts.recorded < 2**33


TIMES = ["NaN", "Infinity", "1e999", "1e300", "-1e300", "9" * 400, "9" * 4300, "true", '"now"', "null", "[]", "{}"]


@promise(
    Section.DAMAGE,
    "Events with an impossible time are listed, shown and sent, or set aside",
    broken_by="the time taken as it is; shown by `localtime` alone",
)
def test_event_with_an_impossible_time_holds_nothing_up(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """It is listed and shown in any state, like events with other nonsense."""
    with LoopbackTracker() as tracker:
        process = Process(layout, tracker.dsn, "before")
        assert process.destination is not None
        ids = []
        event = message_event("odd")
        texts = [text for _, text in spoilt(event, keep=("id",)) if text.startswith('{"id"')]
        texts += [json.dumps({**event, "timestamp": "@"}).replace('"@"', time) for time in TIMES]
        for number, text in enumerate(texts, 2):
            ids.append(new_id())
            rest = f'"n":{number},"to":"{process.destination.key}","id":"{ids[-1]}","kind":"event","event":{text}}}'
            line = b'{"c":"%08x",%b\n' % (zlib.crc32(rest.encode()), rest.encode())
            if process.segment.stat().st_size + len(line) < 1 << 20:
                with process.segment.open("ab") as segment:
                    segment.write(line)
        Process(layout, tracker.dsn, "behind").ends()
        process.ends()
        for command in ("ls", "status", "doctor"):
            assert main([command, "--spool", layout.spool]) in (0, 1)
        flush(layout, most=20_000)
        assert messages(tracker)["before"] == messages(tracker)["behind"] == 1
    assert main(["ls", "--set-aside", "--spool", layout.spool]) == 0
    assert main(["status", "--json", "--spool", layout.spool]) in (0, 1)
    accounts = read_accounts(layout.spool)
    assert (accounts.held, accounts.missing) == (0, 0)


@promise(Section.DAMAGE, "Events with an impossible time are listed, shown and sent, or set aside")
def test_every_command_works_on_events_with_impossible_times(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """Held events with such times can be listed and shown one by one."""
    event = message_event("odd", breadcrumbs=[{"timestamp": 1.0, "level": "info", "message": "m", "data": {}}])
    process = Process(layout, None, "good")
    for number, time in enumerate(TIMES, 2):
        text = json.dumps({**event, "timestamp": "@", "breadcrumbs": [{"timestamp": "@"}]}).replace('"@"', time)
        rest = f'"n":{number},"to":null,"id":"{number:032x}","kind":"event","event":{text}}}'
        assert isinstance(parse(b'{"c":"%08x",%b' % (zlib.crc32(rest.encode()), rest.encode())), Record) == (
            time not in ("NaN", "Infinity")
        )
        with process.segment.open("ab") as segment:
            segment.write(b'{"c":"%08x",%b\n' % (zlib.crc32(rest.encode()), rest.encode()))
    assert main(["ls", "--spool", layout.spool]) == 0
    assert capsys.readouterr().out.count("odd") == len(TIMES) - 2
    for number, time in enumerate(TIMES, 2):
        if time not in ("NaN", "Infinity"):
            assert main(["show", f"{number:032x}", "--spool", layout.spool]) == 0
            assert "odd" in capsys.readouterr().out
    process.writer.abandon()


def craft_who(layout: Layout, raw: str) -> None:
    for id in layout.writer_ids():
        path = os.path.join(layout.writer(id), "who.json")
        write(path, f'{{"pid":{raw},"limits":{{"spool":{raw},"age":{raw}}}}}')


_CRAFTED: dict[str, Callable[[Layout, str], None]] = {
    "in_flight.json": lambda layout, raw: write(
        layout.in_flight,
        json.dumps({"boot_id": identity.boot_id(), "sending": [], "alone": "", "strikes": {"a": "@"}}).replace(
            '"@"', raw
        ),
    ),
    "start.json": lambda layout, raw: write(layout.start_state, f'{{"failures":{raw},"not_before":{raw}}}'),
    "flusher.json": lambda layout, raw: write(layout.leader, f'{{"lastword":{raw},"signs":{raw}}}'),
    "a redirect": lambda layout, raw: write(
        os.path.join(layout.redirects, f"{1:020d}-{new_id()}.json"),
        json.dumps({"old": None, "new": "0123456789ab", "upto": {"a" * 32: ["@", 1]}, "extras": []}).replace(
            '"@"', raw
        ),
    ),
    "an order": lambda layout, raw: write(
        os.path.join(layout.orders, f"{new_id()}.json"), f'{{"do":"purge","ids":{raw}}}'
    ),
    "who.json": craft_who,
    "set aside": lambda layout, raw: write(
        os.path.join(layout.set_aside, f"{new_id()}.record"), f'{{"why":"refused","reason":"r","at":{raw}}}\nx'
    ),
    "a destination": lambda layout, raw: write(layout.destination("f" * 12), f'{{"dsn":{raw},"timeout":{raw}}}'),
    "the ledger": lambda layout, raw: write_ledger(
        layout,
        json.dumps({**full_ledger(layout), "destinations": {"f" * 12: {"not_before": "@", "pause": 10.0}}}).replace(
            '"@"', raw
        ),
    ),
}


@promise(
    Section.DAMAGE,
    "Good events beside nonsense in every file at once are delivered, and every command works",
    broken_by="times of destinations not checked",
)
@pytest.mark.parametrize("raw", ["1e999", "NaN", "9" * 4300, str(2**64), '"x"', "[" * 5000 + "]" * 5000])
def test_good_events_beside_nonsense_are_delivered(
    layout: Layout, raw: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a nonsense value in every kind of file at once."""
    with LoopbackTracker() as tracker:
        Process(layout, tracker.dsn, "one").ends()
        Process(layout, tracker.dsn, "two").ends()
        for craft in _CRAFTED.values():
            craft(layout, raw)
        for command in (["status"], ["status", "--json"], ["ls"], ["ls", "--set-aside"], ["doctor"]):
            assert main([*command, "--spool", layout.spool]) in (0, 1)
        flush(layout)
        assert messages(tracker) == {"one": 1, "two": 1}
    assert "Traceback" not in capsys.readouterr().err
