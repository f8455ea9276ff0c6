"""What the reporter tells capture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lastword.capture.variables import VariableReader
from lastword.event import Needs


@dataclass(frozen=True)
class CaptureSettings:
    """How events are to be taken.

    Attributes:
        needs: what the wire format of the destination wants beyond an exception and its stack.
        is_sensitive: whether the value of a variable of that name must not be looked at.
        environment: such as ``production``; at most 200 characters are kept.
        release: the version of the program; at most 200 characters are kept.
        variables: reads the variables of frames, by ``is_sensitive``.
    """

    needs: Needs
    is_sensitive: Callable[[str], bool]
    environment: str = ""
    release: str = ""
    variables: VariableReader = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "variables", VariableReader(self.is_sensitive))
