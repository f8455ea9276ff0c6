"""The promise: whatever stands where a file of lastword's should be, or lies about in the spool, costs nothing else.
Everything is delivered, once, and `status` names what is wrong; nothing crashes, waits or runs in circles over it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastword.audit.accounts import read_accounts
from lastword.audit.findings import findings
from lastword.cli import status
from lastword.flusher.loop import Flusher
from lastword.spool import destination as destination_files
from lastword.spool.layout import Layout
from lastword.spool.ledger import Ledger
from lastword.spool.record import encode_event, frame
from lastword.testing import LoopbackTracker
from tests.support.damage import WAYS, spoil
from tests.support.events import message_event
from tests.support.programs import run, wait_for_accounts, wait_until_no_flusher
from tests.support.promise import Section, promise
from tests.support.second_user import ROOT, VICTIM, as_user, make_shared, open_ground
from tests.support.spools import Process, flush, impatient_flushers, messages, set_aside


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    with impatient_flushers():
        yield


def told_by_status(layout: Layout, capsys: pytest.CaptureFixture[str]) -> str:
    """What `lastword status` says is wrong."""
    code = status.run(spool=layout.spool)
    told = "\n".join(line for line in capsys.readouterr().out.splitlines() if line.startswith(("PROBLEM", "warning")))
    assert (code == 1) == ("PROBLEM" in told)
    return told


#: What `status` says nothing of: a lock has no content, and what is in a segment is the flusher's to find out.
_NOT_IN_SEGMENTS = ("garbage", "nested garbage", "empty", "removed")
HARMLESS: dict[str, tuple[str, ...]] = {
    "who.json": (),
    "blackbox": ("a terabyte",),  # of zeros, as in one that is new
    "alive.lock": ("garbage", "nested garbage", "empty", "removed", "a terabyte"),
    "000002.seg": _NOT_IN_SEGMENTS,
    "x-1.seg": _NOT_IN_SEGMENTS,
}


@promise(Section.DAMAGE, "A foreign file in place of a writer's file is reported", broken_by="writers not checked")
@pytest.mark.parametrize("how", WAYS)
def test_foreign_file_in_place_of_a_writers_file_is_reported(
    layout: Layout, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever stands in the place of one of a writer's files, its other records are delivered and it is retired; the
    flusher leaves by itself, and only a directory has to be moved away by hand.
    """
    with LoopbackTracker() as tracker:
        spoilt = {}
        for name in HARMLESS:
            process = Process(layout, tracker.dsn, f"{name} 1", f"{name} 2").ends()
            spoilt[name] = process.directory / name
            spoil(spoilt[name], how)
        bystander = Process(layout, tracker.dsn, "bystander").ends()
        told = told_by_status(layout, capsys)
        for name, path in spoilt.items():
            assert (f"{path.parent.name}/{name}" in told) == (how not in HARMLESS[name]), told
        flush(layout)
        everything = {"bystander": 1, **{f"{name} {number}": 1 for name in spoilt for number in (1, 2)}}
        assert messages(tracker) == everything
    accounts = read_accounts(layout.spool)
    assert (accounts.delivered, accounts.held, accounts.missing) == (len(everything), 0, 0)
    assert not bystander.directory.exists()
    assert {path.parent.exists() for path in spoilt.values()} == {how == "a directory"}
    if how == "a directory":
        told = told_by_status(layout, capsys)
        assert [name for name, path in spoilt.items() if f"{path.parent.name}/{name}" not in told] == []
        flush(layout)
        for path in spoilt.values():
            path.rmdir()
        flush(layout)
        assert os.listdir(layout.writers) == []


@promise(
    Section.DAMAGE,
    "A foreign file in place of a living writer's file does not disturb the writer",
    broken_by="troubles of the black box raised",
)
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("name", ["who.json", "blackbox"])
def test_foreign_file_does_not_disturb_a_living_writer(layout: Layout, name: str, how: str) -> None:
    """Its process goes on recording over several segments, and all is delivered while it lives."""
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


@promise(
    Section.DAMAGE, "Files that are not lastword's are ignored and reported", broken_by="any name taken for a writer's"
)
def test_foreign_files_are_reported_and_left_alone(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
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


@promise(Section.DAMAGE, "A missing directory of the spool is made again", broken_by="not mended")
@pytest.mark.parametrize("how", ["removed", "a file", "a link"])
@pytest.mark.parametrize("name", ["birth", "set_aside", "destinations"])
def test_missing_or_replaced_directory_is_made_again(
    layout: Layout, name: str, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
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
            assert len(tracker.requests) == (name != "destinations")
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


@promise(Section.DAMAGE, "A damaged destination is written again", broken_by="taken for whole")
@pytest.mark.parametrize("how", [way for way in WAYS if way != "removed"])
def test_damaged_destination_is_written_again(layout: Layout, how: str, capsys: pytest.CaptureFixture[str]) -> None:
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


@promise(Section.DAMAGE, "A name that is taken in `set_aside` leads to another name", broken_by="no other name")
def test_name_taken_by_a_directory_leads_to_another_name(layout: Layout) -> None:
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


@promise(
    Section.DAMAGE,
    "Foreign files in place of `start.json` and `flusher.log` stop no flusher",
    broken_by="`start.json` not moved away; a log that cannot be opened raises",
)
def test_foreign_start_json_and_log_stop_no_flusher(tmp_path: Path) -> None:
    """Real processes start a flusher all the same, which delivers and leaves."""
    spools = {how: tmp_path / how.replace(" ", "-") for how in WAYS}
    for how, spool in spools.items():
        Layout(str(spool)).prepare()
        spoil(spool / "v1/start.json", how)
        spoil(spool / "v1/flusher.log", how)
    body = """
for how, spool in {spools}.items():
    lastword.init(os.environ["TEST_DSN"], spool=spool)
    acked(lastword.capture_message(how))
"""
    with LoopbackTracker() as tracker:
        places = {how: str(spool) for how, spool in spools.items()}
        run(body.format(spools=places), spool=tmp_path / "unused", dsn=tracker.dsn)
        tracker.wait_for(len(spools), timeout=60)
        for spool in spools.values():
            wait_until_no_flusher(spool)
        assert messages(tracker) == dict.fromkeys(spools, 1)
    for spool in spools.values():
        assert wait_for_accounts(spool, lambda seen: seen.delivered == 1, "a checkpoint").missing == 0


@promise(Section.DAMAGE, "Access rights that were removed are restored where they are needed", broken_by="not restored")
@ROOT
@pytest.mark.parametrize("name", ["000001.seg", "x-1.seg", "who.json", "blackbox", "alive.lock", "", "ledger", "json"])
def test_removed_access_rights_are_restored(name: str) -> None:
    """Of files and directories, where they are needed."""
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
