"""When a program whose DSN was corrected takes along what it recorded before, and above all when it does not."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any, Optional

import pytest

from lastword.dsn import Destination, Dsn
from lastword.flusher.corrections import redirect_corrected
from lastword.flusher.watch import WatchedWriter
from lastword.spool import destination
from lastword.spool.identity import program_of
from lastword.spool.layout import Layout
from lastword.spool.ledger import DestinationHealth, Ledger, WriterEntry
from lastword.spool.redirects import Redirects
from tests.support.promise import Section, promise
from tests.support.spools import Process, look

pytestmark = promise(
    Section.FLUSHER_MODES, "Events recorded with a wrong key are sent with the corrected key, and no others are"
)

TRACKER = "https://tracker.example:6098"
WRONG, RIGHT = f"backtrace+{TRACKER}?token=wrong", f"backtrace+{TRACKER}?token=right"
KNOWN_SINCE = 1_800_000_000.0
BEFORE, AFTER = KNOWN_SINCE - 100.0, KNOWN_SINCE + 100.0
SHOP: dict[str, Any] = {"host": "one", "program": "/srv/shop.py", "directory": "/srv", "arguments": 7, "uid": 1000}


@dataclass
class Scene:
    """The program ``SHOP`` has recorded for WRONG and ended, and now records for RIGHT, which takes it."""

    new: str = RIGHT
    who: dict[str, Any] = field(default_factory=dict)  # in which the one that recorded for WRONG differs
    born: float = BEFORE
    alive: bool = False
    old_health: DestinationHealth = field(default_factory=lambda: DestinationHealth(failures=3, misconfigured=True))
    new_health: DestinationHealth = field(default_factory=lambda: DestinationHealth(delivered=1, last_success_at=1.0))
    third: Optional[str] = None  # another destination that the program records for

    def given(self, layout: Layout) -> Optional[str]:
        """Where the leader has WRONG's records go; None where they stay."""
        old = self._recorded(layout, WRONG, {**SHOP, "born": self.born, **self.who}, alive=self.alive)
        writers = [old, self._recorded(layout, self.new, {**SHOP, "born": AFTER}, alive=True)]
        if self.third:
            writers.append(self._recorded(layout, self.third, {**SHOP, "born": AFTER}, alive=True))
        ledger = Ledger()
        another_programs = DestinationHealth(delivered=1, last_success_at=1.0)
        ledger.destinations = {
            key_of(WRONG): self.old_health,
            key_of(self.new): self.new_health,
            "elsewhere": another_programs,
        }
        redirect_corrected(layout, ledger, writers)
        found = Redirects(layout)
        for redirect in found.refresh(AFTER):
            assert (redirect.old, list(redirect.upto)) == (key_of(WRONG), [old.id])
            old.redirect([redirect])
        assert len({line.to for line in old.waiting()}) == 1
        [to, *_] = [line.to for line in old.waiting()]
        redirect_corrected(layout, ledger, writers)
        assert len(os.listdir(layout.redirects) if os.path.isdir(layout.redirects) else []) == (to != key_of(WRONG))
        return None if to == key_of(WRONG) else to

    def _recorded(self, layout: Layout, dsn: str, who: dict[str, Any], *, alive: bool) -> WatchedWriter:
        process = Process(layout, dsn, "one", "two").ends()
        (process.directory / "who.json").write_text(json.dumps(who))
        assert process.destination is not None
        destination.store(layout, process.destination)
        os.utime(layout.destination(process.destination.key), (KNOWN_SINCE, KNOWN_SINCE))
        writer = WatchedWriter(layout, process.writer.id, WriterEntry())
        look(writer, AFTER)
        writer.dead = not alive
        return writer


def key_of(dsn: str) -> str:
    return Destination(Dsn.parse(dsn), 5.0).key


@pytest.mark.parametrize("scene", [Scene(), Scene(third="backtrace+https://elsewhere.example?token=t")])
def test_corrected_dsn_takes_over_earlier_events(layout: Layout, scene: Scene) -> None:
    """Those recorded for the wrong DSN; events recorded elsewhere do not matter."""
    assert scene.given(layout) == key_of(RIGHT)


@pytest.mark.parametrize(
    "scene",
    [
        Scene(new=RIGHT.replace("tracker", "another")),
        Scene(new=RIGHT.replace("6098", "6099")),
        Scene(new=RIGHT.replace("https", "http")),
        Scene(new="booboo+https://right@tracker.example:6098/org/project"),
        Scene(third=RIGHT.replace("right", "third")),
        Scene(who={"program": "/srv/blog.py"}),
        Scene(who={"directory": "/srv/blog"}),
        Scene(who={"arguments": 8}),
        Scene(who={"host": "two"}),
        Scene(who={"uid": 1001}),
        Scene(who={"role": "flusher"}),
        Scene(born=AFTER),
        Scene(who={"born": None}),
        Scene(alive=True),
        Scene(old_health=DestinationHealth(failures=3)),
        Scene(old_health=DestinationHealth(failures=3, misconfigured=True, last_success_at=1.0)),
        Scene(new_health=DestinationHealth()),
        Scene(new_health=DestinationHealth(delivered=1, last_success_at=1.0, failures=1)),
    ],
    ids=lambda scene: next(f"{name} {value}" for name, value in vars(scene).items() if value != vars(Scene())[name]),
)
def test_doubtful_correction_leaves_events_with_the_wrong_dsn(layout: Layout, scene: Scene) -> None:
    """Until somebody redirects them."""
    assert scene.given(layout) is None


@pytest.mark.parametrize("program", ["-c", "-m", "-", "/usr/bin/python3.11", "pypy3", "", None, ["/srv/shop.py"]])
def test_a_command_line_that_names_no_program(program: object) -> None:
    """Two consoles of one user are two programs; garbage names none."""
    assert program_of(SHOP) is not None
    assert program_of({**SHOP, "program": program}) is None
