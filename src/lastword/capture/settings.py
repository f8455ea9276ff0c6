"""What the reporter tells capture."""

from __future__ import annotations

from collections.abc import Callable

from lastword.capture.variables import VariableReader
from lastword.event import Needs


class CaptureSettings:
    """How events are to be taken.

    Attributes:
        needs: what the wire format of the destination wants beyond an exception and its stack.
        is_sensitive: whether the value of a variable of that name must not be looked at.
        environment: such as ``production``; at most 200 characters are kept.
        release: the version of the program; at most 200 characters are kept.
        variables: reads the variables of frames, by ``is_sensitive``.
    """

    def __init__(
        self, *, needs: Needs, is_sensitive: Callable[[str], bool], environment: str = "", release: str = ""
    ) -> None:
        self.needs = needs
        self.is_sensitive = is_sensitive
        self.environment = environment
        self.release = release
        self.variables = VariableReader(is_sensitive)
