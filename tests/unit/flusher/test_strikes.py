"""Which event a flusher died of: only what it sent alone counts, and only over flushers that died."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lastword.flusher.strikes import SIZE, InFlight, Strikes
from lastword.spool.layout import Layout
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.BAD_EVENT,
    "Reboots, exits and verdicts count against no event",
    broken_by="boot id not compared; nothing said at leaving; strikes kept after a verdict",
)


@promise(
    Section.BAD_EVENT,
    "A flusher's death counts against an event only when it was sent alone",
    broken_by="every death counts",
)
def test_death_with_several_in_flight_makes_them_suspects_only(layout: Layout) -> None:
    """Each is sent alone afterwards."""
    Strikes(layout).sends("a", ["a", "b"])
    for other in "defgh":
        successor = Strikes(layout)
        assert [successor.is_suspect(name) for name in "abc"] == [True, True, False]
        assert not successor.is_poison("a")
        successor.sends(other, [other])


def test_three_deaths_while_sending_one_event_make_it_poison(layout: Layout) -> None:
    """The third death of a flusher that sent nothing else makes it poison, and nothing else."""
    Strikes(layout).sends("a", ["a", "b"])
    for deaths in range(1, 4):
        successor = Strikes(layout)
        assert not successor.is_poison("a")
        successor.sends("a", ["a"])
        assert successor.sending_alone
        assert Strikes(layout).is_poison("a") is (deaths == 3)
    assert not Strikes(layout).is_poison("b")


def test_verdict_clears_strikes(layout: Layout) -> None:
    """An event with a verdict killed no flusher."""
    Strikes(layout).sends("a", ["a"])
    for _ in range(5):
        successor = Strikes(layout)
        successor.sends("a", ["a"])
        successor.survived("a")
        assert not successor.sending_alone
        assert not Strikes(layout).is_suspect("a")
        Strikes(layout).sends("a", ["a"])


def test_leaving_flusher_makes_no_event_suspect(layout: Layout) -> None:
    """A flusher that leaves of its own will, whatever it was sending, was not killed."""
    flusher = Strikes(layout)
    flusher.sends("a", ["a", "b"])
    flusher.leave()
    assert not Strikes(layout).is_suspect("a")


def test_reboot_makes_no_event_suspect(layout: Layout) -> None:
    """A file from another boot proves nothing."""
    Strikes(layout).sends("a", ["a"])
    told = json.loads(Path(layout.in_flight).read_text())
    Path(layout.in_flight).write_text(json.dumps({**told, "boot_id": "another"}))
    assert not Strikes(layout).is_suspect("a")


@pytest.mark.parametrize("content", ["", "[1]", '{"boot_id": 1}', "\x00" * SIZE, '{"sending": 5}', "[" * 5000])
def test_garbage_makes_no_event_suspect(layout: Layout, content: str) -> None:
    """It is overwritten."""
    Path(layout.in_flight).write_text(content)
    flusher = Strikes(layout)
    flusher.sends("a", ["a"])
    assert InFlight.load(layout).sending == ["a"]


def test_file_never_grows(layout: Layout) -> None:
    """However many suspects there are, the file keeps its one size, which needs no room on a full disk."""
    flusher = Strikes(layout)
    for number in range(300):
        flusher.sends(f"{number:032x}", [f"{number:032x}"] * 50)
    assert Path(layout.in_flight).stat().st_size == SIZE
    assert Strikes(layout).is_suspect(f"{299:032x}")
