"""The promise: a disk that is full, read-only or not there leaves the application undisturbed and hides nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Callable

import pytest

from lastword.audit.accounts import read_accounts
from lastword.testing import LoopbackTracker
from tests.support import filesystems
from tests.support.programs import Program, run, wait_for_accounts, wait_until_no_flusher
from tests.support.promise import Section, promise

MAKERS: dict[str, Callable[[Path], AbstractContextManager[Path]]] = {
    "ext4": lambda directory: filesystems.ext4(directory, 8),
    "tmpfs": lambda directory: filesystems.tmpfs(directory, 8),
}

#: Captures on demand: each line of standard input is a number of bytes; answers "id" or "None".
ON_DEMAND = """
from lastword import assembly, sdk
client = sdk.current_client()
def capture(size):
    event = assembly.message_event("x", level="info", settings=client.settings)
    event["message"] = "x" * size
    event_id = client.recorder.record(event)
    client.pending.ensure_flusher()
    return event_id
for line in sys.stdin:
    os.write(1, f"{capture(int(line))}\\n".encode())
"""


@pytest.fixture(params=MAKERS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    with MAKERS[request.param](tmp_path) as place:
        yield place


def ask(program: Program, size: int) -> str:
    """One capture; returns its id, or "None"."""
    assert program.process.stdin is not None
    program.process.stdin.write(f"{size}\n")
    program.process.stdin.flush()
    return program.line()


def test_captures_on_a_full_disk_are_refused_and_counted(disk: Path) -> None:
    """Every capture ends, with an id or with None; when there is room again the next one is safe."""
    spool = disk / "spool"
    with Program(ON_DEMAND, spool=spool, dsn=None) as program:
        acked = [ask(program, 100)]
        filler = filesystems.fill(disk)
        answers = [ask(program, 20_000) for _ in range(20)]
        assert "None" in answers
        filler.unlink()
        acked += [answer for answer in answers if answer != "None"]
        acked += [ask(program, 20_000) for _ in range(5)]
        assert "None" not in acked
        program.end()
    accounts = read_accounts(spool)
    assert (accounts.held, accounts.recorded, accounts.missing) == (len(acked), len(acked), 0)
    assert accounts.refused == {"disk full": answers.count("None")}


@promise(
    Section.BOUNDED,
    "Events recorded before the disk filled up are delivered and make room",
    broken_by="no room reserved for ledger and `start.json`",
)
def test_a_full_disk_is_drained(disk: Path) -> None:
    """Earlier events are delivered, settled and removed, which makes room again."""
    spool = disk / "spool"
    with LoopbackTracker() as tracker:
        tracker.go_down()
        with Program(ON_DEMAND, spool=spool, dsn=tracker.dsn) as program:
            acked = [ask(program, 60_000) for _ in range(4)]
            wait_for_accounts(spool, lambda seen: any(h.failures for h in seen.destinations.values()), "an attempt")
            filler = filesystems.fill(disk)
            assert ask(program, 60_000) == "None"
            tracker.come_up()
            tracker.wait_for(len(acked), timeout=30)
            program.end()
        wait_until_no_flusher(spool)
        filler.unlink()
    accounts = read_accounts(spool)
    assert (accounts.delivered, accounts.held, accounts.missing) == (4, 0, 0)
    assert accounts.refused == {"disk full": 1}
    assert os.listdir(spool / "v1/writers") == []


def test_refusals_before_the_first_writer_are_counted_later(disk: Path) -> None:
    """Where not even a writer can be made, captures are refused; they are counted as soon as there is room."""
    filler = filesystems.fill(disk)
    spool = disk / "spool"
    with Program(ON_DEMAND, spool=spool, dsn=None) as program:
        assert [ask(program, 100) for _ in range(3)] == ["None"] * 3
        filler.unlink()
        assert ask(program, 100) != "None"
        program.end()
    accounts = read_accounts(spool)
    assert (accounts.recorded, accounts.missing) == (1, 0)
    assert sum(accounts.refused.values()) == 3
    assert os.listdir(spool / "v1/birth") == []


def test_read_only_spool_refuses_captures_with_one_warning(tmp_path: Path) -> None:
    """The warning names the place."""
    with filesystems.ext4(tmp_path, 8) as disk:
        filesystems.remount_read_only(disk)
        with Program(ON_DEMAND, spool=disk / "spool", dsn=None) as program:
            assert [ask(program, 100) for _ in range(3)] == ["None"] * 3
            _, trouble = program.process.communicate(timeout=30)
        assert sum(str(disk) in line for line in trouble.splitlines()) == 1
        filesystems.remount_writable(disk)
        assert os.listdir(disk) == ["lost+found"]


def test_a_read_only_home_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a configured place, a home that cannot be written to is left for the temporary directory."""
    with filesystems.ext4(tmp_path, 8) as disk:
        (disk / "home").mkdir()
        filesystems.remount_read_only(disk)
        monkeypatch.setenv("HOME", str(disk / "home"))
        monkeypatch.delenv("XDG_STATE_HOME")
        body = "os.environ.pop('TEST_SPOOL'); lastword.init(); acked(lastword.capture_message('kept'))"
        assert len(run(body, spool=tmp_path / "unused")) == 1
        fallback = Path(os.environ["TMPDIR"]) / f"lastword-{os.geteuid()}"
        assert read_accounts(fallback).held == 1


def test_open_segment_takes_records_without_free_inodes(tmp_path: Path) -> None:
    """A disk on which no file can be made any more still takes records into the open segment."""
    with filesystems.ext4(tmp_path, 8, "-N", "64") as disk:
        spool = disk / "spool"
        with Program(ON_DEMAND, spool=spool, dsn=None) as program:
            assert ask(program, 100) != "None"
            with pytest.raises(OSError, match="space"):
                for number in range(1000):
                    (disk / f"file-{number}").touch()
            assert ask(program, 100) != "None"
            program.end()
        assert read_accounts(spool).held == 2


def test_event_delivered_on_a_full_disk_is_not_sent_again(disk: Path) -> None:
    """The ledger is written in place: what is delivered on a full disk is settled there, and is not sent again."""
    spool = disk / "spool"
    with LoopbackTracker() as tracker:
        with Program(ON_DEMAND, spool=spool, dsn=tracker.dsn) as program:
            ask(program, 100)
            wait_for_accounts(spool, lambda seen: seen.delivered == 1, "the first checkpoint")
            ask(program, 100)
            wait_for_accounts(spool, lambda seen: seen.delivered == 2, "the second checkpoint, in the other copy")
            filler = filesystems.fill(disk)
            answers = [ask(program, 10) for _ in range(100)]
            acked = 2 + sum(answer != "None" for answer in answers)
            accounts = wait_for_accounts(spool, lambda seen: seen.delivered == acked, "every checkpoint")
            assert accounts.missing == 0
            program.end()
        wait_until_no_flusher(spool)
        assert len(tracker.events) == acked
        filler.unlink()


def test_refused_event_waits_for_room_to_be_set_aside(disk: Path) -> None:
    """An event that cannot be set aside for want of room stays where it is, and is set aside when there is room."""
    spool = disk / "spool"
    with LoopbackTracker() as tracker:
        tracker.answer(400)
        tracker.go_down()
        with Program(ON_DEMAND, spool=spool, dsn=tracker.dsn) as program:
            ask(program, 100_000)
            wait_for_accounts(spool, lambda seen: any(h.failures for h in seen.destinations.values()), "an attempt")
            filler = filesystems.fill(disk)
            tracker.come_up()
            wait_for_accounts(spool, lambda seen: any("400" in h.last_error for h in seen.destinations.values()), "400")
            assert read_accounts(spool).held == 1
            filler.unlink()
            program.end()
        accounts = read_accounts(spool)
        assert (accounts.held, accounts.missing) == (1, 0)
        body = "assert lastword.sdk.current_client() is not None; acked(lastword.capture_message('another'))"
        run(body, spool=spool, dsn=tracker.dsn)
        wait_for_accounts(spool, lambda seen: sum(seen.set_aside.values()) >= 1, "one set aside")


def test_every_line_written_on_a_full_disk_is_whole(disk: Path) -> None:
    """Nothing that a full disk cut short is taken for a record: every line that counts is whole."""
    spool = disk / "spool"
    with Program(ON_DEMAND, spool=spool, dsn=None) as program:
        ask(program, 100)
        filesystems.fill(disk)
        acked = {ask(program, size) for size in (9000, 5000, 2000, 900, 100)} - {"None"}
        program.end()
    [segment] = spool.glob("v1/writers/*/000001.seg")
    whole = [line for line in segment.read_bytes().split(b"\n") if line.endswith(b"}") and line.startswith(b'{"c"')]
    found = {json.loads(line)["id"] for line in whole if line.count(b'{"c"') == 1}
    assert acked <= found
