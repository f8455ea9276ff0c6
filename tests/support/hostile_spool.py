"""A spool each of whose texts and names is hostile: what a user may have prepared for whoever looks at it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lastword.dsn import Destination, Dsn
from lastword.event import new_id
from lastword.spool import blackbox
from lastword.spool import destination as destinations
from lastword.spool.layout import BLACKBOX, Layout
from lastword.spool.ledger import DestinationHealth, Ledger, dropped
from lastword.spool.ledger import set_aside as as_set_aside
from lastword.spool.record import encode_event, encode_rendered, frame
from tests.support.events import breadcrumb, exception, exception_event, message_event
from tests.support.events import frame as frame_of
from tests.support.hostile import ALL, HOSTILE
from tests.support.planted import writer_of
from tests.support.spools import store_state

#: What a name of a file can hold of each.
NAMES = [
    os.fsdecode(text.replace("/", "").replace("\0", "")[:60].encode("utf-8", "surrogatepass"))
    for text in HOSTILE.values()
]

#: Nobody listens there.
DSN = "booboo+http://the-t0ken@127.0.0.1:9/o/p"


def hostile(value: Any) -> Any:
    """The same shape with hostile texts only, as values and beside the names; what makes the shape stays."""
    if isinstance(value, str):
        return ALL + value
    if isinstance(value, Mapping):
        kept = ("id", "kind", "columns")
        return {**{name: one if name in kept else hostile(one) for name, one in value.items()}, ALL: ALL}
    return [hostile(one) for one in value] if isinstance(value, (list, tuple)) else value


def events() -> list[dict[str, Any]]:
    """A message and a chain with everything in it."""
    shown: Any = frame_of(variables=[["order", "repr", "<Order 7>"], ["card", "filtered", ""]])
    chain = [
        exception("ExceptionGroup", "two", [shown], notes=["try again"]),
        exception("OSError", "first", [], kind="member", parent=0),
        exception("KeyError", "second", [shown], kind="cause", parent=0),
    ]
    said = {
        "user": {"id": "1"},
        "tags": {"a": "b"},
        "extra": {"a": ["b"]},
        "contexts": {"a": {"b": "c"}},
        "breadcrumbs": [breadcrumb("x", data={"a": "b"})],
        "fingerprint": ["a"],
        "transaction": "t",
        "attachments": [{"name": "n", "type": "t", "size": 1, "content": None, "left_out": "why"}],
    }
    return [hostile(dict(message_event("hello", **said))), hostile(dict(exception_event(exceptions=chain, **said)))]


def plant(spool: Path) -> list[str]:
    """Make it; returns ids of events, or how they begin, to look at."""
    layout = Layout(str(spool))
    layout.prepare()
    place = "h\x1b0;PWNED\x07\x9b31m\u202e\u200b\x7f\x08"  # what urlsplit takes for a host
    odd = Destination(Dsn(ALL, f"http://{place}/?token={place}", ALL), 5.0)
    known = Destination(Dsn.parse(DSN), 5.0)
    for one in (odd, known):
        destinations.store(layout, one)
    held = _writer(layout, odd, known)
    aside = _set_aside(layout, odd)
    _ledger(layout, odd, known)
    for directory in (layout.base, layout.writers, layout.birth, layout.destinations, layout.refused, layout.orders):
        Path(directory).mkdir(exist_ok=True, mode=0o700)
        for number, name in enumerate(NAMES):
            path = Path(directory) / (name + (".json" if number % 2 and directory == layout.destinations else ".moved"))
            path.mkdir() if number % 5 == 0 else path.write_text("x" * number)
    Path(layout.flusher_log).write_bytes((ALL * 50 + "\n").encode("utf-8", "surrogatepass"))
    Path(layout.leader).write_text(json.dumps({"pid": 1, "lastword": ALL, "since": 0, "signs": False}))
    Path(layout.start_state).write_text(json.dumps({"failures": 3, "not_before": 0.0, "unfinished": False}).ljust(256))
    return held + aside


def _writer(layout: Layout, odd: Destination, known: Destination) -> list[str]:
    ids = []
    with writer_of(Path(layout.spool)) as writer:
        for to in (known, odd, None):
            for event in events():
                ids.append(event["id"])
                event["id"] = ids[-1] = new_id()
                writer.append(encode_event(ids[-1], to.key if to else None, event), to)
        for wire, body, kind in (
            ("booboo", json.dumps({"message": ALL, "exception_type": ALL, ALL: ALL}).encode(), ALL),
            (ALL, ALL.encode("utf-8", "surrogatepass"), "text/plain"),
            ("backtrace", b"\xff\x1b[31m", ALL),
        ):
            ids.append(new_id())
            writer.append(encode_rendered(ids[-1], known.key, wire, body, kind, 1.0), known)
    directory = Path(layout.writer(writer.id))
    who = json.loads((directory / "who.json").read_text())
    (directory / "who.json").write_text(json.dumps({**who, "program": ALL, "pid": 1}))
    state = blackbox.WriterState(7, 0, dict.fromkeys(list(HOSTILE.values())[:9], 3))
    store_state(directory / BLACKBOX, state)
    for name in NAMES:
        (directory / name).write_text("x")
    return ids


def _set_aside(layout: Layout, odd: Destination) -> list[str]:
    ids = []
    texts = list(HOSTILE.values())
    for number, name in enumerate(NAMES[::4]):
        text = "".join(texts[4 * number : 4 * number + 4])
        event = events()[number % 2]
        ids.append(new_id())
        head = {"why": text, "reason": text + ALL * 30, "at": 1.0, "to": odd.key if number % 3 else text}
        content = json.dumps(head).encode() + b"\n" + frame(encode_event(ids[-1], odd.key, event), None)
        (Path(layout.set_aside) / f"{ids[-1]}.record").write_bytes(content)
        (Path(layout.set_aside) / f"z{number}{name}.damaged").write_bytes(content[: content.index(b"\n") + 9])
        ids.append(f"z{number}")
    return ids


def _ledger(layout: Layout, *known: Destination) -> None:
    ledger = Ledger.load(layout)
    for key in (*(one.key for one in known), *HOSTILE.values()):
        health = ledger.health(key)
        vars(health).update(vars(DestinationHealth(failures=9, misconfigured=True, last_error_at=1.0)))
        health.last_error = ALL * 10
    for text in HOSTILE.values():
        ledger.totals.tally.update({as_set_aside(text): 1, dropped(text): 2})
    ledger.totals.refused = Counter(HOSTILE.values())
    ledger.totals.recorded = 48
    ledger.store(layout)
    assert os.path.exists(layout.ledger_copies[0])
