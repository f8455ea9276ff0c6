"""What the spool keeps is shown as it is: held or set aside, whole or damaged, and where it goes by now."""

from __future__ import annotations

import os
from pathlib import Path

from lastword.audit import kept_events
from lastword.spool import aside, redirects
from lastword.spool.layout import Layout
from lastword.spool.ledger import Ledger
from tests.support.planted import hold, record, writer_of


def test_held_events_are_listed_with_their_content(layout: Layout) -> None:
    """Everything that the ledger does not say is settled, with its content and its time; redirects are obeyed."""
    with writer_of(Path(layout.spool)) as writer:
        ids = record(writer, 4, timestamp=17.5)
        segment = Path(layout.writer(writer.id)) / "000001.seg"
        lengths = [len(line) + 1 for line in segment.read_bytes().splitlines()]
        ledger = Ledger()
        ledger.entry(writer.id).advance(1, lengths[0], 1)
        ledger.entry(writer.id).above.add((1, sum(lengths[:2])))
        ledger.store(layout)
        found = list(kept_events.held(layout))
        assert [one.id for one in found] == [ids[1], ids[3]]
        assert {(one.captured_at, one.to, one.why) for one in found} == {(17.5, None, None)}
        assert found[0].event["message"] == "message 1"
        redirects.give(layout, None, "0123456789ab")
        assert {one.to for one in kept_events.held(layout)} == {"0123456789ab"}


def test_set_aside_records_are_listed_with_their_reason(layout: Layout) -> None:
    """Records and damage, each with its reason; what is no file of ours is passed over."""
    [event_id] = hold(Path(layout.spool))
    [writer_id] = layout.writer_ids()
    size = os.path.getsize(os.path.join(layout.writer(writer_id), "000001.seg"))
    failed = aside.Head("failed", "too bad", 3.0, "0123456789ab")
    aside.put(layout, f"{event_id}.record", failed, writer_id, "000001.seg", 0, size)
    aside.put(layout, "w-1-5.damaged", aside.Head("damaged", "torn", 3.0), writer_id, "000001.seg", 5, size)
    Path(layout.set_aside, "empty.record").touch()
    Path(layout.set_aside, "other").touch()
    Path(layout.set_aside, "directory.record").mkdir()
    empty, damaged, whole = sorted(
        kept_events.set_aside(layout), key=lambda one: (one.record is not None, one.id != "empty")
    )
    assert (whole.id, whole.to, whole.why, whole.reason, whole.at) == (
        event_id,
        "0123456789ab",
        "failed",
        "too bad",
        3.0,
    )
    assert whole.event["message"] == "message 0"
    assert (damaged.id, damaged.record, damaged.why, damaged.reason) == ("w-1-5", None, "damaged", "torn")
    assert (empty.id, empty.event) == ("empty", {})


def test_no_spool(tmp_path: Path) -> None:
    """Where there is none, nothing is kept, and none is made."""
    layout = Layout(str(tmp_path / "none"))
    assert [*kept_events.held(layout), *kept_events.set_aside(layout)] == []
    assert not (tmp_path / "none").exists()
