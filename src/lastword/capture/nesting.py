"""How deep the running code is inside of lastword, which runs code of the program in some places.

That code may capture, log, or leave an object behind whose finalizer fails: we capture, and the same code runs again.
So there is an end to it. What is logged three levels deep is not heard; captures five levels deep are refused.
"""

from __future__ import annotations

from contextvars import ContextVar

MAX_LOGGED = 3
MAX_CAPTURED = 5

#: Captures and log records that this thread, task or greenlet is in the middle of.
depth: ContextVar[int] = ContextVar("lastword_depth", default=0)
