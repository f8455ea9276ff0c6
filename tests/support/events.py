"""Events to test with: complete, fixed, and changed by naming what should differ.

>>> exception_event(exceptions=[exception("ValueError", "no", [frame("pay", line=3)])], handled=False)
"""

from __future__ import annotations

from typing import Any, cast

from lastword.dsn import Destination, Dsn
from lastword.event import Breadcrumb, Event, ExceptionInfo, Frame

EVENT_ID = "0123456789ab4def8123456789abcdef"

SOURCE = [
    "def pay(order):",
    "    amount = order.total",
    "    card = order.card",
    '    raise CardRefused("card refused")',
    "",
]

_MEMINFO = [
    "MemTotal",
    "MemFree",
    "MemAvailable",
    "Buffers",
    "Cached",
    "SwapCached",
    "Active",
    "Inactive",
    "SwapTotal",
    "SwapFree",
    "Dirty",
    "Writeback",
    "Slab",
    "VmallocTotal",
    "VmallocUsed",
    "VmallocChunk",
]
_PROCESS_STATUS = [
    "FDSize",
    "VmPeak",
    "VmSize",
    "VmLck",
    "VmHWM",
    "VmRSS",
    "VmData",
    "VmStk",
    "VmLib",
    "VmPTE",
    "VmSwap",
    "voluntary_ctxt_switches",
    "nonvoluntary_ctxt_switches",
]

#: Figures that differ from one another, by the kernel's names.
MEMORY = {name: 1024 * number for number, name in enumerate(_MEMINFO, start=1)}
STATUS = {name: 1024 * number for number, name in enumerate(_PROCESS_STATUS, start=1)}


def frame(function: str = "pay", *, line: int = 4, path: str = "/app/shop.py", **changes: Any) -> Frame:
    """A frame whose source is SOURCE, at line 1 of ``path``."""
    complete = {
        "file": path,
        "path": path,
        "module": "shop",
        "function": function,
        "qualname": function,
        "line": line,
        "columns": None,
        "first_source_line": 1,
        "source": list(SOURCE),
        "in_app": True,
        "variables": [],
        **changes,
    }
    return cast("Frame", complete)


def exception(
    kind_of: str = "CardRefused", value: str = "card refused", frames: list[Frame] | None = None, **changes: Any
) -> ExceptionInfo:
    """A raised exception of one frame; ``kind`` and ``parent`` make it a link of a chain."""
    complete = {
        "type": kind_of,
        "module": "shop",
        "value": value,
        "kind": None,
        "parent": None,
        "notes": [],
        "frames": [frame()] if frames is None else frames,
        **changes,
    }
    return cast("ExceptionInfo", complete)


def exception_event(**changes: Any) -> Event:
    """An event of one handled exception."""
    return _event({"exceptions": [exception()], "mechanism": "capture_exception", **changes})


def breadcrumb(message: str = "GET /cart", **changes: Any) -> Breadcrumb:
    """Something that happened a little before the event."""
    defaults = {"timestamp": 1699999998.25, "type": "default", "category": "", "level": "info", "data": {}}
    return cast("Breadcrumb", {**defaults, "message": message, **changes})


def message_event(message: str = "deployed", **changes: Any) -> Event:
    """An event of ``capture_message`` at level info, with the stack of the call."""
    defaults = {"level": "info", "message": message, "stack": [frame("deploy")], "mechanism": "capture_message"}
    return _event({**defaults, **changes})


def destination(dsn: str = "booboo+http://TOKEN@127.0.0.1:1/organisation/project") -> Destination:
    return Destination(Dsn.parse(dsn), timeout=10.0)


def _event(changes: dict[str, Any]) -> Event:
    complete = {
        "id": EVENT_ID,
        "timestamp": 1700000000.75,
        "level": "error",
        "message": None,
        "exceptions": [],
        "stack": [],
        "handled": True,
        "mechanism": "",
        "thread": {"id": 140000000000001, "name": "MainThread", "main": True},
        "threads": [],
        "process": {
            "pid": 4242,
            "parent": 0,
            "name": "MainProcess",
            "program": "shop.py",
            "age": 12.75,
            "session": "11111111-2222-4333-8444-555555555555",
            "role": "",
            "command": "",
            "memory": 0,
            "status": dict(STATUS),
        },
        "host": {
            "hostname": "web-1",
            "sysname": "Linux",
            "release": "6.1.0",
            "version": "#1 SMP",
            "machine": "x86_64",
            "machine_id": "00112233445566778899aabbccddeeff",
            "memory": dict(MEMORY),
        },
        "runtime": {"name": "CPython", "version": "3.11.7", "release_level": "final"},
        "environment": "production",
        "release": "r1",
        "user": None,
        "tags": {},
        "extra": {},
        "contexts": {},
        "breadcrumbs": [],
        "fingerprint": [],
        "transaction": None,
        "attachments": [],
        "sources": {},
        **changes,
    }
    return cast("Event", complete)
