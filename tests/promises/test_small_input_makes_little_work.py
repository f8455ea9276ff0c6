"""The promise: little input makes little work, whoever made it: what is read, opened, kept or said grows with what is
there, not with its square, and has a bound where it could be planted by the thousand.

What is counted here is operations and sizes, never time.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest

from lastword.audit import kept_events
from lastword.audit.accounts import read_accounts
from lastword.audit.findings import findings
from lastword.cli.change import whole_ids
from lastword.errors import ConfigError, SpoolError
from lastword.event import new_id
from lastword.flusher import retention, settle, upkeep, watch
from lastword.flusher.files_of_reports import with_attached_files
from lastword.flusher.ordered import Orders
from lastword.flusher.settle import Bookkeeper
from lastword.flusher.strikes import InFlight
from lastword.flusher.watch import WatchedWriter
from lastword.spool import aside, blackbox, destination, leader, ledger, orders, reader, redirects, refused, start
from lastword.spool.layout import Layout, read_small_file, segment_name
from lastword.spool.ledger import Ledger, WriterEntry
from lastword.spool.limits import Limits
from lastword.spool.orders import PURGE, REPLAY, Order
from lastword.spool.redirects import Redirects
from lastword.testing import LoopbackTracker
from tests.support.events import exception_event
from tests.support.planted import record, writer_of
from tests.support.promise import Section, promise
from tests.support.spools import Process, flush, impatient_flushers, look, messages

NOW = 1_800_000_000.0


class Desk:
    """A spool of which so many events were set aside, and a leader's orders."""

    def __init__(self, layout: Layout, count: int) -> None:
        self.layout = layout
        with writer_of(Path(layout.spool)) as writer:
            self.ids = record(writer, count)
        self.books = Bookkeeper(layout, Ledger())
        watched = WatchedWriter(layout, writer.id, self.books.ledger.entry(writer.id))
        look(watched, NOW)
        for line in list(watched.waiting()):
            self.books.settle_refused(watched, line, "refused", "HTTP 400", NOW)
        self.books.checkpoint()
        self.orders = Orders(layout, self.books)

    def plant(self, order: Order) -> str:
        return orders.give(self.layout, order)


@promise(
    Section.LITTLE_WORK,
    "An order reads only the events it names, and each look carries out a few orders",
    broken_by="everything is read for each; all orders at once",
)
def test_orders_read_only_the_events_they_name(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order that names events reads those alone; of a thousand orders a few are carried out at each look."""
    desk = Desk(layout, 40)
    read = Mock(side_effect=read_small_file)
    monkeypatch.setattr(kept_events, "read_small_file", read)
    for number in range(100):
        desk.plant(Order(REPLAY, [desk.ids[0], f"{number:032x}"]))
    done = 0
    while waiting := len(orders.waiting(layout)):
        desk.orders.look({}, NOW)
        done += 1
        assert waiting - 16 <= len(orders.waiting(layout)) < waiting
    assert done >= 6
    assert read.call_count == 1  # it is not there any more for the others
    assert read_accounts(layout.spool).held == 1


@promise(
    Section.LITTLE_WORK,
    "An order about many events holds few in memory and has a short answer",
    broken_by="one batch; every trouble reported",
)
@pytest.mark.parametrize("do", [REPLAY, PURGE])
def test_an_order_holds_a_few_events_at_a_time(layout: Layout, monkeypatch: pytest.MonkeyPatch, do: str) -> None:
    """However much is set aside, it is read one after the other, and removed with each checkpoint."""
    desk = Desk(layout, 150)
    most, seen, read = 0, 0, read_small_file

    def counting(path: str, limit: int) -> bytes:
        nonlocal most, seen
        seen += 1
        most = max(most, seen - (150 - len(os.listdir(layout.set_aside))))
        return read(path, limit)

    monkeypatch.setattr(kept_events, "read_small_file", counting)
    order_id = desk.plant(Order(do))
    desk.orders.look({}, NOW)
    answer = orders.take_answer(layout, order_id)
    assert answer is not None and answer.done == 150
    assert seen == 150 and most <= 64
    assert read_accounts(layout.spool).missing == 0


@promise(Section.LITTLE_WORK, "An order about many events holds few in memory and has a short answer")
def test_order_for_missing_events_is_answered_briefly(layout: Layout) -> None:
    """A hundred troubles are told and the rest counted, so that the answer can be read; too many ids are no order."""
    desk = Desk(layout, 1)
    order_id = desk.plant(Order(PURGE, [new_id() for _ in range(20_000)]))
    desk.orders.look({}, NOW)
    assert sum(os.path.getsize(os.path.join(layout.orders, name)) for name in os.listdir(layout.orders)) < 64 << 10
    answer = orders.take_answer(layout, order_id)
    assert answer is not None and len(answer.trouble) == 101 and answer.trouble[-1] == "and 19900 more"
    with pytest.raises(SpoolError, match="too many"):
        orders.give(layout, Order(REPLAY, ["0" * 32] * (orders.MOST_IDS + 1)))


@promise(Section.LITTLE_WORK, "Ids are looked up, not searched for", broken_by="one by one")
def test_ids_are_looked_up_not_searched_for() -> None:
    """The beginnings of ids among many: each costs a few comparisons."""

    class Id(str):
        compared = 0

        def __lt__(self, other: str) -> bool:
            Id.compared += 1
            return str(self) < str(other)

    everyone = [Id(f"{number:08x}") for number in range(4096)]
    assert whole_ids([f"{number:08x}" for number in range(0, 4096, 2)], iter(everyone)) == everyone[::2]
    assert Id.compared < 4096 * 12 + 2048 * 2 * 13
    with pytest.raises(SpoolError, match="16 ids begin with this"):
        whole_ids(["0000001"], iter(everyone))


@promise(
    Section.LITTLE_WORK,
    "Thousands of strange files or refusal reasons are reported briefly and hide nothing",
    broken_by="all reported; all counted",
)
def test_thousands_of_strange_files_are_reported_briefly(layout: Layout) -> None:
    """Some of each kind are named, and every kind is."""
    for number in range(300):
        (Path(layout.destinations) / f"x{number}").touch()
        (Path(layout.birth) / f"x{number}").touch()
    (Path(layout.writers) / "backup").mkdir()
    found = findings(layout)
    assert len(found) <= 200
    assert len({os.path.basename(os.path.dirname(one.text.split()[0])) for one in found}) == 3


@promise(Section.LITTLE_WORK, "Thousands of strange files or refusal reasons are reported briefly and hide nothing")
def test_thousands_of_refusal_reasons_are_counted_under_few(layout: Layout) -> None:
    """Reports of losses are bounded too, and their sum is complete."""
    os.mkdir(layout.refused)
    for number in range(300):
        (Path(layout.refused) / f"reason {number}").write_bytes(b".")
        (Path(layout.refused) / ("z" + "abcdefghij"[number % 10] * (1 + number // 10))).write_bytes(b".")
    (Path(layout.refused) / "disk full").write_bytes(b"..")
    counted = refused.counted(layout)
    assert counted["disk full"] == 2 and len(counted) <= 200
    told = upkeep.losses({}, {f"reason {number}": 1 + number for number in range(2_000)})
    assert len(told) <= 51 and sum(told.values()) == 2_000 * 2_001 // 2


@promise(
    Section.LITTLE_WORK,
    "Thousands of small segments cost linear time and few descriptors",
    broken_by="each checked separately whether it is finished; all buried at once",
)
@pytest.mark.parametrize("dead", [False, True])
def test_thousands_of_small_segments_are_read_once_each(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, dead: bool
) -> None:
    """A look at a writer asks once which of its segments are finished, and reads each once; they go with a bounded
    number of descriptors.
    """
    with LoopbackTracker() as tracker, impatient_flushers():
        process = Process(layout, tracker.dsn, "1", "2")
        lines = process.segment.read_bytes()
        for number in range(2, 400):
            (process.directory / segment_name(number)).write_bytes(b"" if number % 2 else b"x\n")
        process.segment.write_bytes(lines)
        asked, opened = Mock(side_effect=blackbox.load), Mock(side_effect=reader.read_lines)
        monkeypatch.setattr(blackbox, "load", asked)
        monkeypatch.setattr(watch, "read_lines", opened)
        if dead:
            process.ends()
        watched = WatchedWriter(layout, process.writer.id, WriterEntry())
        look(watched, NOW)
        retention.sizes_of(watched)
        assert asked.call_count == (0 if dead else 2)
        assert opened.call_count < 400
        monkeypatch.undo()
        process.ends()
        most, bury = 0, Bookkeeper._bury

        def counting(self: Bookkeeper, *arguments: object) -> bool:
            nonlocal most
            most = max(most, len(self._graves))
            return bury(self, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(Bookkeeper, "_bury", counting)
        monkeypatch.setattr(settle, "MOST_GRAVES", 32)
        with impatient_flushers():
            flush(layout)
        assert 16 < most < 32
        assert sum(messages(tracker).values()) == 2
    assert os.listdir(layout.writers) == []


@promise(Section.LITTLE_WORK, "Room for thousands of segments is made in few rounds", broken_by="eight at a time")
def test_room_is_made_in_few_rounds(layout: Layout) -> None:
    """Where thousands of segments are too much, a share of them goes each time that all are counted."""
    with writer_of(Path(layout.spool)) as writer:
        record(writer, 1)
    directory = Path(layout.writer(writer.id))
    (directory / "who.json").write_text(json.dumps({"pid": 1, "limits": {"spool": 0}}))
    for number in range(2, 300):
        (directory / segment_name(number)).write_bytes(b"x\n")
    watched = WatchedWriter(layout, writer.id, WriterEntry())
    look(watched, NOW)
    rounds = 0
    while retention.drop_oldest(layout, [watched], 8):
        rounds += 1
    assert rounds < 36
    assert retention.sizes_of(watched)[0] == 0
    assert retention.limits_of([watched]) == Limits(spool=0)


@promise(Section.LITTLE_WORK, "Few records wait alone, whatever a tracker answers", broken_by="no bound")
def test_few_records_wait_alone_when_every_answer_is_a_breakdown(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limited number, each in a file of its own: others wait where they are."""
    monkeypatch.setattr(watch, "MOST_ALONE", 20)
    with writer_of(Path(layout.spool)) as writer:
        record(writer, 50)
    watched = WatchedWriter(layout, writer.id, WriterEntry())
    look(watched, NOW)
    lines = list(watched.waiting())
    for line in lines[:20]:
        watched.defer(line)
    for line in lines[20:]:
        with pytest.raises(OSError, match="Too many"):
            watched.defer(line)
    assert len(list(Path(layout.writer(writer.id)).glob("d-*.seg"))) == 20
    assert len(list(watched.waiting())) == 50


@promise(
    Section.LITTLE_WORK, "No memory is allocated for a merely claimed size", broken_by="not compared with the file's"
)
def test_claimed_attachment_size_takes_no_memory(tmp_path: Path) -> None:
    """No memory is taken for what a file does not have."""
    path = tmp_path / "log"
    path.write_bytes(b"a line\n")
    found = path.stat()
    file = {"path": str(path), "device": found.st_dev, "inode": found.st_ino, "size": 1 << 60}
    one = {"type": "", "left_out": None, "name": "log", "size": 1 << 60, "content": None, "file": file}
    [sent] = with_attached_files(exception_event(attachments=[one]))["attachments"]
    assert sent["content"] is None and sent["left_out"]


def readers_of_files(layout: Layout, writer_id: str) -> dict[str, tuple[str, Callable[[], object]]]:
    """Of each small file of a spool its path, and who reads it."""
    directory, key = layout.writer(writer_id), "0123456789ab"
    return {
        "ledger": (layout.ledger_copies[0], lambda: (Ledger.load(layout), Ledger.is_whole(layout.ledger_copies[0]))),
        "generation": (layout.ledger_copies[1], lambda: ledger.newest_generation(layout)),
        "black box": (f"{directory}/blackbox", lambda: blackbox.read(f"{directory}/blackbox")),
        "who.json": (f"{directory}/who.json", lambda: WatchedWriter(layout, writer_id, WriterEntry())),
        "in_flight": (layout.in_flight, lambda: InFlight.load(layout)),
        "start.json": (layout.start_state, lambda: start.load(layout)),
        "helper.lock": (layout.helper_lock, lambda: start.has_led(layout, sys.executable)),
        "leader": (layout.leader, lambda: (leader.version_of(layout), leader.stands_still(layout, 0))),
        "destination": (layout.destination(key), lambda: _fails(ConfigError, lambda: destination.load(layout, key))),
        "redirect": (f"{layout.redirects}/1.json", lambda: Redirects(layout).refresh(NOW)),
        "order": (f"{layout.orders}/{'a' * 32}.json", lambda: orders.load(layout, "a" * 32)),
        "answer": (f"{layout.orders}/{'b' * 32}.done", lambda: orders.take_answer(layout, "b" * 32)),
        "set aside": (f"{layout.set_aside}/{'c' * 32}.record", lambda: list(kept_events.set_aside(layout))),
        "its head": (
            f"{layout.set_aside}/{'d' * 32}.record",
            lambda: aside.head_of(f"{layout.set_aside}/{'d' * 32}.record"),
        ),
        "refusals": (f"{layout.refused}/disk full", lambda: refused.counted(layout)),
    }


def _fails(kind: type[Exception], act: Callable[[], object]) -> None:
    with pytest.raises(kind):
        act()


@promise(
    Section.LITTLE_WORK,
    "Of a file of gigabytes only its allowed size is read; a ledger that claims 200 MB costs no memory",
    broken_by="as much as is claimed",
)
@pytest.mark.parametrize("content", [b"[", b"{", b"lastword ledger %020d %010d %08x\n" % (7, 200 << 20, 0)])
def test_a_file_of_gigabytes_is_not_read(layout: Layout, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Of a small file at most a few megabytes are read; of a ledger that claims 200 MB only what is there."""
    with writer_of(Path(layout.spool)) as writer:
        pass
    os.mkdir(layout.redirects)
    os.mkdir(layout.orders)
    os.mkdir(layout.refused)
    total = 0

    def counting(read: Callable[..., bytes]) -> Callable[..., bytes]:
        def counted(*arguments: int) -> bytes:
            nonlocal total
            found = read(*arguments)
            total += len(found)
            return found

        return counted

    monkeypatch.setattr(os, "read", counting(os.read))
    monkeypatch.setattr(os, "pread", counting(os.pread))
    for name, (path, read) in readers_of_files(layout, writer.id).items():
        Path(path).write_bytes(content)
        os.truncate(path, 4 << 30)
        total = 0
        read()
        assert total <= (1024 if name in ("ledger", "generation", "redirect") else 5 << 20), name
        os.unlink(path)


@promise(
    Section.LITTLE_WORK,
    "A ledger is never written larger than its reader accepts",
    broken_by="no limit; untouched writers kept; `above` kept",
)
def test_ledger_is_never_larger_than_its_reader_accepts(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it would be, it leaves out what costs least: places that are settled beyond others, and writers of which
    nothing is settled; and what cannot be made small enough is an error, never a ledger that nobody reads.
    """
    monkeypatch.setattr(ledger, "_MAX_LENGTH", 20_000)
    book = Ledger()
    for number in range(500):
        book.entry(f"{number:032x}").first_seen = NOW
    for number in range(5):
        entry = book.entry(f"{number:032x}")
        entry.advance(1, 100, 3)
        entry.tally["delivered"] = 3
        entry.above = {(1, place) for place in range(200, 456)}
    book.store(layout)
    loaded = Ledger.load(layout)
    assert loaded.generation == 1
    assert [(entry.offset, entry.tally["delivered"], entry.above) for entry in loaded.writers.values()] == [
        (100, 3, set())
    ] * 5
    for number in range(500):
        book.entry(f"{number:032x}").tally["delivered"] = 1
    with pytest.raises(SpoolError, match="no more than 20000 are read"):
        book.store(layout)
    assert Ledger.load(layout).generation == 1


@promise(Section.LITTLE_WORK, "Thousands of reasons in black boxes are counted under few", broken_by="each by itself")
def test_reasons_in_black_boxes_are_counted_under_few(layout: Layout) -> None:
    """The refusals of dead writers; their sum is complete."""
    book = Ledger()
    for number in range(50):
        book.retire(f"{number:032x}", {"disk full": 1, **{f"reason {number} {more}": 1 for more in range(50)}})
    assert len(book.totals.refused) <= 201
    assert sum(book.totals.refused.values()) == 50 * 51
    assert book.totals.refused["disk full"] == 50


@promise(
    Section.LITTLE_WORK,
    "Thousands of redirects, chains and loops cost little and are reported",
    broken_by="all obeyed; given without end",
)
def test_thousands_of_redirects_cost_little(layout: Layout) -> None:
    """A limited number counts and can be given; others are reported. Chains and loops are followed once."""
    with writer_of(Path(layout.spool)) as writer:
        record(writer, 1)
    for number in range(redirects.MOST_REDIRECTS):
        redirects.give(layout, *(("a" * 12, "b" * 12) if number % 2 else ("b" * 12, "a" * 12)))
    with pytest.raises(SpoolError, match="no room for another"):
        redirects.give(layout, "b" * 12, "c" * 12)
    assert findings(layout) == []
    for number in range(300):
        text = {"old": "b" * 12, "new": "c" * 12, "upto": {writer.id: [1, 10**6]}, "extras": []}
        (Path(layout.redirects) / f"9{number:019d}-{'0' * 32}.json").write_text(json.dumps(text))
    known = Redirects(layout)
    assert len(known.refresh(NOW)) <= redirects.MOST_REDIRECTS
    assert known.resolve("b" * 12, writer.id, segment_name(1), 0) == "b" * 12  # there and back, fifty times
    [told] = findings(layout)
    assert "300 redirects" in told.text
