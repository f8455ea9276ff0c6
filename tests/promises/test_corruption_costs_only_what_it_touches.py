"""The promise: damage to the spool costs what it touches. Everything else is delivered, once, and `status` says what
is wrong; nothing crashes, waits or runs in circles over it.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Callable, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lastword.cli import status
from lastword.config import Destination, Dsn
from lastword.flusher import schedule
from lastword.flusher.leadership import Leadership
from lastword.flusher.loop import Flusher
from lastword.spool import destination as destination_files
from lastword.spool import start
from lastword.spool.accounts import read_accounts
from lastword.spool.findings import findings
from lastword.spool.layout import Layout, segment_name
from lastword.spool.ledger import Ledger
from lastword.spool.reader import read_lines_of
from lastword.spool.record import Record, encode_event, frame
from lastword.spool.writer import Writer
from lastword.testing import LoopbackTracker
from tests.support.events import message_event
from tests.support.programs import run, wait_for_accounts, wait_until_no_flusher
from tests.support.second_user import ROOT, VICTIM, as_user, make_shared, open_ground


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(str(tmp_path / "spool"))
    layout.prepare()
    return layout


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "LOOK_INTERVAL", 0.01)
    monkeypatch.setattr(schedule, "LINGER_EMPTY", 0.05)
    monkeypatch.setattr(schedule, "LINGER_HELD", 0.2)


class Process:
    """A process that captured something and is gone: what it left in the spool."""

    def __init__(self, layout: Layout, dsn: Optional[str], *messages: str) -> None:
        self.destination = None if dsn is None else Destination(Dsn.parse(dsn), 5.0)
        self.writer = Writer.born(layout)
        self.directory = Path(layout.writer(self.writer.id))
        self.segment = self.directory / segment_name(1)
        for message in messages:
            self.captures(message)

    def captures(self, message: str) -> None:
        event = message_event(message, stack=[])
        key = self.destination.key if self.destination else None
        self.writer.append(encode_event(event["id"], key, event), self.destination)

    def ends(self) -> Process:
        self.writer.abandon()
        (self.directory / "who.json").write_text('{"pid": 1}')
        return self

    def bounds(self) -> list[int]:
        """Where its records begin, and where the last one ends."""
        lines = self.segment.read_bytes().splitlines(keepends=True)
        return [sum(map(len, lines[:count])) for count in range(len(lines) + 1)]


def flush(layout: Layout) -> None:
    """Let a flusher lead until it leaves by itself; fails if it was busy without getting anything done."""
    turns: Counter[str] = Counter()
    work, rest = Leadership.work, Leadership.rest

    def counted_work(self: Leadership) -> bool:
        turns["worked"] += 1
        progress = work(self)
        turns["got on"] += progress
        return progress

    def counted_rest(self: Leadership, seconds: float) -> None:
        turns["rested"] += 1
        rest(self, seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Leadership, "work", counted_work)
        patch.setattr(Leadership, "rest", counted_rest)
        Flusher(layout).run()
    assert turns["worked"] - turns["rested"] - turns["got on"] <= 2, turns
    assert turns["got on"] <= 3_000, turns


def messages(tracker: LoopbackTracker) -> Counter[str]:
    return Counter(event.message for event in tracker.events)


def set_aside(layout: Layout) -> Iterator[tuple[dict[str, object], bytes]]:
    """What was set aside: the line that says why, and the bytes."""
    for name in os.listdir(layout.set_aside):
        head, _, content = (Path(layout.set_aside) / name).read_bytes().partition(b"\n")
        yield json.loads(head), content


Change = Callable[[bytes, int], bytes]
CHANGES: dict[str, tuple[int, Change]] = {  # how many bytes each takes away, and how
    "flipped": (1, lambda content, place: content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]),
    "inserted": (0, lambda content, place: content[:place] + b"\n" + content[place:]),
    "deleted": (1, lambda content, place: content[:place] + content[place + 1 :]),
    "overwritten": (40, lambda content, place: content[:place] + bytes(40) + content[place + 40 :]),
    "truncated": (1 << 30, lambda content, place: content[:place]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_segment_changed_anywhere(layout: Layout, change: str) -> None:
    """Wherever a segment is changed, every record that is whole is delivered once, the rest is set aside byte for byte,
    and the accounts balance. (Every single byte: tests/unit/spool/test_reader.py.)
    """
    taken, apply = CHANGES[change]
    changed: dict[str, bytes] = {}
    with LoopbackTracker() as tracker:
        model = Process(layout, tracker.dsn, "model 1", "model 2", "model 3").ends()
        bounds = model.bounds()
        near_bounds = {bound + step for bound in bounds for step in (-1, 0, 1)}
        places = sorted({*range(0, bounds[-1], 211), *(place for place in near_bounds if 0 <= place < bounds[-1])})
        wanted = {"model 1", "model 2", "model 3"}
        allowed = set(wanted)
        for place in places:
            names = [f"{place:05d} {seq}" for seq in (1, 2, 3)]
            process = Process(layout, tracker.dsn, *names).ends()
            at = process.bounds()
            assert len(at) == 4
            content = apply(process.segment.read_bytes(), place)
            process.segment.write_bytes(content)
            changed[process.writer.id] = content
            allowed.update(names)
            hit = range(place, place + taken) if taken else None
            for name, first, last in zip(names, at, at[1:]):
                inside = first < place < last if hit is None else hit.start < last and first < hit.stop
                wanted.update([] if inside else [name])
        flush(layout)
        found = messages(tracker)
    assert wanted <= set(found) <= allowed
    assert max(found.values()) == 1
    accounts = read_accounts(layout.spool)
    assert (accounts.missing, accounts.held, accounts.delivered) == (0, 0, len(found))
    assert os.listdir(layout.writers) == []
    for head, content in set_aside(layout):
        writer, offset, length = head["writer"], head["offset"], head["length"]
        assert isinstance(writer, str) and isinstance(offset, int) and isinstance(length, int)
        assert content == changed[writer][offset : offset + length]
        assert content.strip(b"\n")


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "insert", "delete", "cut"]),
        st.integers(0, 1 << 22),
        st.binary(min_size=1, max_size=40),
        st.integers(1, 5_000),
    ),
    max_size=6,
)
SIZES = st.lists(st.sampled_from([0, 10, 500, 70_000, 260_000, 700_000]), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(sizes=SIZES, edits=EDITS, finished=st.booleans())
def test_a_segment_changed_in_many_ways(
    sizes: list[int], edits: list[tuple[str, int, bytes, int]], finished: bool
) -> None:
    """However a segment of any size was changed, reading it comes to an end, gives each whole record once, in order,
    and covers every byte once.
    """
    lines = [frame(encode_event(f"{seq:032x}", None, {"x": "y" * size}), seq) for seq, size in enumerate(sizes, 1)]
    owners = [seq for seq, line in enumerate(lines, 1) for _ in line]
    content = bytearray(b"".join(lines))
    touched = set()
    for kind, somewhere, new, length in edits:
        place = somewhere % (len(content) + 1)
        end = len(content) if kind == "cut" else min(place + length, len(content))
        if kind == "insert":
            touched.update(set(owners[max(place - 1, 0) : place]) & set(owners[place : place + 1]))
            content[place:place] = new
            owners[place:place] = [0] * len(new)
        elif kind == "flip":
            touched.update(owners[place : place + 1])
            content[place : place + 1] = bytes(byte ^ new[0] or 1 for byte in content[place : place + 1])
        else:
            touched.update(owners[place:end])
            del content[place:end], owners[place:end]
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        found = list(read_lines_of(file.fileno(), 0, finished=finished))
    end = 0
    for line in found:
        assert end <= line.start < line.end <= len(content)
        assert not bytes(content[end : line.start]).strip(b"\n")
        end = line.end
    if finished:
        assert not bytes(content[end:]).strip(b"\n")
    seqs = [line.found.seq or 0 for line in found if isinstance(line.found, Record)]
    assert seqs == sorted(set(seqs))
    assert set(range(1, len(lines) + 1)) - touched <= set(seqs)


def every_change(content: bytes) -> Iterator[bytes]:
    for place in range(len(content)):
        for _, apply in CHANGES.values():
            yield apply(content, place)
        yield content[:place] + bytes([content[place] ^ 0x80]) + content[place + 1 :]


@pytest.mark.parametrize("hit", [0, 1])
def test_a_ledger_copy_changed_anywhere(layout: Layout, hit: int) -> None:
    """Whatever one copy becomes, the ledger is the newest that was written, or the one before; never anything else."""
    ledger = Ledger()
    for tally in (3, 4):
        ledger.entry("a" * 32).advance(1, 100 * tally, tally)
        ledger.entry("a" * 32).tally["delivered"] = tally
        ledger.store(layout)
    path = Path(layout.ledger_copies[hit])
    intact = path.read_bytes()
    used = len(intact.rstrip(b"\0"))
    newest = ledger.generation % 2 == hit
    for content in every_change(intact[:used]):
        path.write_bytes(content)
        loaded = Ledger.load(layout)
        tally = loaded.entry("a" * 32).tally["delivered"]
        assert (loaded.generation, tally) in (((1, 3), (2, 4)) if newest else ((2, 4),))
        assert loaded.entry("a" * 32).seq == tally


@pytest.mark.parametrize("lost", ["the newest copy", "both copies"])
@pytest.mark.parametrize("how", ["garbage", "empty", "removed", "a directory", "a FIFO", "a link", "a terabyte"])
def test_a_lost_ledger(layout: Layout, lost: str, how: str) -> None:
    """A lost copy costs repeats of what only it knew, two lost copies those of everything that is still there. No event
    is lost, the accounts balance, and the next flusher has two good copies again.
    """
    with LoopbackTracker() as tracker:
        process = Process(layout, tracker.dsn, "1", "2", "3")
        flusher = Flusher(layout)
        flusher.stop()
        flusher.run()
        assert messages(tracker) == {"1": 1, "2": 1, "3": 1}
        process.captures("4")
        newest = Ledger.load(layout).generation % 2
        for copy in layout.ledger_copies if lost == "both copies" else [layout.ledger_copies[newest]]:
            spoil(Path(copy), how)
        process.ends()
        flush(layout)
        found = messages(tracker)
    assert set(found) == {"1", "2", "3", "4"}
    assert found["4"] == 1 and max(found.values()) <= 2
    accounts = read_accounts(layout.spool)
    assert (accounts.missing, accounts.held) == (0, 0)
    assert not [text for text in findings(layout) if "ledger" in text and ".moved" not in text]


def spoil(path: Path, how: str) -> None:
    """Make of a file what it should not be."""
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    if how == "garbage":
        path.write_bytes(bytes(range(256)) * 40)
    elif how == "nested garbage":
        path.write_bytes(b"[" * 200_000)
    elif how == "empty":
        path.touch()
    elif how == "a directory":
        path.mkdir()
    elif how == "a FIFO":
        os.mkfifo(path)
    elif how == "a link":
        path.symlink_to("/etc/hostname")
    elif how == "a terabyte":
        path.touch()
        os.truncate(path, 1 << 40)
    else:
        assert how == "removed"


WAYS = ["garbage", "nested garbage", "empty", "removed", "a directory", "a FIFO", "a link", "a terabyte"]


def told_by_status(layout: Layout, capsys: pytest.CaptureFixture[str]) -> str:
    """What `lastword status` says is wrong."""
    code = status.run(spool=layout.spool)
    told = "\n".join(line for line in capsys.readouterr().out.splitlines() if line.startswith("finding"))
    assert code == 1 or not told
    return told


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("name", ["who.json", "blackbox", "alive.lock", "000002.seg", "x-1.seg"])
def test_a_file_of_a_writer_that_is_none(
    layout: Layout, name: str, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever stands in the place of one of a writer's files, its other records are delivered and it is retired; the
    flusher leaves by itself, and only a directory has to be moved away by hand.
    """
    with LoopbackTracker() as tracker:
        process = Process(layout, tracker.dsn, "1", "2").ends()
        bystander = Process(layout, tracker.dsn, "3").ends()
        spoil(process.directory / name, how)
        told = told_by_status(layout, capsys)
        assert (name in told) == (how not in HARMLESS.get(name, ())), told
        flush(layout)
        assert messages(tracker) == {"1": 1, "2": 1, "3": 1}
    accounts = read_accounts(layout.spool)
    assert (accounts.delivered, accounts.held, accounts.missing) == (3, 0, 0)
    assert not bystander.directory.exists()
    assert process.directory.exists() == (how == "a directory")
    if how == "a directory":
        assert f"{process.directory.name}/{name}" in told_by_status(layout, capsys)
        flush(layout)
        (process.directory / name).rmdir()
        flush(layout)
        assert not process.directory.exists()


#: What `status` says nothing of: a lock has no content, and what is in a segment is the flusher's to find out.
_NOT_IN_SEGMENTS = ("garbage", "nested garbage", "empty", "removed")
HARMLESS: dict[str, tuple[str, ...]] = {
    "blackbox": ("a terabyte",),  # of zeros, as in one that is new
    "alive.lock": ("garbage", "nested garbage", "empty", "removed", "a terabyte"),
    "000002.seg": _NOT_IN_SEGMENTS,
    "x-1.seg": _NOT_IN_SEGMENTS,
}


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("name", ["who.json", "blackbox"])
def test_a_file_of_a_living_writer_that_is_none(layout: Layout, name: str, how: str) -> None:
    """Its process goes on recording, over several segments, and all of it is delivered while it lives."""
    with LoopbackTracker() as tracker:
        process = Process(layout, tracker.dsn)
        spoil(process.directory / name, how)
        event = message_event("big", tags={"ballast": "x" * 400_000})
        assert process.destination is not None
        for _ in range(6):
            process.writer.append(encode_event(event["id"], process.destination.key, event), process.destination)
        process.writer.refuse("sampled")
        flusher = Flusher(layout)
        flusher.stop()
        flusher.run()
        assert messages(tracker) == {"big": 6}
        accounts = read_accounts(layout.spool)
        assert (accounts.delivered, accounts.held, accounts.missing) == (6, 0, 0)
        assert accounts.writers[0].alive
    process.writer.abandon()


def lie_about(layout: Layout, process: Process) -> dict[str, Path]:
    """Everything that people and programs leave where it does not belong, by what it is."""
    writers, birth = Path(layout.writers), Path(layout.birth)
    found = {
        "a file among the writers": writers / "notes.txt",
        "a file by a writer's name": writers / ("e" * 32),
        "a file among the births": birth / "core.123",
        "an editor's backup": process.directory / "000001.seg~",
        "an editor's lock": process.directory / "#000001.seg#",
        "a file among the destinations": Path(layout.destinations) / "README",
    }
    for path in found.values():
        path.write_text("mine")
    directories = {
        "a directory among the writers": writers / "backup",
        "a directory among the births": birth / "backup",
        "a directory in a writer's": process.directory / "backup",
    }
    for path in directories.values():
        path.mkdir()
        (path / "mine.txt").write_text("mine")
    links = {
        "a link by a writer's name": writers / ("d" * 32),
        "a link by a segment's name": process.directory / "000007.seg",
    }
    links["a link by a writer's name"].symlink_to(process.directory)
    links["a link by a segment's name"].symlink_to(process.segment)
    fifos = {"a FIFO among the writers": writers / "pipe", "a FIFO in a writer's": process.directory / "pipe"}
    for path in fifos.values():
        os.mkfifo(path)
    (process.directory / ".nfs0000001").write_text("")
    return {**found, **directories, **links, **fifos}


def test_things_that_are_not_ours(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """Files, directories, links and FIFOs that lie about are named by `status`, are taken for nothing of ours, and keep
    nobody from leaving. What lies outside of a writer's directory, and every directory, stays as it is.
    """
    with LoopbackTracker() as tracker:
        process = Process(layout, tracker.dsn, "1", "2").ends()
        things = lie_about(layout, process)
        told = told_by_status(layout, capsys)
        assert [what for what, path in things.items() if f"{path} " not in told] == []
        assert ".nfs" not in told
        assert read_accounts(layout.spool).recorded == 2
        flush(layout)
        assert messages(tracker) == {"1": 1, "2": 1}
        Process(layout, tracker.dsn, "3").ends()
        flush(layout)
        assert messages(tracker) == {"1": 1, "2": 1, "3": 1}
    left = {what for what, path in things.items() if os.path.lexists(path)}
    inside = {what for what, path in things.items() if path.parent == process.directory and not path.is_dir()}
    assert left == set(things) - inside
    assert all(
        path.joinpath("mine.txt").exists() for path in things.values() if path.is_dir() and not path.is_symlink()
    )
    accounts = read_accounts(layout.spool)
    assert (accounts.delivered, accounts.held, accounts.missing) == (3, 0, 0)


@pytest.mark.parametrize("how", ["removed", "a file", "a link"])
@pytest.mark.parametrize("name", ["birth", "set_aside", "destinations"])
def test_a_directory_that_is_none(layout: Layout, name: str, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory of the spool that is missing, or a file, is made anew by the flusher and by the next process that
    captures; a link there is refused and named, and costs only what would lie behind it.
    """
    with LoopbackTracker() as tracker:
        Process(layout, tracker.dsn, "1").ends()
        tracker.answer(400, times=1)
        kept = os.path.join(layout.base, "kept")
        os.rename(os.path.join(layout.base, name), kept)
        path = Path(layout.base) / name
        if how == "a file":
            path.write_text("mine")
        elif how == "a link":
            path.symlink_to(kept)
        assert (str(path) in told_by_status(layout, capsys)) == (how != "removed")
        if name != "destinations" or how == "a link":
            flush(layout)
            assert len(tracker.requests) == 1
        if how != "a link":
            layout.prepare()
            Process(layout, tracker.dsn, "2").ends()
            flush(layout)
            assert len(messages(tracker)) == len(list(set_aside(layout))) == 1
            assert path.is_dir()
            assert read_accounts(layout.spool).missing == 0
        if how == "a file":
            assert [moved.read_text() for moved in path.parent.glob(f"{name}.*.moved")] == ["mine"]
            assert f"{path}." in told_by_status(layout, capsys)


@pytest.mark.parametrize("how", [way for way in WAYS if way != "removed"])
def test_a_destination_that_is_none(layout: Layout, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Events for it wait, and `status` says so; all others go. The next program with the same DSN mends it."""
    with LoopbackTracker() as tracker, LoopbackTracker() as other:
        process = Process(layout, tracker.dsn, "1").ends()
        Process(layout, other.dsn, "2").ends()
        assert process.destination is not None
        key = process.destination.key
        spoil(Path(layout.destination(key)), how)
        assert key in told_by_status(layout, capsys)
        flush(layout)
        assert (messages(tracker), messages(other)) == ({}, {"2": 1})
        accounts = read_accounts(layout.spool)
        assert (accounts.held, accounts.delivered, accounts.missing) == (1, 1, 0)
        assert accounts.destinations[key].misconfigured
        Process(layout, tracker.dsn, "3").ends()
        ledger = Ledger.load(layout)
        ledger.destinations[key].not_before = 0.0  # a minute passes
        ledger.store(layout)
        flush(layout)
        assert messages(tracker) == {"1": 1, "3": 1}
    assert read_accounts(layout.spool).missing == 0


def test_a_directory_by_the_name_of_what_is_set_aside(layout: Layout) -> None:
    """What is refused is set aside under another name, once, and not sent again and again."""
    with LoopbackTracker() as tracker:
        process = Process(layout, tracker.dsn, "1").ends()
        (Path(layout.set_aside) / f"{message_event()['id']}.record" / "mine").mkdir(parents=True)
        tracker.answer(400, times=1)
        flush(layout)
        assert len(tracker.requests) == 1
    assert not process.directory.exists()
    accounts = read_accounts(layout.spool)
    assert (accounts.set_aside, accounts.missing) == ({"refused": 1}, 0)
    assert len(list(Path(layout.set_aside).glob("*.record"))) == 2


def test_a_segment_that_was_copied(layout: Layout) -> None:
    """A segment that somebody has put back beside itself is sent again, and the accounts still balance."""
    with LoopbackTracker() as tracker:
        process = Process(layout, tracker.dsn, "1", "2").ends()
        (process.directory / "000009.seg").write_bytes(process.segment.read_bytes())
        assert read_accounts(layout.spool).missing == 0
        flush(layout)
        assert set(messages(tracker)) == {"1", "2"}
    accounts = read_accounts(layout.spool)
    assert (accounts.missing, accounts.held) == (0, 0)


def test_a_segment_that_cannot_be_removed(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be removed is sent once, and the flusher neither tries all the time nor stays for it."""
    unlink = os.unlink

    def may_not(path: str, **more: int) -> None:
        if path.endswith(".seg"):
            raise PermissionError(errno.EPERM, "Operation not permitted", path)
        unlink(path, **more)

    with LoopbackTracker() as tracker:
        process = Process(layout, tracker.dsn, "1", "2").ends()
        with monkeypatch.context() as immutable:
            immutable.setattr(os, "unlink", may_not)
            flush(layout)
            flush(layout)
        assert process.segment.exists()
        assert (read_accounts(layout.spool).delivered, read_accounts(layout.spool).missing) == (2, 0)
        flush(layout)
        assert messages(tracker) == {"1": 1, "2": 1}
    assert not process.directory.exists()


def test_damage_within_an_extra_segment(layout: Layout) -> None:
    """Garbage around the record of an x- segment is set aside, and the record delivered."""
    with LoopbackTracker() as tracker:
        process = Process(layout, tracker.dsn, "1").ends()
        assert process.destination is not None
        event = message_event("2")
        line = frame(encode_event(event["id"], process.destination.key, event), None)
        (process.directory / "x-1.seg").write_bytes(b"garbage\n" + line + b"more garbage")
        flush(layout)
        assert messages(tracker) == {"1": 1, "2": 1}
    assert sorted(content for _, content in set_aside(layout)) == [b"garbage\n", b"more garbage"]
    accounts = read_accounts(layout.spool)
    assert (accounts.delivered, accounts.missing, accounts.held) == (2, 0, 0)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("name", ["start.json", "flusher.log"])
def test_a_file_beside_the_records_that_is_none(tmp_path: Path, name: str, how: str) -> None:
    """Real processes start a flusher all the same, and it delivers and leaves."""
    spool = tmp_path / "spool"
    with LoopbackTracker() as tracker:
        Layout(str(spool)).prepare()
        spoil(spool / "v1" / name, how)
        run("acked(lastword.capture_message('hello'))", spool=spool, dsn=tracker.dsn)
        tracker.wait_for(1)
        wait_until_no_flusher(spool)
    assert wait_for_accounts(spool, lambda seen: seen.delivered == 1, "a checkpoint").missing == 0


NOT_A_NUMBER = '{"failures": 3, "not_before": NaN, "unfinished": false}'


@pytest.mark.parametrize("text", [NOT_A_NUMBER, '{"failures": 1e999, "not_before": 1e999, "unfinished": 1}', "[1]"])
def test_a_start_state_of_nonsense(layout: Layout, text: str) -> None:
    """A start.json that makes no sense lets a flusher be started."""
    Path(layout.start_state).write_text(text + "\n")
    assert start.load(layout).allows(time.time())


@ROOT
@pytest.mark.parametrize("name", ["000001.seg", "x-1.seg", "who.json", "blackbox", "alive.lock", "", "ledger", "json"])
def test_what_its_owner_may_not_read(name: str) -> None:
    """Files and directories whose rights somebody took away are taken back where they are needed, and cost nothing."""
    with open_ground() as ground, LoopbackTracker() as tracker:
        shared = make_shared(ground / "shared", 0o1777)

        def deliver() -> None:
            layout = Layout(str(shared / "spool"))
            layout.prepare()
            process = Process(layout, tracker.dsn, "1")
            event = message_event("2")
            assert process.destination is not None
            line = frame(encode_event(event["id"], process.destination.key, event), None)
            (process.directory / "x-1.seg").write_bytes(line)
            process.ends()
            if name == "ledger":
                for copy in layout.ledger_copies:
                    os.chmod(copy, 0)
            elif name == "json":
                os.chmod(layout.destination(process.destination.key), 0)
                destination_files.store(layout, process.destination)  # as the next process with this DSN does
            else:
                os.chmod(process.directory / name, 0)
            read_accounts(layout.spool)
            assert findings(layout) or name == "json"
            flush(layout)
            accounts = read_accounts(layout.spool)
            assert (accounts.delivered, accounts.held, accounts.missing) == (2, 0, 0), accounts
            assert os.listdir(layout.writers) == []

        as_user(VICTIM, deliver)
        assert messages(tracker) == {"1": 1, "2": 1}
