"""``lastword ls`` and ``lastword show``: print the events in the spool for people to read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Optional

from lastword.audit import kept_events
from lastword.audit.findings import unread_paths
from lastword.audit.kept_events import Kept
from lastword.cli import output, resolve_spool
from lastword.cli.change import whole_ids
from lastword.cli.reading import Span, date_of, pages_of, title_of
from lastword.foreign_text import printable
from lastword.spool.layout import Layout


def run_ls(*, spool: Optional[str], set_aside: bool) -> int:
    """Print one line per event, oldest first. Return 0. Raises SpoolError."""
    layout = resolve_spool.to_read(spool)
    lines = []
    for one in kept_events.set_aside(layout) if set_aside else kept_events.held(layout):
        state = f"{one.why}: {one.reason}" if one.why else "held" if one.to else "no DSN"
        when = one.captured_at or one.at
        lines.append((when, f"{one.id}  {_date(when)}  {title_of(one.event)}  [{state}]"))
    for _, line in sorted(lines):
        output.line(line)
    _report_skipped(layout, "ls")
    if not lines:
        output.line("nothing is set aside" if set_aside else "nothing is held", error=True)
    return 0


def run_show(event_id: str, *, spool: Optional[str]) -> int:
    """Print one whole event. Return 0. Raises SpoolError if no event, or more than one, matches the id."""
    layout = resolve_spool.to_read(spool)
    _report_skipped(layout, "show")
    # Read the spool twice, so that memory holds only the event that is shown.
    [whole] = whole_ids([event_id], (one.id for one in _everything(layout)))
    found = next((one for one in _everything(layout) if one.id == whole), None)
    if found is None:
        output.line("it was just sent, and is no longer in the spool", error=True)
        return 1
    output.spans(chain(_state_of(found), pages_of(found.event)))
    return 0


def _report_skipped(layout: Layout, command: str) -> None:
    for reason in unread_paths(layout):
        output.line(f"lastword {command}: not read: {reason}", error=True)


def _everything(layout: Layout) -> Iterator[Kept]:
    return chain(kept_events.set_aside(layout), kept_events.held(layout))


def _state_of(one: Kept) -> Iterator[Span]:
    yield Span(printable(one.id, lines=False), "bold")
    if one.why:
        yield Span(f"\nset aside {_date(one.at)}, {one.why}: {one.reason}", "red")
    else:
        yield Span("\nheld" if one.to else "\nheld, captured without a DSN", "yellow")
    if one.record is None:
        yield Span(f"\nThe damaged record is in {printable(one.path, lines=False)}", "")
    yield Span("\n", "")


def _date(at: float) -> str:
    return f"{date_of(at, '%Y-%m-%d %H:%M:%S') if at else '?':<19}"
