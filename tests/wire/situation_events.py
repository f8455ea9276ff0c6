"""The events that capture makes of the recorded situations, as lastword's side of the comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lastword.event import Event, Frame
from tests.support.events import exception, exception_event, frame, message_event

_SOURCE = Path(__file__).with_name("recorded").joinpath("situations.py").read_text().splitlines()

_LOCALS = [
    ("amount", "repr", "3"),
    ("password", "filtered", ""),
    ("card", "failed", "Unshowable"),
    ("statement", "repr", repr("x" * 300)),
]


def situation_event(situation: str) -> Event:
    """The event of the situation that ``record_originals`` knows by this name."""
    main = _frame("main", "        fail()")
    key_error = ("KeyError", "'order'")
    lost = ("LookupError", "order lost")
    find = _frame("find_order", '    raise KeyError("order")')
    if situation == "message":
        reported_from = [_program(), _frame("announce", "    capture()"), _program("<lambda>")]
        return message_event("deployed", stack=reported_from)
    if situation == "locals":
        refuse = _frame("refuse_card", "    raise CardRefused", variables=_LOCALS)
        return exception_event(exceptions=[exception("CardRefused", "card refused: é \ud800", [main, refuse])])
    if situation == "cause":
        raised = [main, _frame("lose_order", "        raise LookupError")]
        origin = exception(*key_error, [_frame("lose_order", "        find_order()"), find], kind="cause", parent=0)
        return exception_event(exceptions=[exception(*lost, raised), origin])
    if situation == "context":
        raised = [main, _frame("lose_order_again", "        give_up()"), _frame("give_up", "    raise LookupError")]
        found = [_frame("lose_order_again", "        find_order()"), find]
        origin = exception(*key_error, found, kind="context", parent=0)
        return exception_event(exceptions=[exception(*lost, raised), origin])
    if situation == "no_source":
        nowhere = frame("from_nowhere", line=2, path="/app/<string>", file="<string>", source=[], first_source_line=0)
        return exception_event(exceptions=[exception("OSError", "no source", [main, nowhere])])
    crash = [_program(), _frame("crash", "    fail()"), find]
    return exception_event(exceptions=[exception(*key_error, crash)], handled=False)


def _program(function: str = "<module>") -> Frame:
    """A frame of the recorder's own program, whose text no comparison looks at."""
    return frame(function, line=15, path="/app/program.py", first_source_line=15, source=["situations.crash()"])


def _frame(function: str, text: str, **changes: Any) -> Frame:
    """The frame of ``function`` at the line that begins with ``text``, its source read from the recorded program."""
    start = next(number for number, line in enumerate(_SOURCE) if line.startswith(f"def {function}("))
    line = next(number for number in range(start, len(_SOURCE)) if _SOURCE[number].startswith(text))
    first = max(0, line - 5)
    return frame(
        function,
        line=line + 1,
        path="/app/situations.py",
        first_source_line=first + 1,
        source=_SOURCE[first : line + 6],
        **changes,
    )
