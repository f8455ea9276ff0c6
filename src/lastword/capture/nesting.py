"""How deep the running code is inside of lastword, which runs code of the program in some places.

That code may capture, log, or leave an object behind whose finalizer fails: we capture, and the same code runs again.
So there is an end to it. What is logged three levels deep is not heard. Captures twenty levels deep are refused, and
from then on all others within the outermost one, or a hook that is called several times in each would branch for ever.
Signal handlers nest too, in a storm of signals, which is why it is not fewer.
"""

from __future__ import annotations

from contextvars import ContextVar

MAX_LOGGED = 3
MAX_CAPTURED = 20

#: Captures and log records that this thread, task or greenlet is in the middle of.
depth: ContextVar[int] = ContextVar("lastword_depth", default=0)

_too_deep: ContextVar[bool] = ContextVar("lastword_too_deep", default=False)


def may_capture(before: int) -> bool:
    """Whether a capture may begin at the depth ``before``."""
    if before >= MAX_CAPTURED:
        _too_deep.set(True)
    return not (before and _too_deep.get())


def leave(before: int) -> None:
    """Go back to the depth ``before``."""
    depth.set(before)
    if not before and _too_deep.get():
        _too_deep.set(False)
