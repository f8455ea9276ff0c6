"""Which record goes next, over all writers and destinations."""

from __future__ import annotations

import time

from lastword.dsn import Destination, Dsn
from lastword.flusher.backlog import Backlog
from lastword.flusher.waiting_line import State
from lastword.flusher.watch import WINDOW, WatchedWriter
from lastword.spool.layout import Layout
from lastword.spool.ledger import DestinationHealth, WriterEntry
from lastword.spool.record import encode_event
from lastword.spool.writer import Writer
from tests.support.events import message_event
from tests.support.promise import Section, promise
from tests.support.spools import look

HERE, THERE = (Destination(Dsn.parse(f"booboo+http://token@127.0.0.1:{port}/o/p"), 5.0) for port in (1, 2))

NOW = 1000.0


def watched(layout: Layout, to: Destination, *times: float) -> WatchedWriter:
    """A writer with a record of each of these times."""
    writer = Writer.born(layout)
    for at in times:
        event = message_event(f"{at:g}", timestamp=at, stack=[])
        writer.append(encode_event(f"{int(at):032x}", to.key, event), to)
    seen = WatchedWriter(layout, writer.id, WriterEntry())
    look(seen, time.time())
    writer.abandon()
    return seen


def order(backlog: Backlog, to: Destination) -> list[int]:
    found = []
    while (candidate := backlog.next(to.key)) is not None:
        found.append(int(candidate[1].event_id, 16))
    return found


@promise(Section.BAD_EVENT, "The oldest event is sent first, whichever writer it is from", broken_by="by writer")
def test_oldest_event_goes_first_over_all_writers(layout: Layout) -> None:
    """By the events' own clock, for each destination separately."""
    writers = [watched(layout, HERE, 1, 4, 6), watched(layout, HERE, 2, 3, 5), watched(layout, THERE, 7, 8)]
    backlog = Backlog({})
    backlog.sort(writers, {}, NOW)
    assert sorted(backlog.destinations()) == sorted([HERE.key, THERE.key])
    assert order(backlog, HERE) == [1, 2, 3, 4, 5, 6]
    assert order(backlog, THERE) == [7, 8]
    assert backlog.destinations() == []


@promise(
    Section.BAD_EVENT, "A backlog is sent only up to the time to which all writers were read", broken_by="no horizon"
)
def test_records_wait_until_all_writers_were_read_up_to_their_time(layout: Layout) -> None:
    """Younger records of other writers wait for a long backlog."""
    long = watched(layout, HERE, *range(1, 2 * WINDOW + 1))
    late = watched(layout, HERE, WINDOW + 10)
    backlog = Backlog({})
    backlog.sort([long, late], {}, NOW)
    first = order(backlog, HERE)
    assert first == list(range(1, WINDOW + 1))
    for line in list(long.waiting()):
        long.settle(line, "delivered")
    backlog.sort([long, late], {}, NOW)
    assert order(backlog, HERE) == sorted([*range(WINDOW + 1, 2 * WINDOW + 1), WINDOW + 10])


@promise(
    Section.BAD_EVENT, "A destination in trouble is tried with one event after the other", broken_by="by age alone"
)
def test_a_destination_in_trouble_is_tried_with_one_after_the_other(layout: Layout) -> None:
    """The longest failed, or never failed, event goes first; in good times failed ones go last."""
    writer = watched(layout, HERE, 1, 2, 3)
    lines = list(writer.waiting())
    lines[0].failed_at, lines[1].failed_at = 20.0, 10.0
    backlog = Backlog({})
    backlog.sort([writer], {HERE.key: DestinationHealth(failures=1)}, NOW)
    assert order(backlog, HERE) == [3, 2, 1]
    lines[0].suspicions = 1
    backlog.sort([writer], {HERE.key: DestinationHealth()}, NOW)
    assert order(backlog, HERE) == [2, 3, 1]


def test_suspect_of_a_flushers_death_goes_last(layout: Layout) -> None:
    """A flusher that is killed again is killed with another event."""
    writer = watched(layout, HERE, 1, 2, 3, 4)
    backlog = Backlog({f"{1:032x}": 2, f"{2:032x}": 1})
    for failures in (0, 1):
        backlog.sort([writer], {HERE.key: DestinationHealth(failures=failures)}, NOW)
        assert order(backlog, HERE) == [3, 4, 2, 1]


def test_events_in_flight_settled_or_paused_are_passed_over(layout: Layout) -> None:
    """The next event is chosen among the others."""
    writer = watched(layout, HERE, 1, 2, 3, 4)
    lines = list(writer.waiting())
    backlog = Backlog({})
    backlog.sort([writer], {}, NOW)
    lines[0].state, lines[1].state = State.IN_FLIGHT, State.SETTLED
    lines[2].leave_alone(60.0)
    assert order(backlog, HERE) == [4]


def test_paused_destination_costs_nothing(layout: Layout) -> None:
    """Its events are not even sorted before its time has come."""
    writer = watched(layout, HERE, 1, 2)
    backlog = Backlog({})
    resting = {HERE.key: DestinationHealth(failures=1, not_before=NOW + 5, pause=5.0)}
    backlog.sort([writer], resting, NOW)
    assert backlog.destinations() == []
    assert not backlog.is_outdated(resting, NOW + 4)
    assert backlog.is_outdated(resting, NOW + 5)
    backlog.sort([writer], resting, NOW + 5)
    assert order(backlog, HERE) == [1, 2]
