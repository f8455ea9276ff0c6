"""The golden requests: what each format makes of a few events, as files to read and to compare with.

After a change that is meant, look at the difference that this makes::

    python -m tests.wire.golden_requests
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lastword.event import Event
from lastword.version import __version__
from lastword.wire.formats import FORMATS
from tests.support.events import breadcrumb, destination, exception, exception_event, frame, message_event

GOLDEN = Path(__file__).with_name("golden")

DESTINATIONS = {
    "backtrace": destination("backtrace+https://submit.backtrace.io/universe/TOKEN/json"),
    "booboo": destination("booboo+https://TOKEN@ingest.booboo.dev/organisation/project"),
}

_VARIABLES = [
    ("order", "repr", "<Order 17>"),
    ("card_token", "filtered", ""),
    ("cart", "failed", "Cart"),
    ("__class__", "repr", "<class 'Shop'>"),
]

_OTHER_THREADS = [
    {
        "id": 140000000000002,
        "name": "pool-1",
        "main": False,
        "calls": [["/app/pool.py", "run", 7], ["/app/shop.py", "pay", 2]],
    },
    {"id": 140000000000003, "name": "Thread-140000000000003", "main": False, "calls": []},
]


def golden_events() -> dict[str, Event]:
    """Each golden event by the name of its files."""
    checkout = frame("checkout", line=90, path="/app/web.py", first_source_line=90, source=["    pay(order)"])
    timeout = exception("Timeout", "bank", [frame("ask_bank", line=2)], kind="cause", parent=0)
    reset = exception("ConnectionReset", "", [frame("read", line=1)], kind="context", parent=1, notes=["try later"])
    nowhere = frame("<lambda>", line=1, path="/app/<string>", file="<string>", first_source_line=0, source=[])
    members = [exception("ValueError", str(number), [], kind="member", parent=0) for number in (1, 2)]
    said: dict[str, Any] = {
        "tags": {"queue": "mail", "attempt": "tag"},
        "extra": {"attempt": 2, "slow": True, "rows": [1, {"id": 2}]},
        "contexts": {"order": {"id": 17, "items": ["book"]}},
        "breadcrumbs": [
            breadcrumb("GET /cart", type="http", category="requests", data={"status": 200, "tries": [1]}),
            breadcrumb("card declined", timestamp=1699999999.5, level="warning"),
        ],
        "fingerprint": ["checkout", "declined"],
        "transaction": "POST /checkout",
    }
    members.append(exception("KeyError", "'x'", [], kind="cause", parent=2))
    return {
        "message": message_event("deployed", tags={"queue": "mail"}, user={"id": "42", "roles": ["admin"]}),
        "exception_with_variables": exception_event(
            exceptions=[exception(frames=[checkout, frame(variables=_VARIABLES)], notes=["the bank said no"])]
        ),
        "said_by_the_program": exception_event(**said),
        "chained": exception_event(exceptions=[exception(frames=[checkout, frame()]), timeout, reset]),
        "group": exception_event(exceptions=[exception("ExceptionGroup", "two (2 sub-exceptions)"), *members]),
        "threads": exception_event(threads=_OTHER_THREADS),
        "without_source": exception_event(exceptions=[exception("OSError", "nothing", [nowhere])], handled=False),
    }


def golden_text(wire: str, event: Event) -> str:
    """The request of ``event`` as the golden file shows it: laid out, and without lastword's own version."""
    request = FORMATS[wire].request(event, DESTINATIONS[wire])
    body = request.body.decode("ascii")
    before, opening, rest = body.partition("{")
    report, line_end, after = rest.partition("\r\n")  # JSON as it is sent has no line break
    shown = {
        "url": request.url,
        "headers": dict(request.headers),
        "before": before,
        "json": json.loads(opening + report),
        "after": line_end + after,
    }
    return json.dumps(shown, indent=1).replace(f'"{__version__}"', '"VERSION"') + "\n"


def golden_file(wire: str, name: str) -> Path:
    return GOLDEN / f"{wire}_{name}.json"


if __name__ == "__main__":
    for wire in FORMATS:
        for name, event in golden_events().items():
            golden_file(wire, name).write_text(golden_text(wire, event))
