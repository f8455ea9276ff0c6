"""The promise: what was attached is safe with its event, whatever becomes of the file, the program and the tracker."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from lastword.audit.accounts import read_accounts
from lastword.cli import main
from lastword.spool.record import MAX_RECORD
from lastword.testing import LoopbackTracker
from tests.support.programs import recorded, run, wait_for_accounts
from tests.support.promise import Section, promise

ATTACHES = """
path = "{path}"
open(path, "wb").write(b"what led to it")
lastword.add_attachment(path, content_type="text/plain")
lastword.add_attachment(data=b"\\0" * 100, name="state.bin")
lastword.add_attachment(path + ".missing")
try:
    1 / 0
except ZeroDivisionError:
    acked(lastword.capture_exception())
os.remove(path)
die()
"""


@promise(
    Section.ATTACHMENTS,
    "Attachments are safe with their event, whatever happens to file, program and tracker",
    broken_by="nothing attached; unreadable files passed over",
)
@pytest.mark.parametrize("wire", ["backtrace", "booboo"])
def test_attachments_arrive_after_an_outage_without_file_and_program(tmp_path: Path, wire: str) -> None:
    """Or are named to a tracker that has no place for them."""
    spool = tmp_path / "spool"
    with LoopbackTracker(wire) as tracker:
        tracker.go_down()
        assert len(run(ATTACHES.format(path=tmp_path / "shop.log"), spool=spool, dsn=tracker.dsn)) == 1
        wait_for_accounts(
            spool, lambda accounts: any(health.failures > 1 for health in accounts.destinations.values()), "attempts"
        )
        assert not (tmp_path / "shop.log").exists()
        tracker.come_up()
        (received,) = tracker.wait_for(1, timeout=30)
        wait_for_accounts(spool, lambda accounts: accounts.delivered == 1, "settling")
    body = received.body or {}
    if wire == "backtrace":
        assert dict(received.attachments) == {"shop.log": b"what led to it", "state.bin": b"\0" * 100}
        assert body["annotations"]["Attachments left out"] == ["shop.log.missing: it could not be read"]
    else:
        said = "not sent: shop.log (14 bytes); state.bin (100 bytes); shop.log.missing: it could not be read"
        assert body["tags"]["lastword.attachments"] == said


def test_show_names_attachments_without_their_content(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With names, types and sizes."""
    spool = tmp_path / "spool"
    (event_id,) = run(ATTACHES.format(path=tmp_path / "shop.log"), spool=spool)
    assert main(["show", "--spool", str(spool), event_id]) == 0
    shown = capsys.readouterr().out
    assert "  shop.log  text/plain, 14 bytes\n" in shown
    assert "  state.bin  application/octet-stream, 100 bytes\n" in shown
    assert "what led to it" not in shown and base64.b64encode(b"what led to it").decode() not in shown


HOOK = """
def hook(event):
    {hook}
    return event

lastword.init(spool=os.environ["TEST_SPOOL"], before_send=hook)
lastword.add_attachment(data={content}, name="a")
lastword.add_attachment(data="kept", name="b")
acked(lastword.capture_message("hello"))
"""


@promise(Section.ATTACHMENTS, "`before_send` may remove attachments", broken_by="hook shown none")
def test_before_send_may_remove_attachments(tmp_path: Path) -> None:
    """The removed content is in no file."""
    spool = tmp_path / "spool"
    body = HOOK.format(hook="del event['attachments'][0]", content="'not for others'")
    assert len(run(body, spool=spool)) == 1
    (record,) = recorded(spool)
    assert [one["name"] for one in record.content["attachments"]] == ["b"]
    removed = base64.b64encode(b"not for others")
    assert not [path for path in spool.rglob("*") if path.is_file() and removed in path.read_bytes()]


@promise(Section.ATTACHMENTS, "Attachments never cost the event", broken_by="left in, whatever the size; names left in")
def test_event_that_a_hook_enlarges_loses_attachments_and_is_kept(tmp_path: Path) -> None:
    """The attachments that have no room left are named."""
    spool = tmp_path / "spool"
    body = HOOK.format(hook="event['extra']['more'] = 'm' * 500_000", content="'x' * 600_000")
    assert len(run(body, spool=spool)) == 1
    (record,) = recorded(spool)
    assert [(one["size"], one["content"], one["left_out"]) for one in record.content["attachments"]] == [
        (600_000, None, "there was no room for it"),
        (4, None, "there was no room for it"),
    ]
    assert len(json.dumps(record.content)) < MAX_RECORD
    assert not read_accounts(spool).refused


@promise(Section.ATTACHMENTS, "Attachments never cost the event")
def test_event_without_room_for_attachment_names_is_kept(tmp_path: Path) -> None:
    """The event alone fills its record."""
    spool = tmp_path / "spool"
    alone = "json.dumps({**event, 'attachments': []}, separators=(',', ':'))"
    hook = f"event['extra']['more'] = 'm' * (1_048_350 - len({alone}))"
    assert len(run("import json" + HOOK.format(hook=hook, content="'x' * 600_000"), spool=spool)) == 1
    (record,) = recorded(spool)
    assert record.content["attachments"] == []


@promise(
    Section.ATTACHMENTS, "An event without attachments pays nothing for them", broken_by="copied where there are none"
)
def test_event_without_attachments_copies_nothing(tmp_path: Path) -> None:
    """The function that copies them is not called."""
    body = """
from lastword.scope import attachments
attachments.attach = None
acked(lastword.capture_message("hello"))
"""
    assert len(run(body, spool=tmp_path / "spool")) == 1
