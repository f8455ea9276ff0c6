"""The parts of a frame that every format reads in the same way."""

from __future__ import annotations

from typing import NamedTuple

from lastword.event import FILTERED, Frame, Variable


class SourceContext(NamedTuple):
    """The line of a frame and its neighbours; ``""`` and empty lists if the source is unknown."""

    before: list[str]
    line: str
    after: list[str]


def source_context(frame: Frame, lines: int = 0) -> SourceContext:
    """Return the source line that ``frame`` was in, with at most ``lines`` lines above and below."""
    own = frame["line"] - frame["first_source_line"]
    source = frame["source"]
    if not 0 <= own < len(source):
        return SourceContext([], "", [])
    return SourceContext(source[max(0, own - lines) : own], source[own], source[own + 1 : own + 1 + lines])


def shown_value(variable: Variable) -> str:
    """Return the text shown for a variable's value: its repr, ``[filtered]``, or ``<TypeName>`` if repr failed."""
    _name, mark, text = variable
    if mark == "filtered":
        return FILTERED
    return f"<{text}>" if mark == "failed" else text
