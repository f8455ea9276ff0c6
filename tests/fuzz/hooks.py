"""What a ``before_send`` returns: any value at any place of the event."""

from __future__ import annotations

import copy
from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Callable, Optional, cast

from hypothesis import strategies as st

from lastword.cli.reading import pages_of, title_of
from lastword.config import Config
from lastword.dsn import Destination, Dsn
from lastword.event import Event, new_id
from lastword.recorder import Recorder
from lastword.spool.layout import Layout
from lastword.spool.record import Record, parse
from lastword.wire.formats import FORMATS
from tests.fuzz.harness import Failure, Target
from tests.fuzz.mutations import DIRTY
from tests.fuzz.world import World
from tests.support.events import exception, exception_event, frame

WAYS = [Destination(Dsn.parse(f"{wire}+http://t@127.0.0.1:9/o/p?token=t"), 5.0) for wire in FORMATS]


class _Unwilling:
    """Does nothing that it is asked for."""

    def _refuse(self, *_: object) -> Any:
        raise SystemExit("no")

    __str__ = __repr__ = __len__ = __iter__ = __eq__ = __hash__ = __bool__ = __float__ = __int__ = _refuse


class _Text(str):
    def __str__(self) -> str:
        raise KeyError


class _Mapping(dict[Any, Any]):
    def __getitem__(self, key: object) -> Any:
        raise RuntimeError

    def items(self) -> Any:
        raise RuntimeError


def _in_itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def _deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(5_000):
        value = [value]
    return value


#: What a hook may put anywhere, by name, so that a case can be written down.
VALUES: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "gone": lambda: None,
    "true": lambda: True,
    "zero": lambda: 0,
    "minus": lambda: -1,
    "beyond int64": lambda: 1 << 63,
    "beyond float": lambda: 10**400,
    "5000 digits": lambda: 10**5000,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "1e300": lambda: 1e300,
    "complex": lambda: 1j,
    "decimal": lambda: Decimal("sNaN"),
    "date": lambda: datetime(1, 1, 1),
    "empty": lambda: "",
    "text": lambda: "x",
    "long": lambda: "x" * 2_000_000,
    "dirty": lambda: DIRTY + "\0\ud800",
    "bytes": lambda: b"\xff",
    "list": list,
    "dict": dict,
    "pairs": lambda: [["a", 1], ["b"]],
    "list of dicts": lambda: [{}, {"": None, "kind": "cause", "parent": 0}],
    "cause of itself": lambda: [{"type": "E", "value": "", "kind": "cause", "parent": 0, "notes": [], "frames": []}],
    "odd keys": lambda: {None: 1, 2: 3, "\ud800": 4, (1, 2): 5},
    "set": lambda: {1, "a"},
    "many": lambda: list(range(50_000)),
    "in itself": _in_itself,
    "deep": _deep,
    "unwilling": _Unwilling,
    "text of its own": lambda: _Text("x"),
    "dict of its own": lambda: _Mapping(a=1),
    "generator": lambda: (number for number in "ab"),
    "class": lambda: _Unwilling,
}

EDITS = st.lists(st.tuples(st.lists(st.integers(0, 40), max_size=6), st.sampled_from(sorted(VALUES))), max_size=4)


def target(world: World, stack: ExitStack) -> Target:
    """Every event is recorded or refused; what is recorded can be sent, and read by people."""
    hook = _Hook()
    config = Config(before_send=hook, spool=str(world.spool), dsn="booboo+http://t@127.0.0.1:9/o/p", flusher="hold")
    stack.callback(hook.stop)

    def check(case: list[tuple[list[int], str]]) -> None:
        if hook.count % 200 == 0:
            hook.stop()
            world.clear()
            hook.recorder = Recorder(config)
        recorder = hook.recorder
        assert recorder is not None
        hook.count += 1
        hook.edits = case
        bad, good = _event(), _event()
        kept = recorder.record(bad)
        hook.edits = []
        if recorder.record(good) != good["id"]:
            raise Failure("the next one was not recorded")
        records = _records(recorder, world.spool)
        if good["id"] not in records or (kept is not None and kept not in records):
            raise Failure("it is not in the segment", repr(kept))
        if kept is not None:
            _use(records[kept])

    return Target("hooks", EDITS, check, world.touched)


class _Hook:
    def __init__(self) -> None:
        self.recorder: Optional[Recorder] = None
        self.count = 0
        self.edits: list[tuple[list[int], str]] = []

    def stop(self) -> None:
        if self.recorder is not None and self.recorder.writer is not None:
            self.recorder.writer.abandon()

    def __call__(self, event: Any) -> Any:
        for steps, name in self.edits:
            event = _edited(event, steps, name)
        return event


def _edited(event: Any, steps: list[int], name: str) -> Any:
    """``event`` with a value at the place to which the steps lead, each the number of a child."""
    if not steps or type(event) not in (dict, list) or not event:
        return VALUES[name]()
    keys = list(event) if type(event) is dict else list(range(len(event)))
    key = keys[steps[0] % len(keys)]
    if len(steps) == 1 and name == "gone":
        del event[key]
    else:
        event[key] = _edited(event[key], steps[1:], name)
    return event


def _event() -> Event:
    crumb = {"timestamp": 1.0, "type": "log", "category": "c", "level": "info", "message": "m", "data": {"a": 1}}
    attachment = {"name": "a.txt", "type": "text/plain", "size": 1, "content": "eA==", "file": None, "left_out": None}
    frames = [frame("pay", line=3, variables=[("card", "repr", "4")]), frame("call", columns=(4, 1, 5))]
    raised = exception("ValueError", "no", frames)
    event = exception_event(
        id=new_id(),
        exceptions=[raised, {**exception("KeyError", "k", frames[:1]), "kind": "cause", "parent": 0}],
        breadcrumbs=[crumb],
        attachments=[attachment],
        contexts={"request": {"url": "http://x/"}},
        user={"id": "42"},
        tags={"a": "b"},
        extra={"rows": 7},
    )
    return copy.deepcopy(event)


def _records(recorder: Recorder, spool: Path) -> dict[str, Record]:
    """Those at the end of what it wrote."""
    writer = recorder.writer
    assert writer is not None
    directory = Path(Layout(str(spool)).writer(writer.id))
    found = {}
    for path in sorted(directory.glob("*.seg"))[-2:]:
        for line in path.read_bytes().splitlines()[-2:]:
            record = parse(line)
            if isinstance(record, Record):
                found[record.id] = record
    return found


def _use(record: Record) -> None:
    at = record.captured_at
    if not (at == at and 0 <= at < 1e12):
        raise Failure("captured_at", repr(at))
    for way in WAYS:
        request = FORMATS[way.dsn.wire].request(cast("Event", record.content), way)
        if len(request.body) > 1 << 24:
            raise Failure("large", f"{len(request.body)} bytes for {way.dsn.wire}")
    title_of(record.content)
    for span in pages_of(record.content):
        span.text.encode("utf-8", "backslashreplace")
