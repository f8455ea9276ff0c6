"""A process's own writer: what it acknowledges is on disk, in its own files and in no others."""

from __future__ import annotations

import errno
import os
import resource
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from lastword.dsn import Destination, Dsn
from lastword.errors import RecordRefused, SpoolError
from lastword.spool import blackbox
from lastword.spool import writer as writer_module
from lastword.spool.identity import is_dead, read_who
from lastword.spool.layout import Layout, segment_name
from lastword.spool.lock import holder
from lastword.spool.reader import list_segments, read_lines
from lastword.spool.record import MAX_RECORD, Record, encode_event, parse
from lastword.spool.writer import MAX_SEGMENT, Writer, WriterLost
from tests.support.promise import Section, promise

TO = Destination(Dsn("booboo", "http://127.0.0.1:9/", "t"), 1.0)


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    layout = Layout(str(tmp_path / "spool"))
    layout.prepare()
    return Writer.born(layout)


def directory(writer: Writer) -> Path:
    return Path(writer.layout.writer(writer.id))


def descriptor_of(path: Path) -> int:
    """The one by which this process has that file open."""
    for number in map(int, os.listdir("/dev/fd")):
        with suppress(OSError):  # the directory itself was open while it was listed
            if os.path.samestat(os.fstat(number), path.stat()):
                return number
    pytest.fail(f"{path} is not open")


def body(text: str = "hello") -> bytes:
    return encode_event("ab" * 16, None, {"text": text})


def records(writer: Writer) -> list[Record]:
    found = list_segments(str(directory(writer)))
    names = [f"{number:06d}.seg" for number in found.numbered] + list(found.extras)
    paths = [str(directory(writer) / name) for name in names]
    lines = [line for path in paths for line in read_lines(path, 0, finished=False, parse=parse)]
    return [line.found for line in lines if isinstance(line.found, Record)]


def test_new_writer_has_all_its_files(writer: Writer) -> None:
    """A writer is in its place with all its files, private and locked, and nothing stays in the cradle."""
    where = directory(writer)
    assert sorted(path.name for path in where.iterdir()) == ["000001.seg", "alive.lock", "blackbox", "who.json"]
    assert where.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in where.iterdir()} == {0o600}
    assert list(Path(writer.layout.birth).iterdir()) == []
    assert holder(str(where / "alive.lock")) == os.getpid()
    assert not is_dead(str(where))
    assert read_who(str(where / "who.json"))["pid"] == os.getpid()
    assert (where / "blackbox").stat().st_size == blackbox.SIZE


@pytest.mark.parametrize("mask", [0o000, 0o777])
def test_private_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    """Directories are 0700 and files 0600 under any umask."""
    before = os.umask(mask)
    try:
        layout = Layout(str(tmp_path / "spool"))
        layout.prepare()
        Writer.born(layout).append(body(), TO)
    finally:
        os.umask(before)
    modes = {path.stat().st_mode for path in (tmp_path / "spool").rglob("*")}
    assert {oct(mode & 0o777) for mode in modes} == {"0o700", "0o600"}


def test_appended_records_are_numbered_from_1(writer: Writer) -> None:
    """Records are numbered from 1, the destination's file is there, and the count is right."""
    for _ in range(3):
        writer.append(body(), TO)
    assert [record.seq for record in records(writer)] == [1, 2, 3]
    assert writer.recorded == 3
    assert Path(writer.layout.destination(TO.key)).read_bytes() == TO.encode()


def test_segments_stay_below_their_limit(writer: Writer) -> None:
    """Segments stay below their limit, numbers go on, and what is sealed is said in the black box."""
    for _ in range(12):
        writer.append(body("x" * 300_000), None)
    found = list_segments(str(directory(writer)))
    assert found.numbered == (1, 2, 3, 4)
    assert all((directory(writer) / f"{number:06d}.seg").stat().st_size <= MAX_SEGMENT for number in found.numbered)
    assert [record.seq for record in records(writer)] == list(range(1, 13))
    assert blackbox.load(str(directory(writer) / "blackbox")).sealed_upto == 3


def test_the_size_limit(writer: Writer) -> None:
    """A record of the largest size is taken, one over it is refused with its size, and the next is taken again."""
    writer.append(body("x" * (MAX_RECORD - 200)), None)
    with pytest.raises(RecordRefused, match=r"too large.*limit is 1048576"):
        writer.append(body("x" * MAX_RECORD), None)
    writer.append(body(), None)
    assert [record.seq for record in records(writer)] == [1, 2]


def test_append_in_a_signal_handler_gets_its_own_segment(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A capture that interrupts an append of its own thread does not wait: it gets a segment of its own."""
    write = os.write

    def interrupted(descriptor: int, content: bytes) -> int:
        monkeypatch.setattr(os, "write", write)
        signal.raise_signal(signal.SIGUSR1)
        return write(descriptor, content)

    previous = signal.signal(signal.SIGUSR1, lambda *_: writer.append(body("inner"), None))
    try:
        monkeypatch.setattr(os, "write", interrupted)
        writer.append(body("outer"), None)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert [(record.seq, record.content["text"]) for record in records(writer)] == [(1, "outer"), (None, "inner")]
    assert writer.recorded == 2


def test_thread_does_not_wait_long_for_the_append_lock(writer: Writer) -> None:
    """A thread that finds the lock held for too long does not wait for it."""
    assert writer._lock.take(1.0)
    thread = threading.Thread(target=writer.append, args=(body("past the lock"), None))
    thread.start()
    thread.join()
    writer._lock.give_back()
    writer.append(body("in order"), None)
    assert [record.seq for record in records(writer)] == [1, None]


def test_appends_of_many_threads_lose_nothing(writer: Writer) -> None:
    """Threads that append and roll at once lose nothing and give no number twice."""

    def work() -> None:
        for _ in range(60):
            writer.append(body("x" * 20_000), None)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = records(writer)
    numbered = sorted(record.seq for record in found if record.seq is not None)
    assert len(found) == writer.recorded == 360
    assert numbered == list(range(1, len(numbered) + 1))


def test_a_short_write_uses_up_no_number_and_hides_nothing(writer: Writer) -> None:
    """A record that did not fit is refused; the next one starts on a line of its own and has its number."""
    writer.append(body(), None)
    limit = (directory(writer) / "000001.seg").stat().st_size + 100
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(RecordRefused, match="disk"):
            writer.append(body("x" * 1000), None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    writer.append(body("after"), None)
    assert [(record.seq, record.content["text"]) for record in records(writer)] == [(1, "hello"), (2, "after")]


@promise(
    Section.BOUNDED, "An exhausted disk quota counts as a full disk", broken_by="EDQUOT not told from other troubles"
)
@pytest.mark.parametrize(
    ("trouble", "reason"),
    [(errno.ENOSPC, "disk full"), (errno.EDQUOT, "disk full"), (errno.EIO, "disk error")],
    ids=["the disk", "the user's share of it", "hardware"],
)
def test_failed_write_is_refused_with_its_reason(
    writer: Writer, monkeypatch: pytest.MonkeyPatch, trouble: int, reason: str
) -> None:
    """The reason shows who can help; the next record is taken."""

    def fails(*_: object) -> int:
        raise OSError(trouble, os.strerror(trouble))

    with monkeypatch.context() as broken:
        broken.setattr(os, "write", fails)
        with pytest.raises(RecordRefused) as refusal:
            writer.append(body("lost"), None)
    assert refusal.value.reason == reason
    writer.append(body("after"), None)
    assert [(record.seq, record.content["text"]) for record in records(writer)] == [(1, "after")]


def test_a_write_whose_return_was_interrupted_counts(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an exception came between the write and its count, the record is there and has used up its number."""
    write = os.write

    def interrupted(descriptor: int, content: bytes) -> int:
        write(descriptor, content)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        writer.append(body("first"), None)
    monkeypatch.setattr(os, "write", write)
    writer.append(body("second"), None)
    assert [(record.seq, record.content["text"]) for record in records(writer)] == [(1, "first"), (2, "second")]


def test_refusals_are_counted_in_the_black_box(writer: Writer) -> None:
    """By reason; the counts survive the process."""
    for reason in ("sampled", "too large", "sampled"):
        writer.refuse(reason)
    assert blackbox.load(str(directory(writer) / "blackbox")).refused == {"sampled": 2, "too large": 1}


@pytest.mark.parametrize("how", ["closed", "somebody else's"])
def test_the_black_box_is_opened_again(writer: Writer, tmp_path: Path, how: str) -> None:
    """Its descriptor is kept from one refusal to the next: they may be many. A program may close it."""
    writer.refuse("sampled")
    box = descriptor_of(directory(writer) / "blackbox")
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    os.close(box) if how == "closed" else os.dup2(other, box)
    writer.refuse("sampled")
    assert blackbox.load(str(directory(writer) / "blackbox")).refused == {"sampled": 2}
    assert os.fstat(other).st_size == 0
    os.close(other)


def test_a_forked_child_keeps_no_descriptor_of_its_parents(writer: Writer) -> None:
    """Once it has abandoned the writer that it inherited."""
    writer.refuse("sampled")
    number = descriptor_of(directory(writer) / "blackbox")
    child = os.fork()
    if child == 0:
        writer.abandon()
        try:
            os.fstat(number)
        except OSError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    os.fstat(number)


def test_nothing_is_written_to_a_reused_descriptor(writer: Writer, tmp_path: Path) -> None:
    """After a daemon closed every descriptor, nothing of ours goes into the file that has its number now."""
    number = descriptor_of(directory(writer) / segment_name(1))
    os.close(number)
    foreign = os.open(tmp_path / "foreign", os.O_CREAT | os.O_RDWR)
    assert foreign == number
    with pytest.raises(WriterLost):
        writer.append(body(), None)
    writer.abandon()
    os.fstat(foreign)
    os.close(foreign)
    assert (tmp_path / "foreign").read_bytes() == b""


def test_a_closed_descriptor(writer: Writer) -> None:
    """A writer whose descriptor is gone says so instead of failing."""
    os.close(descriptor_of(directory(writer) / segment_name(1)))
    with pytest.raises(WriterLost):
        writer.append(body(), None)


def test_a_removed_segment(writer: Writer) -> None:
    """A writer whose segment was unlinked notices before it writes."""
    writer.append(body(), None)
    (directory(writer) / "000001.seg").unlink()
    with pytest.raises(WriterLost):
        writer.append(body(), None)


def test_moved_spool_is_noticed_within_a_second(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer whose directory is no longer where it was notices at its next look, at most a second later."""
    writer.append(body(), None)
    os.rename(writer.layout.spool, writer.layout.spool + "-archived")
    monkeypatch.setattr(writer_module, "_PATH_CHECK_INTERVAL", 0.0)
    with pytest.raises(WriterLost):
        writer.append(body(), None)


def test_discarded_writer_leaves_nothing(writer: Writer) -> None:
    """A writer that lost the race to be this process's leaves nothing behind."""
    where = directory(writer)
    writer.discard()
    assert not where.exists()


@pytest.mark.parametrize("swept", [["alive.lock", "who.json"], ["who.json"], []])
def test_a_birth_that_was_swept_away_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swept: list[str]
) -> None:
    """A flusher that took a cradle for that of the dead, in whole (no names) or in part, costs another try, no more."""
    layout = Layout(str(tmp_path / "spool"))
    layout.prepare()
    create = blackbox.create

    def swept_at_that_moment(path: str) -> None:
        monkeypatch.undo()
        cradle = Path(path).parent
        for name in swept or ["alive.lock", "who.json"]:
            (cradle / name).unlink()
        if not swept:
            cradle.rmdir()
        create(path)

    monkeypatch.setattr(blackbox, "create", swept_at_that_moment)
    writer = Writer.born(layout)
    writer.append(body(), None)
    assert [path.name for path in Path(layout.writers).iterdir()] == [writer.id]
    assert list(Path(layout.birth).iterdir()) == []
    names = sorted(path.name for path in directory(writer).iterdir())
    assert names == ["000001.seg", "alive.lock", "blackbox", "who.json"]
    assert [record.seq for record in records(writer)] == [1]


def test_repeatedly_swept_birth_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not tried for ever."""
    layout = Layout(str(tmp_path / "spool"))
    layout.prepare()
    monkeypatch.setattr(blackbox, "create", lambda path: os.unlink(path))
    with pytest.raises(SpoolError, match="disappear"):
        Writer.born(layout)
    assert list(Path(layout.birth).iterdir()) == []


def test_a_writer_that_lost_its_lock_takes_it_again(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the program archived its own spool, which drops the lock, the writer goes on and has it back soon."""
    monkeypatch.setattr(writer_module, "_PATH_CHECK_INTERVAL", 0.0)
    lock = directory(writer) / "alive.lock"
    os.close(os.open(lock, os.O_RDONLY))
    writer.append(body(), None)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if holder(str(lock)) == os.getppid() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_writer_whose_lock_file_is_gone(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reports that it is lost: other processes cannot see it alive (a cleaner of /tmp took the file)."""
    monkeypatch.setattr(writer_module, "_PATH_CHECK_INTERVAL", 0.0)
    (directory(writer) / "alive.lock").unlink()
    with pytest.raises(WriterLost, match="lock"):
        writer.append(body(), None)


def test_abandon_does_not_close_the_descriptor_under_a_writing_thread(writer: Writer, tmp_path: Path) -> None:
    """The descriptor is not closed under a thread that has checked it already, or its record would go elsewhere."""
    assert writer._lock.take(1.0)
    thread = threading.Thread(target=writer.abandon)
    thread.start()
    thread.join()
    assert descriptor_of(directory(writer) / segment_name(1))
    writer._lock.give_back()
    writer.abandon()
    with pytest.raises(WriterLost):
        writer.append(body(), None)


def test_unrecorded_seal_is_recorded_with_the_next_record(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the word that a segment is sealed could not be written, the next record brings it; the flusher needs it."""

    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    box = str(directory(writer) / "blackbox")
    with monkeypatch.context() as full:
        full.setattr(blackbox, "store", no_room)
        for _ in range(4):
            writer.append(body("x" * 300_000), None)
    assert list_segments(str(directory(writer))).numbered == (1, 2)
    assert blackbox.load(box).sealed_upto == 0
    writer.append(body(), None)
    assert blackbox.load(box).sealed_upto == 1
