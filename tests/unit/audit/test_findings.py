"""What is wrong in a spool is said in a sentence each, with what to do; a healthy one has nothing to say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lastword.audit.accounts import read_accounts
from lastword.audit.findings import findings
from lastword.spool.layout import Layout, deferred_name
from lastword.spool.ledger import Ledger
from lastword.spool.lock import holder
from lastword.spool.record import encode_event
from lastword.spool.writer import Writer
from tests.support.events import destination


def test_a_healthy_spool(layout: Layout) -> None:
    """With a writer at work, a ledger and a destination there is nothing to say, and no lock is lost by looking."""
    writer = Writer.born(layout)
    assert findings(layout) == []
    writer.append(encode_event("ab" * 16, None, {}), destination())
    Ledger().store(layout)
    assert findings(layout) == []
    child = os.fork()
    if child == 0:  # only another process can ask the kernel
        os._exit(holder(os.path.join(layout.writer(writer.id), "alive.lock")) != os.getppid())
    assert os.waitpid(child, 0)[1] == 0
    writer.abandon()


def test_no_spool(tmp_path: Path) -> None:
    """Where there is none, nothing is wrong with it, and none is made."""
    assert findings(Layout(str(tmp_path / "none"))) == []
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("flusher.lock", "a directory where a file should be: nothing is sent"),
        ("start.lock", "a directory where a file should be: nothing is sent"),
        ("start.json", "a directory where a file should be"),
        ("flusher.log", "a directory where a file should be"),
        ("ledger.a", "the other copy is used"),
        ("set_aside.1.moved", "had one of lastword's names"),
        ("birth/cores", "not a file of lastword's"),
        ("writers/backup", "not a writer's directory"),
        ("destinations/backup", "not a file of lastword's"),
        ("destinations/0123456789ab.json", "Events for it wait"),
    ],
)
def test_foreign_directory_is_named_with_its_path(layout: Layout, name: str, words: str) -> None:
    """Each with its path or key, and what it means."""
    Ledger().store(layout)
    path = Path(layout.base) / name
    path.mkdir()
    [told] = findings(layout)
    assert words in told.text
    assert path.name.partition(".json")[0] in told.text


def test_two_damaged_ledger_copies_are_one_finding(layout: Layout) -> None:
    """Two damaged copies are one finding: there is no other copy that counts."""
    for copy in layout.ledger_copies:
        Path(copy).write_bytes(b"garbage")
    [told] = findings(layout)
    assert "both copies" in told.text


def test_file_that_is_being_written_is_not_damaged(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is whole a moment later was being written."""
    Ledger().store(layout)
    path = Path(layout.ledger_copies[1])
    content = path.read_bytes()
    path.write_bytes(content[:50])
    monkeypatch.setattr("lastword.audit.findings.time.sleep", lambda _: path.write_bytes(content))
    assert findings(layout) == []


def test_unfinished_file_of_a_killed_flusher_is_no_finding(layout: Layout) -> None:
    """It is lastword's own and is removed with its writer."""
    with Writer.born(layout) as writer:
        (Path(layout.writer(writer.id)) / f"{deferred_name(1, 0)}.aside").touch()
        assert findings(layout) == []
        (Path(layout.writer(writer.id)) / "notes").touch()
        assert len(findings(layout)) == 1


def test_named_spool_that_others_could_exchange_is_a_finding(tmp_path: Path) -> None:
    """A spool that was named where others could exchange it is used, and that is said."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    layout = Layout(str(shared / "spool"))
    layout.prepare()
    [told] = findings(layout)
    assert f"everybody may write to {shared}" in told.text
    assert told.kind == "warning"
    assert f"chmod go-w {shared}" in told.remedy
    shared.chmod(0o1777)
    assert findings(layout) == []


@pytest.mark.parametrize("name", ["who.json", "blackbox"])
def test_who_json_is_read_once(layout: Layout, name: str) -> None:
    """By the accounts, which say of which writers that could not be done: of these alone it is tried again."""
    whole, damaged = Writer.born(layout), Writer.born(layout)
    Path(layout.writer(damaged.id), name).write_bytes(b"nonsense")
    undescribed = [one.id for one in read_accounts(layout.spool).writers if not one.is_described]
    assert undescribed == [damaged.id]
    [told] = findings(layout, undescribed)
    assert findings(layout) == [told]
    assert f"{layout.writer(damaged.id)}/{name}" in told.text
    assert findings(layout, []) == []
    for writer in (whole, damaged):
        writer.abandon()
