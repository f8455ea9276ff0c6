"""How deep the running code is inside of lastword, which runs code of the program in some places.

That code may capture, log, or leave an object behind whose finalizer fails: we capture, and the same code runs again.
So there is an end to it. What hooks hear three levels deep is not reported; calls five levels deep are refused.
"""

from __future__ import annotations

from contextvars import ContextVar

MAX_HEARD = 3
MAX_CALLED = 5

#: Captures and log records that this thread, task or greenlet is in the middle of.
depth: ContextVar[int] = ContextVar("lastword_depth", default=0)
